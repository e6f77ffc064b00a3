-- What a refresh token that is sent again shortly after its exchange is answered from. NULL until the first exchange.
-- The SHA-256 of the secret before the newest one.
ALTER TABLE sessions ADD COLUMN previous_secret BLOB CHECK (length(previous_secret) = 32);
-- From the previous secret and this salt follows the newest secret; without the previous secret, nothing does.
ALTER TABLE sessions ADD COLUMN successor_salt BLOB CHECK (length(successor_salt) = 32);
ALTER TABLE sessions ADD COLUMN rotated_at TEXT;
