-- When a revision was committed, as far as its transaction can tell: the database's clock when the row was
-- written, in microseconds since 1970; 0 is "not known".
ALTER TABLE revisions ADD COLUMN committed_us BIGINT NOT NULL DEFAULT 0;
