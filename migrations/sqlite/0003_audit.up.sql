-- Who did what to whom. No reference to users: what was done to an account is known after it is gone.
CREATE TABLE audit (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at         TEXT NOT NULL,
    -- The admin; NULL is the command line.
    actor      BLOB CHECK (length(actor) = 16),
    action     TEXT NOT NULL,
    subject    BLOB NOT NULL CHECK (length(subject) = 16),
    -- The names of what was changed, with commas between them; never what it was or became,
    fields     TEXT NOT NULL,
    -- but for the role that was given.
    role       TEXT,
    request_id TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_subject_id ON audit (subject, id);
CREATE INDEX audit_at ON audit (at);
