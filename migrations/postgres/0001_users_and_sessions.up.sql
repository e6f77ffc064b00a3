CREATE TABLE users (
    id            uuid             PRIMARY KEY,
    email         text             NOT NULL,
    -- The address in lower case: what makes an account unique, and what prefixes are looked up in.
    -- In the C collation, so that a prefix is a range of the index.
    email_key     text COLLATE "C" NOT NULL CONSTRAINT users_email_key UNIQUE,
    name          text             NOT NULL,
    role          text             NOT NULL CHECK (role IN ('user', 'admin')),
    password_hash text             NOT NULL,
    version       bigint           NOT NULL CHECK (version > 0),
    created_at    timestamptz      NOT NULL,
    updated_at    timestamptz      NOT NULL
);

CREATE INDEX users_role_id ON users (role, id);

CREATE TABLE sessions (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    family     uuid        NOT NULL CONSTRAINT sessions_family UNIQUE,
    secret     bytea       NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
