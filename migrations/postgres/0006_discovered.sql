-- What sources of endpoints (etcd, DNS) knew when they were last heard of: what a control plane starts
-- with while they are away. Written every few seconds at most, and by whichever replica heard.

CREATE TABLE discovered (
    source    TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- hash of what names it
    endpoints BYTEA NOT NULL
);
