-- Which proxies have certificates, and the tokens that they get their first one with. Portable
-- types only, no NULL: 0 is "never", '' is "nobody".

CREATE TABLE join_tokens (
    id            TEXT PRIMARY KEY,
    hash          TEXT   NOT NULL,
    proxy         TEXT   NOT NULL,
    labels        TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    revoked_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT NOT NULL,
    used_by       TEXT   NOT NULL,
    used_key      TEXT   NOT NULL
);

-- public_key is the SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
CREATE TABLE identities (
    proxy         TEXT PRIMARY KEY,
    public_key    TEXT   NOT NULL,
    labels        TEXT   NOT NULL,
    joined_at_ms  BIGINT NOT NULL,
    not_after_ms  BIGINT NOT NULL,
    revoked_at_ms BIGINT NOT NULL,
    version       BIGINT NOT NULL
);
CREATE UNIQUE INDEX identities_version ON identities (version);

-- Numbers the changes of identities in the order they are committed in, so that replicas read only
-- what is new to them.
CREATE TABLE enrolment (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO enrolment (id, version) VALUES (1, 0);
