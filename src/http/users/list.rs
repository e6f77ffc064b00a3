//! `GET /api/v1/users`: accounts page by page, in order of registration or of the address; for admins.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    super::{
        Api,
        extract::{Query, Signed},
        problem::{FieldFault, Problem},
    },
    PRIVATE, Shown,
};
use crate::domain::users::{Cursor, EmailPrefix, Filter, Limit, Role};

/// A page as clients see it.
#[derive(Serialize)]
struct Listed<'a> {
    users: Vec<Shown<'a>>,
    next: Option<String>,
}

/// Lists.
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Query(mut fields): Query,
) -> Result<Response, Problem> {
    let values = (
        fields.optional("role", Role::parse),
        fields.optional("email_prefix", EmailPrefix::parse),
        fields.optional("cursor", Cursor::parse),
        fields.optional("limit", Limit::parse),
    );
    let (role, email_prefix, after, limit) = fields.finish(values)?;
    let filter = Filter { role, email_prefix };
    if let Some(fault) = after.as_ref().and_then(|cursor| cursor.check(&filter).err()) {
        return Err(Problem::invalid(vec![FieldFault::new("cursor", fault)]));
    }
    let page = api.users.list(&caller, &filter, after, limit.unwrap_or_default()).await?;
    let users = page.users.iter().map(Shown::from).collect();
    Ok((PRIVATE, Json(Listed { users, next: page.next.map(Cursor::encode) })).into_response())
}
