-- What a registration that is sent again under the same key is answered with. No reference to users: a request that
-- comes late must not bring an account back that was removed meanwhile. Neither address nor name are here.
CREATE TABLE idempotency_keys (
    -- SHA-256 of the key.
    key           BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    -- SHA-256 of the key, the address and the name: whether it is the same request.
    request       BLOB NOT NULL CHECK (length(request) = 32),
    user_id       BLOB NOT NULL CHECK (length(user_id) = 16),
    -- As it was then: whether it is the same password.
    password_hash TEXT NOT NULL,
    registered_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_registered_at ON idempotency_keys (registered_at);
