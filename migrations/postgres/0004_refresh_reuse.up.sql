-- What a refresh token that is sent again shortly after its exchange is answered from. NULL until the first exchange.
ALTER TABLE sessions
    -- The SHA-256 of the secret before the newest one.
    ADD COLUMN previous_secret bytea CHECK (length(previous_secret) = 32),
    -- From the previous secret and this salt follows the newest secret; without the previous secret, nothing does.
    ADD COLUMN successor_salt bytea CHECK (length(successor_salt) = 32),
    ADD COLUMN rotated_at timestamptz;
