-- What a registration that is sent again under the same key is answered with. No reference to users: a request that
-- comes late must not bring an account back that was removed meanwhile. Neither address nor name are here.
CREATE TABLE idempotency_keys (
    -- SHA-256 of the key.
    key           bytea       PRIMARY KEY CHECK (length(key) = 32),
    -- SHA-256 of the key, the address and the name: whether it is the same request.
    request       bytea       NOT NULL CHECK (length(request) = 32),
    user_id       uuid        NOT NULL,
    -- As it was then: whether it is the same password.
    password_hash text        NOT NULL,
    registered_at timestamptz NOT NULL
);

CREATE INDEX idempotency_keys_registered_at ON idempotency_keys (registered_at);
