-- Portable types only (BIGINT, TEXT), no NULL: the same statements run on Postgres.
-- 9223372036854775807 in to_revision means "still open".

CREATE TABLE meta (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    history  TEXT   NOT NULL,
    revision BIGINT NOT NULL CHECK (revision >= 0)
);

CREATE TABLE resources (
    kind              TEXT   NOT NULL,
    namespace         TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    from_revision     BIGINT NOT NULL,
    to_revision       BIGINT NOT NULL,
    creation_revision BIGINT NOT NULL,
    manifest          TEXT   NOT NULL,
    PRIMARY KEY (kind, namespace, name, from_revision),
    CHECK (creation_revision <= from_revision AND from_revision < to_revision)
);
CREATE UNIQUE INDEX resources_open ON resources (kind, namespace, name)
    WHERE to_revision = 9223372036854775807;
CREATE INDEX resources_from ON resources (from_revision);
CREATE INDEX resources_closed ON resources (to_revision)
    WHERE to_revision < 9223372036854775807;

CREATE TABLE revisions (
    revision        BIGINT PRIMARY KEY,
    write_id        TEXT   NOT NULL UNIQUE,
    created_at_ms   BIGINT NOT NULL,
    author          TEXT   NOT NULL,
    message         TEXT   NOT NULL,
    changes         TEXT   NOT NULL,
    idempotency_key TEXT   NOT NULL,
    rollback_of     BIGINT NOT NULL,
    result          TEXT   NOT NULL
);
CREATE UNIQUE INDEX revisions_idempotency ON revisions (idempotency_key)
    WHERE idempotency_key <> '';

CREATE TABLE receipts (
    revision      BIGINT PRIMARY KEY,
    summary       TEXT   NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE TABLE tokens (
    id            TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL,
    hash          TEXT   NOT NULL UNIQUE,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    revoked_at_ms BIGINT NOT NULL
);

CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    revision BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    author   TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    detail   TEXT   NOT NULL
);
CREATE TRIGGER audit_is_never_updated BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append-only');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append-only');
END;
