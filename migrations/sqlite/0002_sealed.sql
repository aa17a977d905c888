-- What is kept sealed: encrypted under a data key of its own, which is wrapped by an envelope key
-- that is not in the database. Only what holds now: replacing or deleting a row is the end of its
-- material, and no history keeps it.
-- kind '' is for records of the control plane itself, such as ticket keys.

-- Names this store in what is sealed; unlike the history it is never renewed.
ALTER TABLE meta ADD COLUMN store TEXT NOT NULL DEFAULT '';

CREATE TABLE sealed (
    kind        TEXT NOT NULL,
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    revision    BIGINT NOT NULL,
    key_id      TEXT   NOT NULL,
    wrapped_key BLOB   NOT NULL,
    body        BLOB   NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
CREATE INDEX sealed_revision ON sealed (revision);
CREATE INDEX sealed_key ON sealed (key_id);
