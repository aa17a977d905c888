-- What a token may do, as JSON; empty is everything.
ALTER TABLE tokens ADD COLUMN scope TEXT NOT NULL DEFAULT '';
