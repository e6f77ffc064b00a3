//! Every operation: what it asks for, what it answers, how it can fail.

use utoipa::openapi::{HttpMethod, Paths, PathsBuilder, path::PathItem};

use super::{
    documents,
    parts::{Input, Operation, Parameter, Success},
};

/// Errors of every operation, whatever it does.
const ALWAYS: &[(u16, &str)] = &[
    (400, "host_invalid, request_timeout_invalid"),
    (406, "not_acceptable"),
    (413, "body_too_large"),
    (422, "validation_failed"),
    (429, "too_many_requests"),
    (500, "internal"),
    (503, "store_unavailable, overloaded"),
    (504, "timeout"),
];
/// The same of those that hash a password.
const HASHING: &[(u16, &str)] = &[
    (400, "host_invalid, request_timeout_invalid"),
    (406, "not_acceptable"),
    (422, "validation_failed"),
    (429, "too_many_requests"),
    (500, "internal"),
    (503, "store_unavailable, overloaded, hashing_overloaded"),
    (504, "timeout"),
];
/// Errors of every operation that reads a body.
const WITH_BODY: &[(u16, &str)] = &[
    (400, "host_invalid, request_timeout_invalid, body_malformed"),
    (408, "body_too_slow"),
    (413, "body_too_large"),
    (415, "media_type_unsupported, content_coding_unsupported"),
];
/// Errors of every operation that wants to know who asks.
const WITH_CALLER: &[(u16, &str)] = &[(
    401,
    "token_missing, token_malformed, token_algorithm, token_unknown_key, token_signature, token_wrong_party, \
     token_expired, token_not_yet, session_ended",
)];
/// The same where the sign-in must be recent.
const WITH_RECENT_CALLER: &[(u16, &str)] = &[(
    401,
    "token_missing, token_malformed, token_algorithm, token_unknown_key, token_signature, token_wrong_party, \
     token_expired, token_not_yet, session_ended, recent_sign_in_required",
)];

const USER: Success = Success {
    status: "200",
    description: "The account.",
    media_type: "application/json",
    schema: Some("User"),
    headers: &["ETag"],
    linked: false,
};
const GRANT: Success = Success {
    status: "200",
    description: "Both tokens.",
    media_type: "application/json",
    schema: Some("Grant"),
    headers: &[],
    linked: false,
};
const DONE: Success = Success {
    status: "204",
    description: "Done.",
    media_type: "application/json",
    schema: None,
    headers: &[],
    linked: false,
};

/// All of them, in the order in which people meet them.
pub(super) const ALL: &[Operation] = &[
    Operation {
        id: "register",
        method: "POST",
        path: "/api/v1/users",
        tag: "users",
        summary: "Registers a user.",
        description: "Open to everyone; the role is `user`. A request that is repeated with the same `Idempotency-Key` registers once.",
        input: Some(Input { schema: "Registration", patch: false }),
        parameters: &[Parameter::IdempotencyKey],
        success: Success {
            status: "201",
            description: "The new account.",
            media_type: "application/json",
            schema: Some("User"),
            headers: &["ETag", "Location"],
            linked: true,
        },
        errors: &[
            HASHING,
            WITH_BODY,
            &[
                (400, "body_malformed, idempotency_key_malformed"),
                (409, "email_taken"),
                (412, "precondition_failed"),
                (422, "validation_failed, idempotency_key_reused, unrepresentable"),
            ],
        ],
    },
    Operation {
        id: "list",
        method: "GET",
        path: "/api/v1/users",
        tag: "users",
        summary: "Lists users.",
        description: "Page by page, in order of registration; with `email_prefix` in order of the address. For admins.",
        input: None,
        parameters: &[Parameter::Role, Parameter::EmailPrefix, Parameter::Limit, Parameter::Cursor],
        success: Success {
            status: "200",
            description: "One page of accounts, and where the next one begins.",
            media_type: "application/json",
            schema: Some("Users"),
            headers: &[],
            linked: false,
        },
        errors: &[ALWAYS, WITH_CALLER, &[(403, "forbidden")]],
    },
    Operation {
        id: "readOwn",
        method: "GET",
        path: "/api/v1/users/me",
        tag: "users",
        summary: "Reads the caller's own user.",
        description: "The same as reading it by its id.",
        input: None,
        parameters: &[Parameter::IfNoneMatch],
        success: USER,
        errors: &[ALWAYS, WITH_CALLER, &[(412, "stale")]],
    },
    Operation {
        id: "read",
        method: "GET",
        path: "/api/v1/users/{id}",
        tag: "users",
        summary: "Reads a user.",
        description: "One's own, or as an admin anybody's.",
        input: None,
        parameters: &[Parameter::Id, Parameter::IfNoneMatch],
        success: USER,
        errors: &[ALWAYS, WITH_CALLER, &[(403, "forbidden"), (404, "user_not_found"), (412, "stale")]],
    },
    Operation {
        id: "replace",
        method: "PUT",
        path: "/api/v1/users/{id}",
        tag: "users",
        summary: "Replaces what can be changed of a user.",
        description: "Only admins give roles, and none to themselves. Another address or role needs a recent sign-in. \
                      `If-Match: *` accepts every version.",
        input: Some(Input { schema: "Replacement", patch: false }),
        parameters: &[Parameter::Id, Parameter::IfMatchRequired],
        success: USER,
        errors: &[ALWAYS, WITH_BODY, WITH_RECENT_CALLER, CHANGING, &[(428, "precondition_required")]],
    },
    Operation {
        id: "change",
        method: "PATCH",
        path: "/api/v1/users/{id}",
        tag: "users",
        summary: "Changes a part of a user.",
        description: "Only admins give roles, and none to themselves. Another address or role needs a recent sign-in. \
                      `If-Match: *` accepts every version.",
        input: Some(Input { schema: "Change", patch: true }),
        parameters: &[Parameter::Id, Parameter::IfMatchRequired],
        success: USER,
        errors: &[ALWAYS, WITH_BODY, WITH_RECENT_CALLER, CHANGING, &[(428, "precondition_required")]],
    },
    Operation {
        id: "remove",
        method: "DELETE",
        path: "/api/v1/users/{id}",
        tag: "users",
        summary: "Removes a user.",
        description: "Its sessions end, so its tokens stop working at once. The last admin cannot be removed. Needs a \
                      recent sign-in.",
        input: None,
        parameters: &[Parameter::Id, Parameter::IfMatch],
        success: DONE,
        errors: &[
            ALWAYS,
            WITH_RECENT_CALLER,
            &[(403, "forbidden"), (404, "user_not_found"), (409, "last_admin"), (412, "stale, precondition_failed")],
        ],
    },
    Operation {
        id: "changePassword",
        method: "PUT",
        path: "/api/v1/users/{id}/password",
        tag: "users",
        summary: "Replaces a password.",
        description: "Every other session of that user ends.",
        input: Some(Input { schema: "PasswordChange", patch: false }),
        parameters: &[Parameter::Id],
        success: DONE,
        errors: &[
            HASHING,
            WITH_BODY,
            WITH_CALLER,
            &[
                (403, "forbidden, password_wrong"),
                (404, "user_not_found"),
                (412, "precondition_failed"),
                (429, "too_many_requests, too_many_sign_ins"),
            ],
        ],
    },
    Operation {
        id: "signIn",
        method: "POST",
        path: "/api/v1/auth/sign-in",
        tag: "auth",
        summary: "Begins a session.",
        description: "Wrong credentials have one answer, whatever is wrong with them.",
        input: Some(Input { schema: "Credentials", patch: false }),
        parameters: &[],
        success: GRANT,
        errors: &[
            HASHING,
            WITH_BODY,
            &[(401, "credentials_wrong"), (412, "precondition_failed"), (429, "too_many_requests, too_many_sign_ins")],
        ],
    },
    Operation {
        id: "refresh",
        method: "POST",
        path: "/api/v1/auth/refresh",
        tag: "auth",
        summary: "Exchanges a refresh token.",
        description: "The answer holds the next pair of tokens. A refresh token that was exchanged before ends the session.",
        input: Some(Input { schema: "Refresh", patch: false }),
        parameters: &[],
        success: GRANT,
        errors: &[ALWAYS, WITH_BODY, &[(401, "refresh_token_invalid"), (412, "precondition_failed")]],
    },
    Operation {
        id: "signOut",
        method: "POST",
        path: "/api/v1/auth/sign-out",
        tag: "auth",
        summary: "Ends a session.",
        description: "The session is the one of the access token that is shown.",
        input: None,
        parameters: &[],
        success: DONE,
        errors: &[ALWAYS, WITH_CALLER, &[(412, "precondition_failed")]],
    },
    Operation {
        id: "listAudit",
        method: "GET",
        path: "/api/v1/audit",
        tag: "audit",
        summary: "Lists the audit trail.",
        description: "What admins did to whom, the newest first, page by page. For admins.",
        input: None,
        parameters: &[Parameter::Subject, Parameter::Limit, Parameter::AuditCursor],
        success: Success {
            status: "200",
            description: "One page of the trail, and where the next one begins.",
            media_type: "application/json",
            schema: Some("Entries"),
            headers: &[],
            linked: false,
        },
        errors: &[ALWAYS, WITH_CALLER, &[(403, "forbidden")]],
    },
];

const CHANGING: &[(u16, &str)] = &[
    (403, "forbidden, own_role"),
    (404, "user_not_found"),
    (409, "email_taken, last_admin"),
    (412, "stale, precondition_failed"),
    (422, "validation_failed, unrepresentable"),
];

/// The table as the document writes it.
pub(super) fn paths() -> Paths {
    let paths = ALL.iter().chain(documents::ALL).fold(PathsBuilder::new(), |paths, operation| {
        let method = match operation.method {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "PATCH" => HttpMethod::Patch,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        paths.path(operation.path, PathItem::new(method, operation.build()))
    });
    paths.build()
}
