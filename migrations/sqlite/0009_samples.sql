-- Requests that proxies sampled, to be replayed: a row for each minute of each replica, never one for a request.
-- The oldest go by age and by bytes.

CREATE TABLE samples (
    replica TEXT NOT NULL,
    at      BIGINT NOT NULL, -- when it was written: milliseconds since 1970
    bytes   BIGINT NOT NULL, -- of `kinds`
    kinds   BLOB NOT NULL, -- StoredSamples
    PRIMARY KEY (replica, at)
);
CREATE INDEX samples_at ON samples (at);
