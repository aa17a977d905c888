-- What is known of proxies beyond what they say themselves.

-- Labels that operators set, as JSON. A row without labels is what is left of those that were taken
-- away: replicas read what has a greater version than they have seen.
CREATE TABLE proxy_labels (
    proxy   TEXT COLLATE "C" PRIMARY KEY,
    labels  TEXT   NOT NULL,
    version BIGINT NOT NULL UNIQUE
);

CREATE TABLE proxy_labels_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO proxy_labels_version (id, version) VALUES (1, 0);

-- For views whose newest revision is refused: the one that was good, as JSON.
CREATE TABLE good_revisions (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    history TEXT   NOT NULL,
    views   TEXT   NOT NULL
);
INSERT INTO good_revisions (id, history, views) VALUES (1, '', '{}');
