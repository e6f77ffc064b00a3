-- Who did what to whom. No reference to users: what was done to an account is known after it is gone.
CREATE TABLE audit (
    id         uuid        PRIMARY KEY,
    at         timestamptz NOT NULL,
    -- The admin; NULL is the command line.
    actor      uuid,
    action     text        NOT NULL,
    subject    uuid        NOT NULL,
    -- The names of what was changed, with commas between them; never what it was or became,
    fields     text        NOT NULL,
    -- but for the role that was given.
    role       text,
    request_id text
);

CREATE INDEX audit_subject_id ON audit (subject, id);
CREATE INDEX audit_at ON audit (at);
