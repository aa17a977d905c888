-- What control planes tell each other. On SQLite there is nobody to tell; the statements are the same.

-- `beat` counts what a replica wrote, `seen_ms` is the database's clock at the last of it.
CREATE TABLE replicas (
    id         TEXT PRIMARY KEY,
    beat       BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    version    TEXT   NOT NULL,
    admin      TEXT   NOT NULL,
    grpc       TEXT   NOT NULL
);

-- The proxies that a replica holds, as messages of replica.proto; `beat` is that of the last change.
CREATE TABLE fleet_parts (
    replica TEXT NOT NULL REFERENCES replicas (id) ON DELETE CASCADE,
    part    TEXT NOT NULL,
    beat    BIGINT NOT NULL,
    body    BLOB   NOT NULL,
    PRIMARY KEY (replica, part)
);

-- A receipt of the whole fleet is final.
ALTER TABLE receipts ADD COLUMN complete BIGINT NOT NULL DEFAULT 0;

-- Where this database was used last: see store/origin.rs.
CREATE TABLE origin (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL
);
INSERT INTO origin (id, mark) VALUES (1, '');

-- Who leads, and in which term; whatever a leader writes depends on both.
CREATE TABLE leader (
    id     BIGINT PRIMARY KEY CHECK (id = 1),
    epoch  BIGINT NOT NULL,
    holder TEXT   NOT NULL
);
INSERT INTO leader (id, epoch, holder) VALUES (1, 0, '');
