-- The client networks from which accounts were signed in to: guesses from other networks do not lock their owners out.
CREATE TABLE known_networks (
    -- SHA-256 of the e-mail address and the network.
    digest          bytea       PRIMARY KEY CHECK (length(digest) = 32),
    user_id         uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_sign_in_at timestamptz NOT NULL
);

CREATE INDEX known_networks_user_id ON known_networks (user_id, last_sign_in_at);
