//! `GET /api/v1/users/me`, without telemetry: a token is checked, a session and its user are read.

use std::env;

use axum::{
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// The statement that the service runs, too.
pub const SELECT_CALLER: &str = "\
SELECT users.id, email, name, role, version, users.created_at, updated_at, sessions.created_at AS signed_in_at \
FROM sessions JOIN users ON users.id = sessions.user_id \
WHERE sessions.id = $1 AND expires_at > $2";

/// What requests need.
pub struct AppState {
    pool: PgPool,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
pub struct Claims {
    sub: Uuid,
    sid: Uuid,
}

#[derive(FromRow, Serialize)]
pub struct User {
    id: Uuid,
    email: String,
    name: String,
    role: String,
    #[serde(skip)]
    #[expect(dead_code, reason = "the statement is the service's, which makes an ETag of it")]
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(skip)]
    #[expect(dead_code, reason = "the statement is the service's, which asks for a recent sign-in elsewhere")]
    signed_in_at: DateTime<Utc>,
}

pub enum Error {
    Unauthorized,
    Database(sqlx::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED.into_response(),
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl AppState {
    /// Reads `DATABASE_URL`, `MAX_CONNECTIONS`, `TOKEN_KEY` (`x` of an Ed25519 key's JWK) and `TEST_BEFORE_ACQUIRE`.
    ///
    /// # Panics
    /// If one of them is missing or wrong.
    #[must_use]
    pub fn from_env() -> Self {
        let max_connections = setting("MAX_CONNECTIONS").parse().expect("MAX_CONNECTIONS is a number");
        let pool = PgPoolOptions::new().max_connections(max_connections);
        // By default sqlx pings a connection before each use.
        let pool = if env::var("TEST_BEFORE_ACQUIRE").is_ok_and(|value| value == "false") {
            pool.test_before_acquire(false)
        } else {
            pool
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&["glasshouse"]);
        validation.set_audience(&["glasshouse"]);
        validation.validate_nbf = true;
        validation.leeway = 30;
        Self {
            pool: pool.connect_lazy(&setting("DATABASE_URL")).expect("DATABASE_URL is a URL of PostgreSQL"),
            key: DecodingKey::from_ed_components(&setting("TOKEN_KEY")).expect("TOKEN_KEY is a public key"),
            validation,
        }
    }

    /// Checks the token's signature, issuer, audience and times.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn check(&self, headers: &HeaderMap) -> Result<Claims, Error> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(Error::Unauthorized)?;
        let token = header.strip_prefix("Bearer ").ok_or(Error::Unauthorized)?;
        let data = decode::<Claims>(token, &self.key, &self.validation).map_err(|_| Error::Unauthorized)?;
        Ok(data.claims)
    }

    /// Reads the user of the session, which must not have ended.
    ///
    /// # Errors
    /// Both.
    pub async fn select_caller(&self, claims: &Claims) -> Result<User, Error> {
        let select = sqlx::query_as::<_, User>(SELECT_CALLER).bind(claims.sid).bind(Utc::now());
        let user = select.fetch_optional(&self.pool).await.map_err(Error::Database)?;
        user.filter(|user| user.id == claims.sub).ok_or(Error::Unauthorized)
    }
}

/// A required environment variable.
///
/// # Panics
/// If it is missing.
#[must_use]
pub fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is required"))
}
