//! What an operation's description is made of.

use axum::http::StatusCode;
use utoipa::openapi::{
    Content, Ref, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
    link::LinkBuilder,
    path::{Operation as Described, OperationBuilder, Parameter as DescribedParameter, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
};

use super::{
    super::problem,
    schemas::{self, named},
};

/// The name of the security scheme.
pub(super) const BEARER: &str = "bearer";

/// One line of the table.
pub(super) struct Operation {
    pub(super) id: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) input: Option<Input>,
    pub(super) parameters: &'static [Parameter],
    pub(super) success: Success,
    /// Status and codes. An operation that lists `token_missing` requires a token.
    pub(super) errors: &'static [&'static [(u16, &'static str)]],
}

/// A body.
pub(super) struct Input {
    pub(super) schema: &'static str,
    /// Whether it may also be `application/merge-patch+json`.
    pub(super) patch: bool,
}

/// The answer that is hoped for.
pub(super) struct Success {
    pub(super) status: &'static str,
    pub(super) description: &'static str,
    pub(super) media_type: &'static str,
    pub(super) schema: Option<&'static str>,
    pub(super) headers: &'static [&'static str],
    /// Whether other operations begin with the `id` in it.
    pub(super) linked: bool,
}

/// What is asked for beside the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Id,
    IfMatch,
    IfMatchRequired,
    IfNoneMatch,
    Role,
    EmailPrefix,
    Limit,
    Cursor,
    IdempotencyKey,
    Subject,
    AuditCursor,
    /// Every operation has it.
    RequestTimeout,
}

impl Operation {
    /// Method and template.
    pub(super) const fn labels(&self) -> (&'static str, &'static str) {
        (self.method, self.path)
    }

    /// The names of the query's parameters.
    pub(super) fn query_parameters(&self) -> Vec<&'static str> {
        let described = self.parameters.iter().map(|parameter| parameter.parts());
        described.filter(|(_, place, ..)| *place == ParameterIn::Query).map(|(name, ..)| name).collect()
    }

    /// The description.
    pub(super) fn build(&self) -> Described {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(Some(self.description))
            .request_body(self.input.as_ref().map(Input::build))
            .response(self.success.status, self.success.build());
        for parameter in self.parameters.iter().chain(&[Parameter::RequestTimeout]) {
            operation = operation.parameter(parameter.build());
        }
        if self.parameters.contains(&Parameter::IfNoneMatch) {
            let unchanged = with_headers(ResponseBuilder::new().description("The client has it already."), &["ETag"]);
            operation = operation.response("304", unchanged.build());
        }
        let errors = self.errors.iter().copied().flatten();
        for (status, codes) in errors.clone() {
            operation = operation.response(status.to_string(), problem(*status, codes));
        }
        let is_protected = errors.clone().any(|(_, codes)| codes.contains("token_missing"));
        operation.securities(Some(is_protected.then(|| SecurityRequirement::new(BEARER, [""; 0])))).build()
    }
}

impl Input {
    fn build(&self) -> RequestBody {
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        let content = || Content::new(Some(named(self.schema)));
        let body = if self.patch { body.content("application/merge-patch+json", content()) } else { body };
        body.content("application/json", content()).build()
    }
}

impl Success {
    fn build(&self) -> Response {
        let mut response = with_headers(ResponseBuilder::new().description(self.description), self.headers);
        if let Some(schema) = self.schema {
            response = response.content(self.media_type, Content::new(Some(named(schema))));
        }
        if self.linked {
            for operation in ["read", "replace", "change", "remove", "changePassword"] {
                let link = LinkBuilder::new().operation_id(operation).parameter("id", "$response.body#/id");
                let link = match operation {
                    "replace" | "change" => link.parameter("If-Match", "$response.header.ETag"),
                    _ => link,
                };
                response = response.link(operation, link.build());
            }
        }
        response.build()
    }
}

impl Parameter {
    /// Name, place, whether it is required, description and schema.
    fn parts(self) -> (&'static str, ParameterIn, bool, &'static str, RefOr<Schema>) {
        match self {
            Self::Id => ("id", ParameterIn::Path, true, "Which account.", schemas::id().into()),
            Self::IfMatch => {
                ("If-Match", ParameterIn::Header, false, "The ETag that was seen.", schemas::entity_tags().into())
            }
            Self::IfMatchRequired => (
                "If-Match",
                ParameterIn::Header,
                true,
                "The ETag that was seen; * for any.",
                schemas::entity_tags().into(),
            ),
            Self::IfNoneMatch => {
                ("If-None-Match", ParameterIn::Header, false, "The ETag that is known.", schemas::entity_tags().into())
            }
            Self::Role => ("role", ParameterIn::Query, false, "Only this role.", named("Role").into()),
            Self::EmailPrefix => (
                "email_prefix",
                ParameterIn::Query,
                false,
                "Only addresses that begin so.",
                schemas::email_prefix().into(),
            ),
            Self::Limit => ("limit", ParameterIn::Query, false, "How many at most.", schemas::limit().into()),
            Self::Cursor => ("cursor", ParameterIn::Query, false, "Where the page begins.", schemas::cursor().into()),
            Self::IdempotencyKey => (
                "Idempotency-Key",
                ParameterIn::Header,
                false,
                "Names this request, in quotes or without; best a random UUID. For 24 hours, the same request with the \
                 same key gets the answer of the first one that succeeded, whatever has become of the account.",
                schemas::idempotency_key().into(),
            ),
            Self::Subject => {
                ("subject", ParameterIn::Query, false, "Only what was done to this account.", schemas::id().into())
            }
            Self::AuditCursor => {
                ("cursor", ParameterIn::Query, false, "Where the page begins.", schemas::audit_cursor().into())
            }
            Self::RequestTimeout => (
                "X-Request-Timeout",
                ParameterIn::Header,
                false,
                "For how many seconds the client waits, if that is shorter than the service's own limit; 504 then.",
                schemas::request_timeout().into(),
            ),
        }
    }

    fn build(self) -> DescribedParameter {
        let (name, place, required, description, schema) = self.parts();
        ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(if required { Required::True } else { Required::False })
            .description(Some(description))
            .schema(Some(schema))
            .build()
    }
}

fn problem(status: u16, codes: &str) -> Response {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let response = ResponseBuilder::new()
        .description(format!("{title}. `code`: {codes}."))
        .content(problem::MEDIA_TYPE, Content::new(Some(named("Problem"))));
    let headers: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    };
    with_headers(response, headers).build()
}

/// With these, and with what every answer has.
fn with_headers(response: ResponseBuilder, names: &[&str]) -> ResponseBuilder {
    names
        .iter()
        .chain(&["X-Request-ID"])
        .fold(response, |response, name| response.header_ref(*name, Ref::new(format!("#/components/headers/{name}"))))
}
