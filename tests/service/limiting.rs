//! Who asks too often is told so, who is told so, and who is not kept out by others.

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Client, Engine, PASSWORD, Postgres, Reply, Service, on_both_stores};

/// Nothing comes back while a test runs.
const SLOW: &[(&str, &str)] = &[
    ("GLASSHOUSE_LIMITS__ENABLED", "true"),
    ("GLASSHOUSE_LIMITS__ADDRESS_RATE", "1"),
    ("GLASSHOUSE_LIMITS__SIGN_IN_RATE", "1"),
    ("GLASSHOUSE_LIMITS__SIGN_IN_BURST", "3"),
];
const TRUSTED: (&str, &str) = ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "127.0.0.0/8");

async fn limited(more: &[(&str, &str)]) -> Service {
    Service::start_with(Engine::Sqlite, &[SLOW, more].concat()).await
}

/// A request of that address, as a proxy hands it on.
async fn from(client: &Client, address: &str, path: &str) -> Reply {
    client.send(client.request(Method::GET, path).header("x-forwarded-for", address)).await
}

async fn sign_in_from(client: &Client, address: &str, email: &str, password: &str) -> Reply {
    let request = client.request(Method::POST, "/api/v1/auth/sign-in").header("x-forwarded-for", address);
    client.send(request.json(&json!({ "email": email, "password": password }))).await
}

/// `("default", 19, 1)` of `"default";r=19;t=1`, and alike for the policy.
fn item(reply: &Reply, name: &str) -> (String, u64, u64) {
    let first = reply.header(name).split(", ").next().unwrap().to_owned();
    let parts: Vec<_> = first.split(';').collect();
    let [policy, one, other] = parts.as_slice() else { panic!("three parts and not {first}") };
    let number = |part: &str| part.split_once('=').unwrap().1.parse().unwrap();
    (policy.trim_matches('"').to_owned(), number(one), number(other))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_passes_and_the_rest_is_told_when_to_come_back() {
    let service = limited(&[]).await;
    let client = service.client();
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(client.get("/.well-known/jwks.json").await);
    }
    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(answers[..20].iter().all(|answer| answer.status == 200), "a burst of 20 passes");
    assert!((20..40).contains(&passed.len()) && refused.len() + passed.len() == 60, "{}", passed.len());
    assert_eq!(item(&answers[0], "ratelimit-policy"), ("default".to_owned(), 20, 20));
    assert_eq!(item(&answers[0], "ratelimit"), ("default".to_owned(), 19, 1));
    for answer in refused {
        assert_eq!((answer.status.as_u16(), answer.code()), (429, "too_many_requests"));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(item(answer, "ratelimit"), ("default".to_owned(), 0, 1));
        assert!(!answer.header("x-request-id").is_empty());
    }
    let counted = service.metric("glasshouse_requests_limited_total{reason=\"address\"}").await;
    assert_eq!(counted, Some(f64::from(u32::try_from(60 - passed.len()).unwrap())));
    assert_eq!(service.metric("glasshouse_limit_clients{limit=\"address\"}").await, Some(1.0));
    // What is there for everybody to ask is not limited, and neither is the internal port.
    for path in ["/health/live", "/health/ready"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers.get("ratelimit").is_none());
    }
    // What is nowhere is.
    assert_eq!(client.get("/nowhere").await.status, 429);
    // Whoever calls it what it likes is still the same.
    assert_eq!(from(&client, "198.51.100.1", "/.well-known/jwks.json").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_trusted_proxy_are_told_apart_and_networks_are_not() {
    let service = limited(&[TRUSTED, ("GLASSHOUSE_LIMITS__ADDRESS_BURST", "2")]).await;
    let client = service.client();
    let keys = "/.well-known/jwks.json";
    let ask = async |address: &str| from(&client, address, keys).await.status.as_u16();
    assert_eq!([ask("198.51.100.1").await, ask("198.51.100.1").await], [200, 200]);
    assert_eq!([ask("198.51.100.1").await, ask("198.51.100.2").await], [429, 200]);
    // The client before the proxy says whatever it likes.
    assert_eq!(ask("203.0.113.5, 198.51.100.1").await, 429);
    assert_eq!([ask("2001:db8:0:1::1").await, ask("2001:db8:0:1::2").await], [200, 200]);
    assert_eq!([ask("2001:db8:0:1:ffff::3").await, ask("2001:db8:0:2::1").await], [429, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_wherever_it_comes_from_and_says_nothing_of_who_has_an_account() {
    let service = limited(&[TRUSTED]).await;
    let client = service.client();
    assert_eq!(client.register("ann@example.com").await.status, 201);
    for (at, email) in ["Ann@example.com", "nobody@example.com"].into_iter().enumerate() {
        let mut told = Vec::new();
        for try_number in 0..5 {
            let address = format!("198.51.{at}.{try_number}");
            let answer = sign_in_from(&client, &address, email, "not the one").await;
            told.push((answer.status.as_u16(), answer.code().to_owned()));
            if answer.status == 429 {
                let (policy, left, again_in) = item(&answer, "ratelimit");
                assert_eq!((policy.as_str(), left), ("sign-in", 0));
                assert!((3500..=3600).contains(&again_in), "{again_in}");
                assert_eq!(answer.header("retry-after"), again_in.to_string());
                assert_eq!(item(&answer, "ratelimit-policy"), ("sign-in".to_owned(), 3, 10_800));
            }
        }
        let statuses: Vec<_> = told.iter().map(|(status, code)| (*status, code.as_str())).collect();
        let (wrong, many) = ((401, "credentials_wrong"), (429, "too_many_sign_ins"));
        assert_eq!(statuses, [wrong, wrong, wrong, many, many], "{email}");
    }
    assert_eq!(service.metric("glasshouse_requests_limited_total{reason=\"account\"}").await, Some(4.0));
    assert_eq!(service.metric("glasshouse_sign_ins_total{outcome=\"limited\"}").await, Some(4.0));
    assert_eq!(service.metric("glasshouse_limit_clients{limit=\"account\"}").await, Some(2.0));
    // The right password does not help a stranger now: it would tell which one it is.
    assert_eq!(sign_in_from(&client, "198.51.100.9", "ann@example.com", PASSWORD).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_signs_in_as_often_as_it_likes_and_is_not_locked_out_by_who_guesses() {
    let service = limited(&[TRUSTED]).await;
    let client = service.client();
    assert_eq!(client.register("ann@example.com").await.status, 201);
    for _ in 0..6 {
        assert_eq!(sign_in_from(&client, "192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
    }
    for _ in 0..4 {
        sign_in_from(&client, "198.51.100.1", "ann@example.com", "not the one").await;
    }
    assert_eq!(sign_in_from(&client, "198.51.100.1", "ann@example.com", PASSWORD).await.status, 429);
    assert_eq!(sign_in_from(&client, "192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
}

on_both_stores! {
    async fn known_network_is_not_locked_out_at_another_instance_or_after_a_restart(engine) {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        let settings = [
            TRUSTED,
            ("GLASSHOUSE_LIMITS__ENABLED", "true"),
            ("GLASSHOUSE_LIMITS__ADDRESS_BURST", "1000"),
            ("GLASSHOUSE_LIMITS__SIGN_IN_BURST", "3"),
            ("GLASSHOUSE_LIMITS__SIGN_IN_RATE", "1"),
        ];
        let before = Service::start_on(TempDir::new().unwrap(), &url, &settings).await;
        assert_eq!(before.client().register("ann@example.com").await.status, 201);
        assert_eq!(sign_in_from(&before.client(), "192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
        before.stop().await.outcome.unwrap();

        let after = Service::start_on(TempDir::new().unwrap(), &url, &settings).await;
        let client = after.client();
        for _ in 0..4 {
            sign_in_from(&client, "198.51.100.1", "ann@example.com", "not the one").await;
        }
        assert_eq!(sign_in_from(&client, "198.51.100.1", "ann@example.com", PASSWORD).await.status, 429);
        assert_eq!(sign_in_from(&client, "192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
        // Even from there, guesses are bounded, and what the store knows does not refill an empty bucket.
        let mut statuses = Vec::new();
        for _ in 0..5 {
            let reply = sign_in_from(&client, "192.0.2.1", "ann@example.com", "not the one").await;
            statuses.push(reply.status.as_u16());
        }
        assert_eq!(statuses, [401, 401, 401, 429, 429]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_copied_token_guesses_its_password_no_faster_than_others() {
    let service = limited(&[TRUSTED]).await;
    let ann = service.client().joined("ann@example.com").await;
    let guess = async |old: &str| {
        let path = format!("/api/v1/users/{}/password", ann.id);
        let request = ann.client.request(Method::PUT, &path).header("x-forwarded-for", "198.51.100.1");
        ann.client.send(request.json(&json!({ "old_password": old, "new_password": "another fine password" }))).await
    };
    for _ in 0..3 {
        assert_eq!(guess("not the one").await.code(), "password_wrong");
    }
    for old in ["not the one", PASSWORD] {
        let answer = guess(old).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (429, "too_many_sign_ins"));
    }
    assert_eq!(service.metric("glasshouse_sign_ins_total{outcome=\"limited\"}").await, Some(2.0));
    // Where she has signed in, she may change it.
    assert_eq!(ann.client.change_password(&ann.id, PASSWORD, "another fine password").await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_hold_all_connections() {
    let more = [TRUSTED_NOBODY, ("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "8")];
    let service = limited(&more).await;
    let mut open = Vec::new();
    let mut closed = 0;
    for _ in 0..6 {
        let mut stream = tokio::net::TcpStream::connect(service.public).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.ok();
        let mut said = [0; 12];
        match tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said).await {
            Ok(_) => open.push(stream),
            Err(_) => closed += 1,
        }
    }
    assert_eq!((open.len(), closed), (2, 4));
    let counted = service.metric("glasshouse_http_connection_failures_total{reason=\"crowded\"}").await;
    assert_eq!(counted, Some(4.0));
}

const TRUSTED_NOBODY: (&str, &str) = ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "");

#[tokio::test(flavor = "multi_thread")]
async fn no_e_mail_address_is_in_what_is_said_of_a_limit() {
    let service = limited(&[]).await;
    for _ in 0..5 {
        service.client().sign_in("canary@example.com", "not the one").await;
    }
    let page = service.internal("/metrics").await.text().await.unwrap();
    assert!(!page.contains("canary"));
    let stopped = service.stop().await;
    assert!(stopped.log.contains("too_many_sign_ins") && !stopped.log.contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_count_against_the_limit_of_the_address() {
    let service = limited(&[("GLASSHOUSE_HTTP__CORS_ORIGINS", "https://app.example.com")]).await;
    let client = service.client();
    let invalid_timeout = || client.request(Method::GET, "/.well-known/jwks.json").header("x-request-timeout", "x");
    let invalid_host = || client.request(Method::GET, "/.well-known/jwks.json").header("host", "user@a");
    let preflight = || {
        client
            .request(Method::OPTIONS, "/api/v1/users")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
    };
    let unknown_route = || client.request(Method::GET, "/nowhere");
    let requests: [(u16, &dyn Fn() -> reqwest::RequestBuilder); 4] =
        [(400, &invalid_timeout), (400, &invalid_host), (204, &preflight), (404, &unknown_route)];
    for (status, request) in requests {
        let mut statuses = Vec::new();
        for _ in 0..60 {
            let reply = client.send(request()).await;
            assert!(!reply.header("ratelimit").is_empty(), "{reply:?}");
            statuses.push(reply.status.as_u16());
        }
        assert!(statuses.iter().all(|one| [status, 429].contains(one)), "{statuses:?}");
        assert!(statuses.contains(&429), "{status} is never limited");
    }
}
