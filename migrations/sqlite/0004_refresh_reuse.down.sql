ALTER TABLE sessions DROP COLUMN previous_secret;
ALTER TABLE sessions DROP COLUMN successor_salt;
ALTER TABLE sessions DROP COLUMN rotated_at;
