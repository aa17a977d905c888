-- Requests that proxies sampled, to be replayed: a row for each minute of each replica, later one for an hour, never
-- one for a request. They go by age, and become thinner as there is more of them.
CREATE TABLE samples (
    id      TEXT PRIMARY KEY, -- random
    from_ms BIGINT NOT NULL, -- since when it was heard: milliseconds since 1970
    to_ms   BIGINT NOT NULL, -- until when
    bytes   BIGINT NOT NULL, -- of `kinds`
    kinds   BLOB NOT NULL -- StoredSamples
);
CREATE INDEX samples_to ON samples (to_ms);

-- What values of headers in samples are hashed with. Those of earlier histories stay, for what was sampled then.
CREATE TABLE sample_keys (
    history TEXT PRIMARY KEY,
    made_ms BIGINT NOT NULL, -- milliseconds since 1970
    key     BLOB NOT NULL -- 32 bytes
);
