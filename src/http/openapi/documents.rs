//! What describes the service itself: the key set, metadata for libraries, the `OpenAPI` document and its page.

use utoipa::openapi::{
    ComponentsBuilder, SchemaFormat,
    schema::{ArrayBuilder, ObjectBuilder, Type},
};

use super::{
    parts::{Operation, Success},
    schemas::{closed, named, required, string, text},
};

/// Errors of every document.
const DOCUMENT: &[(u16, &str)] = &[
    (400, "host_invalid, request_timeout_invalid"),
    (413, "body_too_large"),
    (429, "too_many_requests"),
    (500, "internal"),
    (504, "timeout"),
];

const METADATA: Success = Success {
    status: "200",
    description: "The metadata.",
    media_type: "application/json",
    schema: None,
    headers: &[],
    linked: false,
};

/// What describes the service. These are no operations of the API: they ask nothing of the store, and are never shed.
pub(super) const ALL: &[Operation] = &[
    Operation {
        id: "readKeys",
        method: "GET",
        path: "/.well-known/jwks.json",
        tag: "documents",
        summary: "Reads the public keys of access tokens.",
        description: "A JSON Web Key Set (RFC 7517), for services that check access tokens themselves. A token's `kid` \
                      names its key.",
        input: None,
        parameters: &[],
        success: Success {
            status: "200",
            description: "The keys, the one that signs first.",
            media_type: "application/json",
            schema: Some("KeySet"),
            headers: &[],
            linked: false,
        },
        errors: &[DOCUMENT],
    },
    Operation {
        id: "readAuthorizationServer",
        method: "GET",
        path: "/.well-known/oauth-authorization-server",
        tag: "documents",
        summary: "Reads where the keys are, for OAuth 2.0.",
        description: "Authorization server metadata (RFC 8414), if `auth.issuer` is the public URL of this service. There are \
                      no endpoints for authorization and tokens, because sign-in here is not OAuth's.",
        input: None,
        parameters: &[],
        success: Success { schema: Some("AuthorizationServer"), ..METADATA },
        errors: &[DOCUMENT, &[(404, "route_not_found")]],
    },
    Operation {
        id: "readOpenIdConfiguration",
        method: "GET",
        path: "/.well-known/openid-configuration",
        tag: "documents",
        summary: "Reads where the keys are, for OpenID Connect.",
        description: "The part of OpenID Connect Discovery that checking access tokens needs, if `auth.issuer` is the public \
                      URL of this service. No ID tokens are issued: the algorithms are those of access tokens.",
        input: None,
        parameters: &[],
        success: Success { schema: Some("OpenIdConfiguration"), ..METADATA },
        errors: &[DOCUMENT, &[(404, "route_not_found")]],
    },
    Operation {
        id: "readDocument",
        method: "GET",
        path: "/api/v1/openapi.json",
        tag: "documents",
        summary: "Reads this document.",
        description: "The OpenAPI document of this version of the service.",
        input: None,
        parameters: &[],
        success: Success {
            status: "200",
            description: "The document.",
            media_type: "application/json",
            schema: Some("Document"),
            headers: &[],
            linked: false,
        },
        errors: &[DOCUMENT],
    },
    Operation {
        id: "readPage",
        method: "GET",
        path: "/api/v1/docs/index.html",
        tag: "documents",
        summary: "Shows a page to try this document in.",
        description: "The page loads nothing from other servers.",
        input: None,
        parameters: &[],
        success: Success {
            status: "200",
            description: "The page.",
            media_type: "text/html",
            schema: Some("Page"),
            headers: &[],
            linked: false,
        },
        errors: &[DOCUMENT],
    },
];

/// The schemas that these documents are described with.
pub(super) fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    components
        .schema("Key", key())
        .schema("KeySet", key_set())
        .schema("AuthorizationServer", metadata())
        .schema("OpenIdConfiguration", openid_configuration())
        .schema("Document", document())
        .schema("Page", string().description(Some("A page in HTML.")))
}

fn document() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).description(Some("An OpenAPI document."))
}

fn key() -> ObjectBuilder {
    let object = closed()
        .description(Some("A public key: Ed25519 (RFC 8037) or P-256 (RFC 7518)."))
        .property("kid", text("The key's RFC 7638 thumbprint.", 1, 128))
        .property("kty", text("`OKP` or `EC`.", 1, 20))
        .property("crv", text("`Ed25519` or `P-256`.", 1, 20))
        .property("alg", text("`EdDSA` or `ES256`.", 1, 20))
        .property("use", text("Always `sig`.", 1, 20))
        .property("x", text("The key, or its first coordinate, in base64url.", 43, 43))
        .property("y", text("The second coordinate of a P-256 key, in base64url.", 43, 43));
    required(object, &["kid", "kty", "crv", "alg", "use", "x"])
}

fn metadata() -> ObjectBuilder {
    let none =
        |description: &str| ArrayBuilder::new().description(Some(description)).items(string()).max_items(Some(0));
    let url = |description: &str| {
        string().description(Some(description)).format(Some(SchemaFormat::Custom("uri".to_owned())))
    };
    let object = closed()
        .description(Some("Where libraries find the keys."))
        .property("issuer", url("`iss` of access tokens."))
        .property("jwks_uri", url("Where the public keys are."))
        .property("service_documentation", url("The page to try the API in."))
        .property("response_types_supported", none("None: there is no authorization endpoint."))
        .property("grant_types_supported", none("None: there is no token endpoint."));
    let names = ["issuer", "jwks_uri", "service_documentation", "response_types_supported", "grant_types_supported"];
    required(object, &names)
}

fn openid_configuration() -> ObjectBuilder {
    let words =
        |description: &str| ArrayBuilder::new().description(Some(description)).items(string()).min_items(Some(1));
    let object = metadata()
        .property("subject_types_supported", words("Always `public`."))
        .property("id_token_signing_alg_values_supported", words("The algorithms of the keys."));
    required(object, &["subject_types_supported", "id_token_signing_alg_values_supported"])
}

fn key_set() -> ObjectBuilder {
    let keys = ArrayBuilder::new().items(named("Key")).min_items(Some(1)).max_items(Some(100));
    let object = closed().description(Some("The public keys of access tokens (RFC 7517).")).property("keys", keys);
    required(object, &["keys"])
}
