ALTER TABLE sessions
    DROP COLUMN previous_secret,
    DROP COLUMN successor_salt,
    DROP COLUMN rotated_at;
