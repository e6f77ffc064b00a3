//! Who may do what: every operation of the contract, asked by every kind of caller.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use glasshouse::http::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Service, Session};

/// Kinds of callers, in the order of the table's columns. The target of an operation is always the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Garbage,
    Itself,
    Other,
    Admin,
    /// The admin, and the account is its own.
    Own,
    /// An admin until a moment ago: its token is from before.
    Demoted,
    Removed,
    SignedOut,
    Expired,
    /// Another scheme than the one that is asked for.
    Basic,
    /// The right token, in two headers.
    Twice,
}

use Caller::{Admin, Basic, Demoted, Expired, Garbage, Itself, Nobody, Other, Own, Removed, SignedOut, Twice};

const CALLERS: [Caller; 12] =
    [Nobody, Garbage, Itself, Other, Admin, Demoted, Removed, SignedOut, Expired, Basic, Twice, Own];

impl Caller {
    /// Why it is not recognised, if it is not.
    const fn refusal(self) -> &'static str {
        match self {
            Nobody => "token_missing",
            Garbage | Basic | Twice => "token_malformed",
            Expired => "token_expired",
            Itself | Other | Admin | Own | Demoted | Removed | SignedOut => "session_ended",
        }
    }
}

/// What each caller is answered, operation by operation. What is open to everyone looks at no token.
#[rustfmt::skip]
const TABLE: &[(&str, [u16; 12])] = &[
    // ................ nobody  garbage  itself  other  admin  demoted  removed  signed out  expired  basic  twice  own
    ("register",       [201,    201,     201,    201,   201,   201,     201,     201,        201,     201,   201,   201]),
    ("signIn",         [200,    200,     200,    200,   200,   200,     200,     200,        200,     200,   200,   200]),
    ("refresh",        [200,    200,     200,    200,   200,   200,     200,     200,        200,     200,   200,   200]),
    ("signOut",        [401,    401,     204,    204,   204,   204,     401,     401,        401,     401,   401,   204]),
    ("list",           [401,    401,     403,    403,   200,   403,     401,     401,        401,     401,   401,   200]),
    ("listAudit",      [401,    401,     403,    403,   200,   403,     401,     401,        401,     401,   401,   200]),
    ("readOwn",        [401,    401,     200,    200,   200,   200,     401,     401,        401,     401,   401,   200]),
    ("read",           [401,    401,     200,    403,   200,   403,     401,     401,        401,     401,   401,   200]),
    ("replace",        [401,    401,     200,    403,   200,   403,     401,     401,        401,     401,   401,   200]),
    ("change",         [401,    401,     200,    403,   200,   403,     401,     401,        401,     401,   401,   200]),
    ("changePassword", [401,    401,     204,    403,   204,   403,     401,     401,        401,     401,   401,   204]),
    ("remove",         [401,    401,     204,    403,   204,   403,     401,     401,        401,     401,   401,   204]),
    ("readKeys",       [200,    200,     200,    200,   200,   200,     200,     200,        200,     200,   200,   200]),
    ("readDocument",   [200,    200,     200,    200,   200,   200,     200,     200,        200,     200,   200,   200]),
    ("readPage",       [200,    200,     200,    200,   200,   200,     200,     200,        200,     200,   200,   200]),
    // Without an issuer that is a URL, there is nothing to read.
    ("readAuthorizationServer", [404,    404,     404,    404,   404,   404,     404,     404,        404,     404,   404,   404]),
    ("readOpenIdConfiguration", [404,    404,     404,    404,   404,   404,     404,     404,        404,     404,   404,   404]),
];

/// Everybody who asks, and who is asked about.
struct Cast {
    nobody: Client,
    target: Session,
    other: Session,
    admin: Session,
    demoted: Client,
    removed: Client,
    signed_out: Client,
    expired: Client,
}

impl Cast {
    async fn gather(service: &Service, operation: &str) -> Self {
        let join = async |who: &str| service.client().joined(&format!("{who}-{operation}@example.com")).await;
        let removed = join("removed").await;
        assert_eq!(removed.client.remove(&removed.id).await.status, 204);
        // Signed in long ago, as the service's clock goes.
        service.pass(TimeDelta::hours(-1));
        let expired = join("expired").await.client;
        service.pass(TimeDelta::hours(1));
        let target = join("target").await;
        let gone = service.client().signed_in(&target.email).await;
        assert_eq!(gone.client.sign_out().await.status, 204);
        let admin = service.admin(&format!("admin-{operation}@example.com")).await;
        let demoted = service.admin(&format!("demoted-{operation}@example.com")).await;
        assert_eq!(admin.client.change(&demoted.id, "*", &json!({ "role": "user" })).await.status, 200);
        Self {
            nobody: service.client(),
            target,
            other: join("other").await,
            admin,
            demoted: demoted.client,
            removed: removed.client,
            // Of the target itself: only that it has signed out stands against it.
            signed_out: gone.client,
            expired,
        }
    }

    /// Whose account is asked about.
    fn target(&self, caller: Caller) -> &Session {
        if caller == Own { &self.admin } else { &self.target }
    }

    fn client(&self, caller: Caller) -> Client {
        match caller {
            // What these show, they show in a header of their own.
            Nobody | Basic | Twice => self.nobody.clone(),
            Garbage => self.nobody.as_bearer("garbage"),
            Itself => self.target.client.clone(),
            Other => self.other.client.clone(),
            Admin | Own => self.admin.client.clone(),
            Demoted => self.demoted.clone(),
            Removed => self.removed.clone(),
            SignedOut => self.signed_out.clone(),
            Expired => self.expired.clone(),
        }
    }

    /// The headers by which some callers say who they are.
    fn shown(&self, caller: Caller) -> Vec<String> {
        match caller {
            Basic => vec!["Basic YW5uQGV4YW1wbGUuY29tOnBhc3N3b3Jk".to_owned()],
            Twice => vec![format!("Bearer {}", self.target.access_token); 2],
            _ => Vec::new(),
        }
    }

    /// A body that is in order, so that nothing but the caller can be refused.
    fn body(&self, operation: &str, caller: Caller) -> Option<Value> {
        let target = self.target(caller);
        match operation {
            "register" => {
                Some(json!({ "email": format!("new-{caller:?}@example.com"), "password": PASSWORD, "name": "New" }))
            }
            "signIn" => Some(json!({ "email": target.email, "password": PASSWORD })),
            "refresh" => Some(json!({ "refresh_token": target.refresh_token })),
            "replace" => Some(json!({ "email": target.email, "name": "Changed" })),
            "change" => Some(json!({ "name": "Changed" })),
            "changePassword" => Some(json!({ "old_password": PASSWORD, "new_password": PASSWORD })),
            _ => None,
        }
    }
}

/// Method and path of every operation by its id.
fn operations() -> BTreeMap<String, (Method, String)> {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            found.insert(id, (method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    found
}

#[test]
fn the_table_has_a_row_for_each_operation_of_the_contract() {
    let mut rows: Vec<_> = TABLE.iter().map(|(id, _)| (*id).to_owned()).collect();
    rows.sort_unstable();
    assert_eq!(rows, operations().into_keys().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_may_do_what_the_table_says_and_nothing_else() {
    let service = Service::start().await;
    let operations = operations();
    let mut faults = Vec::new();
    for (id, expected) in TABLE {
        let (method, template) = &operations[*id];
        let mut cast = Cast::gather(&service, id).await;
        for (caller, expected) in CALLERS.into_iter().zip(*expected) {
            let path = template.replace("{id}", &cast.target(caller).id);
            let mut request = cast.client(caller).request(method.clone(), &path).header("if-match", "*");
            for header in cast.shown(caller) {
                request = request.header("authorization", header);
            }
            if let Some(body) = cast.body(id, caller) {
                request = request.json(&body);
            }
            let reply = service.client().send(request).await;
            if reply.status != expected {
                faults.push(format!("{id} by {caller:?}: {} and not {expected}", reply.status));
            }
            if [401, 403].contains(&reply.status.as_u16()) {
                let code = reply.code();
                assert!(reply.status != 401 || code == caller.refusal(), "{id} by {caller:?}: {code}");
                assert_eq!(reply.header("www-authenticate").is_empty(), reply.status == 403, "{reply:?}");
            }
            // What has been done to the target must not be in the way of who asks next.
            match *id {
                "remove" if reply.status == 204 && caller != Own => {
                    cast.target = service.client().joined(&cast.target.email).await;
                }
                "signOut" if caller == Admin => cast.admin = service.client().signed_in(&cast.admin.email).await,
                "signOut" if caller == Itself => cast.target = service.client().signed_in(&cast.target.email).await,
                "refresh" if caller == Own => {}
                "refresh" => cast.target.refresh_token = reply.json["refresh_token"].as_str().unwrap().to_owned(),
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
