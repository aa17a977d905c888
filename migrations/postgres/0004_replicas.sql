-- What control planes tell each other. It is about now, so it need not outlive a crash or reach a
-- standby: UNLOGGED, and whoever finds its row gone writes everything again.

-- `beat` counts what a replica wrote, `seen_ms` is the database's clock at the last of it.
CREATE UNLOGGED TABLE replicas (
    id         TEXT COLLATE "C" PRIMARY KEY,
    beat       BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    version    TEXT   NOT NULL,
    admin      TEXT   NOT NULL,
    grpc       TEXT   NOT NULL
);

-- The proxies that a replica holds, as messages of replica.proto; `beat` is that of the last change.
CREATE UNLOGGED TABLE fleet_parts (
    replica TEXT COLLATE "C" NOT NULL REFERENCES replicas (id) ON DELETE CASCADE,
    part    TEXT COLLATE "C" NOT NULL,
    beat    BIGINT NOT NULL,
    body    BYTEA  NOT NULL,
    PRIMARY KEY (replica, part)
);

-- A receipt of the whole fleet is final.
ALTER TABLE receipts ADD COLUMN complete BIGINT NOT NULL DEFAULT 0;

-- Where this database was used last: see store/origin.rs. A row that was restored has another xmin.
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
