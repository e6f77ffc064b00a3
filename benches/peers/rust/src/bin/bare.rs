//! axum, sqlx and jsonwebtoken, and nothing else.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::HeaderMap, routing::get};
use peers::{AppState, Error, User, setting};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let router = Router::new().route("/api/v1/users/me", get(read_own)).with_state(Arc::new(AppState::from_env()));
    let listener = TcpListener::bind(setting("LISTEN")).await.expect("LISTEN is a free address");
    axum::serve(listener, router).await.expect("it serves");
}

async fn read_own(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Result<Json<User>, Error> {
    let claims = state.check(&headers)?;
    state.select_caller(&claims).await.map(Json)
}
