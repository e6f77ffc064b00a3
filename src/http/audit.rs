//! `GET /api/v1/audit`: what admins did to whom, the newest first; for admins.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    extract::{Query, Signed, id},
    problem::Problem,
    users::PRIVATE,
};
use crate::domain::{
    audit::{Actor, Cursor, Entry, Field},
    users::{Limit, Role},
};

/// A page as clients see it.
#[derive(Serialize)]
struct Listed<'a> {
    entries: Vec<Shown<'a>>,
    next: Option<String>,
}

/// An entry as clients see it.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    at: String,
    actor: String,
    action: &'static str,
    subject: Uuid,
    fields: Vec<&'static str>,
    role: Option<&'static str>,
    request_id: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Shown<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: entry.id.0,
            at: entry.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            actor: match entry.actor {
                Actor::Admin(id) => id.0.to_string(),
                Actor::CommandLine => Actor::COMMAND_LINE.to_owned(),
            },
            action: entry.action.as_str(),
            subject: entry.subject.0,
            fields: entry.fields.iter().copied().map(Field::as_str).collect(),
            role: entry.role.map(Role::as_str),
            request_id: entry.request_id.as_deref(),
        }
    }
}

/// Lists.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Query(mut fields): Query,
) -> Result<Response, Problem> {
    let values = (
        fields.optional("subject", id),
        fields.optional("cursor", Cursor::parse),
        fields.optional("limit", Limit::parse),
    );
    let (subject, after, limit) = fields.finish(values)?;
    let page = api.audit.list(&caller, subject, after, limit.unwrap_or_default()).await?;
    let entries = page.entries.iter().map(Shown::from).collect();
    Ok((PRIVATE, Json(Listed { entries, next: page.next.map(Cursor::encode) })).into_response())
}
