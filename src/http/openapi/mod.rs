//! The contract: the `OpenAPI` document, and a page to try it in that needs no network.

mod documents;
mod operations;
mod parts;
mod schemas;

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, rejection::PathRejection},
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa::openapi::{
    Info, LicenseBuilder, OpenApi, OpenApiBuilder, Server,
    info::ContactBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::{Tag, TagBuilder},
};

use super::{Api, problem::Problem};
use parts::Operation;

const DOCUMENT_PATH: &str = "/api/v1/openapi.json";
const PAGE_PATH: &str = "/api/v1/docs/";

/// The page brings its own scripts and styles, and speaks to this service alone.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";

/// The description of everything below `/api/v1` that is an operation.
#[must_use]
pub fn document() -> OpenApi {
    let mut info = Info::new("Glasshouse", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Accounts and sessions. Every answer names its request in `X-Request-ID`; every error is a problem document \
         (RFC 9457) with a stable `code`. Whoever waits for a shorter time than the service says so in \
         `X-Request-Timeout`, and is answered when it is over. `OPTIONS` and whatever else a path lacks is 405 with `Allow`. \
         `If-Match` and `If-None-Match` are evaluated wherever an `ETag` is sent and by every unsafe method (412); \
         conditions with dates are ignored, because no `Last-Modified` is sent."
            .to_owned(),
    );
    let license = env!("CARGO_PKG_LICENSE");
    info.license = Some(LicenseBuilder::new().name(license).identifier(Some(license)).build());
    info.contact = Some(ContactBuilder::new().name(Some("Glasshouse")).build());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` of a grant: 15 minutes by default."))
        .build();
    OpenApiBuilder::new()
        .info(info)
        // Relative to where the document was read.
        .servers(Some([Server::new("/")]))
        .tags(Some([
            described("users", "Accounts: of one's own, and for admins everyone's."),
            described("auth", "Sessions: a pair of tokens, one to show and one to exchange for the next pair."),
            described("audit", "What admins did to whom."),
            described("documents", "What describes the service itself."),
        ]))
        .paths(operations::paths())
        .components(Some(
            documents::schemas(schemas::components())
                .security_scheme(parts::BEARER, SecurityScheme::Http(bearer))
                .build(),
        ))
        .build()
}

fn described(tag: &str, description: &str) -> Tag {
    TagBuilder::new().name(tag).description(Some(description)).build()
}

/// Method and template of every operation.
#[must_use]
pub fn operations() -> Vec<(&'static str, &'static str)> {
    operations::ALL.iter().map(Operation::labels).collect()
}

/// The names of the query's parameters that the operation of that method and template knows.
pub(super) fn query_parameters(method: &Method, template: &str) -> Vec<&'static str> {
    // axum answers HEAD by what GET would.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let operation = operations::ALL.iter().find(|operation| (operation.method, operation.path) == (method, template));
    operation.map(Operation::query_parameters).unwrap_or_default()
}

/// The document and the page.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route(DOCUMENT_PATH, get(serve_document))
        .route("/api/v1/docs", get(async || Redirect::permanent(PAGE_PATH)))
        .route(PAGE_PATH, get(async || serve_page("")))
        .route("/api/v1/docs/{*rest}", get(async |rest: Result<Path<String>, _>| serve_rest(rest)))
}

async fn serve_document() -> impl IntoResponse {
    static WRITTEN: OnceLock<Bytes> = OnceLock::new();
    let written = WRITTEN.get_or_init(|| {
        let json = document().to_json().expect("a document of strings and numbers can always be written");
        Bytes::from(json)
    });
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], written.clone())
}

/// What is no UTF-8 names no file.
fn serve_rest(rest: Result<Path<String>, PathRejection>) -> Response {
    rest.map_or_else(|_| nothing_there(), |Path(rest)| serve_page(&rest))
}

fn nothing_there() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "nothing is at this path").into_response()
}

fn serve_page(path: &str) -> Response {
    static SETTINGS: OnceLock<Arc<utoipa_swagger_ui::Config<'static>>> = OnceLock::new();
    // By itself the page would ask swagger.io what it thinks of the document.
    let settings =
        SETTINGS.get_or_init(|| Arc::new(utoipa_swagger_ui::Config::from(DOCUMENT_PATH).validator_url("none")));
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, Arc::clone(settings)) else {
        return nothing_there();
    };
    let mut response = (
        [
            (CONTENT_TYPE, file.content_type.as_str()),
            (CACHE_CONTROL, "public, max-age=300"),
            (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        ],
        file.bytes.into_owned(),
    )
        .into_response();
    if file.gzpipped {
        response.headers_mut().insert(CONTENT_ENCODING, axum::http::HeaderValue::from_static("gzip"));
    }
    response
}
