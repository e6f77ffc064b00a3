//! What a security scanner looks for: the headers of every kind of answer, who else's pages may read them, and that
//! nothing is compressed.

use glasshouse::http::openapi;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Engine, PASSWORD, Reply, Service};

const FAULTS: &[(&str, &str)] = &[("GLASSHOUSE_FAULTS__ALLOWED", "true")];

/// What every answer says.
const ALWAYS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];
/// What no answer says: what it was made with, and what belongs to browsers' sessions or to other ages.
const NEVER: &[&str] = &[
    "server",
    "x-powered-by",
    "set-cookie",
    "content-encoding",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "x-xss-protection",
    "strict-transport-security",
];

fn assert_restrained(name: &str, reply: &Reply) {
    for (header, value) in ALWAYS {
        assert_eq!(reply.header(header), *value, "{name}: {header}");
        assert_eq!(reply.headers.get_all(*header).iter().count(), 1, "{name}: {header}");
    }
    for header in NEVER {
        assert!(!reply.headers.contains_key(*header), "{name}: {header}: {reply:?}");
    }
    let policy = reply.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
    let kept = match reply.status.as_u16() {
        200..400 if name.starts_with("document") => "public, max-age=300",
        200..400 if name.starts_with("account") => "private, no-cache",
        _ => "no-store",
    };
    assert_eq!(reply.header("cache-control"), kept, "{name}");
}

/// Switches these faults on, and all others off.
async fn inflict(service: &Service, faults: &Value) {
    let url = format!("http://{}/debug/faults", service.internal);
    let reply = reqwest::Client::new().put(url).body(faults.to_string()).send().await.unwrap();
    assert!(reply.status().is_success(), "{}", reply.text().await.unwrap());
}

/// Every kind of answer that a client can get from the public port.
async fn answers(service: &Service) -> Vec<(&'static str, u16, Reply)> {
    let ann = service.client().joined("ann@example.com").await;
    let nobody = service.client();
    let ask = |method: Method, path: &str| nobody.request(method, path);
    let json = |request: RequestBuilder| request.header("content-type", "application/json");
    let users = "/api/v1/users";
    let me = "/api/v1/users/me";
    let mut answers = vec![
        ("account", 200, ann.client.me().await),
        (
            "account unchanged",
            304,
            ann.client.send(ann.client.request(Method::GET, me).header("if-none-match", &ann.etag)).await,
        ),
        ("account registered", 201, nobody.register("bob@example.com").await),
        ("granted", 200, nobody.sign_in("ann@example.com", PASSWORD).await),
        ("nobody", 401, nobody.me().await),
        ("forbidden", 403, ann.client.list("").await),
        ("no route", 404, nobody.get("/nowhere").await),
        ("no account", 403, ann.client.read("0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b").await),
        ("no method", 405, nobody.send(ask(Method::DELETE, users)).await),
        ("OPTIONS", 405, nobody.send(ask(Method::OPTIONS, users)).await),
        ("TRACE", 405, nobody.send(ask(Method::TRACE, users)).await),
        ("HEAD", 401, nobody.send(ask(Method::HEAD, me)).await),
        ("not acceptable", 406, nobody.send(ask(Method::GET, me).header("accept", "text/html")).await),
        ("taken", 409, nobody.register("ann@example.com").await),
        ("stale", 412, ann.client.change(&ann.id, "\"other\"", &json!({ "name": "A" })).await),
        ("too long", 413, nobody.send(json(ask(Method::POST, users)).body("x".repeat(70_000))).await),
        ("no JSON", 400, nobody.send(json(ask(Method::POST, users)).body("{")).await),
        ("media type", 415, nobody.send(ask(Method::POST, users).body("{}")).await),
        (
            "compressed",
            415,
            nobody.send(json(ask(Method::POST, users)).header("content-encoding", "gzip").body("{}")).await,
        ),
        ("invalid", 422, nobody.post(users, &json!({})).await),
        (
            "no tag",
            428,
            ann.client.send(json(ann.client.request(Method::PATCH, &format!("{users}/{}", ann.id))).body("{}")).await,
        ),
        ("document", 200, nobody.get("/api/v1/openapi.json").await),
        ("document of keys", 200, nobody.get("/.well-known/jwks.json").await),
        ("document for people", 200, nobody.get("/api/v1/docs/").await),
        ("live", 200, nobody.get("/health/live").await),
        ("ready", 200, nobody.get("/health/ready?verbose").await),
        ("signed out", 204, ann.client.sign_out().await),
    ];
    let bob = nobody.signed_in("bob@example.com").await;
    for (name, fault, status) in [
        ("broken", json!([{ "fault": "error", "route": me, "method": "GET" }]), 500),
        ("panicked", json!([{ "fault": "panic", "route": me, "method": "GET" }]), 500),
        ("without a store", json!([{ "fault": "refused_pool" }]), 503),
    ] {
        inflict(service, &fault).await;
        answers.push((name, status, bob.client.me().await));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_answer_says_what_browsers_must_not_do() {
    let service = Service::start_with(Engine::Sqlite, FAULTS).await;
    for (name, status, reply) in answers(&service).await {
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
        assert_restrained(name, &reply);
    }
}

#[tokio::test]
async fn only_who_came_by_https_is_told_to_stay_there() {
    let trusting = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let wary = Service::start().await;
    let ask = async |service: &Service, scheme: &str| {
        let client = service.client();
        let reply = client.send(client.request(Method::GET, "/nowhere").header("x-forwarded-proto", scheme)).await;
        reply.header("strict-transport-security").to_owned()
    };
    assert_eq!(ask(&trusting, "https").await, "max-age=63072000");
    assert_eq!(ask(&trusting, "http").await, "");
    assert_eq!(ask(&wary, "https").await, "", "hearsay");
}

/// What an attacker writes beside a secret tells by its length how much of it was right (BREACH): so nothing shrinks.
#[tokio::test]
async fn nothing_is_compressed_whoever_asks_for_it() {
    let service = Service::start().await;
    let root = service.admin("root@example.com").await;
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = root.client.request(method, &path.replace("{id}", &root.id));
            let body = json!({ "email": root.email, "password": PASSWORD, "refresh_token": root.refresh_token });
            let request = request.header("accept-encoding", "gzip, br, zstd, deflate, *;q=0.1").header("if-match", "*");
            let reply = root.client.send(request.json(&body)).await;
            assert!(!reply.headers.contains_key("content-encoding"), "{path}: {reply:?}");
            let is_json = !reply.header("content-type").starts_with("text/");
            assert!(!is_json || reply.text.is_empty() || reply.json != Value::Null, "{path}: {}", reply.text);
            asked += 1;
        }
    }
    assert!(asked >= 11, "{asked}");
}

const PAGE: &str = "https://app.example.com";
const NAMED: &[(&str, &str)] =
    &[("GLASSHOUSE_HTTP__CORS_ORIGINS", "https://app.example.com,https://other.example.com:8443")];

fn from(request: RequestBuilder, origin: &str) -> RequestBuilder {
    request.header("origin", origin)
}

fn preflight(request: RequestBuilder, origin: &str) -> RequestBuilder {
    from(request, origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type,if-match")
}

/// The values of a header, in all its lines.
fn items(reply: &Reply, name: &str) -> Vec<String> {
    let lines = reply.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
    lines.flat_map(|line| line.split(',')).map(|item| item.trim().to_lowercase()).collect()
}

#[tokio::test]
async fn pages_of_named_origins_may_read_answers_and_nobody_elses() {
    let service = Service::start_with(Engine::Sqlite, NAMED).await;
    let client = service.client();
    let path = "/api/v1/users/0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b";
    for origin in [PAGE, "https://other.example.com:8443"] {
        let reply = client.send(preflight(client.request(Method::OPTIONS, path), origin)).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (204, origin));
        assert!(items(&reply, "access-control-allow-methods").contains(&"patch".to_owned()), "{reply:?}");
        for header in ["authorization", "content-type", "if-match"] {
            assert!(items(&reply, "access-control-allow-headers").contains(&header.to_owned()), "{header}: {reply:?}");
        }
        assert_eq!(reply.header("access-control-max-age"), "600");
        // Refusals too: a script has to learn why.
        for reply in [
            client.send(from(client.request(Method::GET, path), origin)).await,
            client.send(from(client.request(Method::GET, "/nowhere"), origin)).await,
        ] {
            assert_eq!(reply.header("access-control-allow-origin"), origin, "{reply:?}");
            assert!(items(&reply, "access-control-expose-headers").contains(&"x-request-id".to_owned()), "{reply:?}");
            assert!(items(&reply, "vary").contains(&"origin".to_owned()), "{reply:?}");
            assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        }
    }
    let strangers = [
        "https://app.example.com.attacker.example",
        "https://attacker.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://sub.app.example.com",
        "null",
        "*",
        "",
    ];
    for origin in strangers {
        let asked = client.send(preflight(client.request(Method::OPTIONS, path), origin)).await;
        assert_eq!(asked.status, 405, "{origin}");
        for reply in [asked, client.send(from(client.request(Method::GET, path), origin)).await] {
            let told: Vec<_> =
                reply.headers.keys().filter(|name| name.as_str().starts_with("access-control")).collect();
            assert!(told.is_empty(), "{origin}: {told:?}");
            assert!(items(&reply, "vary").contains(&"origin".to_owned()), "{origin}: {reply:?}");
        }
    }
    let twice = from(from(client.request(Method::GET, path), PAGE), PAGE);
    assert!(!client.send(twice).await.headers.contains_key("access-control-allow-origin"));
    let plain = client.send(from(client.request(Method::OPTIONS, path), PAGE)).await;
    assert_eq!(plain.status, 405, "without a question it is no preflight");
    let counted = "http_server_request_duration_seconds_count{error_type=\"\",http_request_method=\"OPTIONS\",\
                   http_response_status_code=\"204\",http_route=\"/api/v1/users/{id}\",url_scheme=\"http\"}";
    assert_eq!(service.metric(counted).await, Some(2.0), "a preflight is counted as what it is");
}

#[tokio::test]
async fn where_no_origin_is_named_nobody_elses_page_may_read_anything() {
    let service = Service::start().await;
    let client = service.client();
    for request in [
        preflight(client.request(Method::OPTIONS, "/api/v1/users"), PAGE),
        from(client.request(Method::GET, "/api/v1/users"), PAGE),
    ] {
        let reply = client.send(request).await;
        assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{reply:?}");
    }
}
