//! What services that check our access tokens themselves need: the public keys (RFC 7517), and where they are.
//!
//! `GET /.well-known/jwks.json`, and where `auth.issuer` is the public URL of this service also
//! `/.well-known/oauth-authorization-server` (RFC 8414) and `/.well-known/openid-configuration` (OpenID Connect Discovery).
//! Both name the issuer and the keys, and the second one the algorithms. They name no endpoints for authorization and tokens, because sign-in
//! here is neither OAuth's nor OpenID Connect's, and libraries that only check tokens need none.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use super::{Api, problem::Problem};
use crate::domain::auth::SigningAlgorithm;

/// The paths of these documents.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(authorization_server))
        .route("/.well-known/openid-configuration", get(openid_configuration))
}

/// What both documents say.
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    service_documentation: String,
    /// None: there is no endpoint that would answer with a code or a token.
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    #[serde(flatten)]
    openid: Option<OpenId>,
}

/// What only OpenID Connect asks for.
#[derive(Serialize)]
struct OpenId {
    subject_types_supported: [&'static str; 1],
    /// Of access tokens, since no ID tokens are issued: libraries take from here which algorithms to accept.
    id_token_signing_alg_values_supported: Vec<&'static str>,
}

async fn jwks(State(api): State<Arc<Api>>) -> Response {
    document(api.auth.keys().public())
}

async fn authorization_server(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    metadata(&api, None)
}

async fn openid_configuration(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let algorithms = api.auth.keys().algorithms().into_iter().map(SigningAlgorithm::as_str).collect();
    let openid = OpenId { subject_types_supported: ["public"], id_token_signing_alg_values_supported: algorithms };
    metadata(&api, Some(openid))
}

fn metadata(api: &Api, openid: Option<OpenId>) -> Result<Response, Problem> {
    let issuer = api.auth.issuer();
    let Some(base) = base(issuer) else {
        let detail = "nothing is at this path, because auth.issuer is no URL without a path";
        return Err(Problem::new(StatusCode::NOT_FOUND, "route_not_found", detail));
    };
    Ok(document(&Metadata {
        issuer,
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        service_documentation: format!("{base}/api/v1/docs/"),
        response_types_supported: [],
        grant_types_supported: [],
        openid,
    }))
}

/// The issuer without a slash at its end, if it is a URL whose documents are at this service's own paths.
fn base(issuer: &str) -> Option<&str> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"))?;
    (!host.is_empty() && !host.contains('/')).then_some(base)
}

/// Keys are announced before they sign, and kept for a while after: five minutes are nothing in a rotation.
fn document(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("strings and lists can always be written");
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn only_an_issuer_that_is_a_url_without_a_path_has_documents() {
        for (issuer, found) in [
            ("https://id.example.com", Some("https://id.example.com")),
            ("https://id.example.com/", Some("https://id.example.com")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("https://example.com/tenant", None),
            ("https://", None),
            ("glasshouse", None),
        ] {
            assert_eq!(base(issuer), found, "{issuer}");
        }
    }
}
