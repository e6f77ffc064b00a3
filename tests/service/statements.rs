//! How many statements each operation makes: one more, and this fails.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Service, on_both_stores};

/// Who is who costs one statement wherever a caller is asked for; a transaction costs its begin and its commit.
const TABLE: &[(&str, u64)] = &[
    ("register", 1),
    ("register a taken address", 1),
    ("register under a key", 5),
    ("register again under the key", 1),
    ("register a taken address under a key", 5),
    ("sign in", 5),
    ("sign in with a wrong password", 1),
    ("sign in as nobody", 1),
    ("refresh", 1),
    ("refresh again", 2),
    ("refresh with a used token", 3),
    ("read oneself", 1),
    ("read oneself by id", 1),
    ("read another", 2),
    ("list one page of 20", 2),
    ("list with filters", 2),
    ("change", 2),
    ("change another", 6),
    ("change nothing", 1),
    ("replace", 2),
    ("change a password", 6),
    ("list the trail", 2),
    ("list the trail of one", 2),
    ("remove another", 6),
    ("remove", 2),
    ("sign out", 2),
    ("show garbage", 0),
    ("show no token", 0),
    ("read the keys", 0),
    ("be live", 0),
];

/// Sends a request under a name, and finds in its line how many statements it made.
struct Counting<'a> {
    service: &'a Service,
    counts: Vec<(&'static str, u64)>,
}

impl Counting<'_> {
    async fn count(&mut self, name: &'static str, status: u16, request: reqwest::RequestBuilder) -> Value {
        let id = name.replace(' ', "-");
        let reply = self.service.client().named(&id, request).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
        let line = self.service.line(&id).await;
        self.counts.push((name, line["db.queries"].as_u64().unwrap()));
        reply.json
    }
}

fn request(client: &Client, method: Method, path: &str, body: &Value) -> reqwest::RequestBuilder {
    client.request(method, path).header("if-match", "*").json(body)
}

on_both_stores! {
    async fn each_operation_makes_as_many_statements_as_the_table_says(engine) {
        let service = Service::start_with(engine, &[("GLASSHOUSE_LOG__FILTER", "info,glasshouse::http=debug")]).await;
        let nobody = service.client();
        let ann = nobody.joined("ann@example.com").await;
        let root = service.admin("root@example.com").await;
        for number in 0..25 {
            assert_eq!(nobody.register(&format!("user{number}@example.com")).await.status, 201);
        }
        let mut counting = Counting { service: &service, counts: Vec::new() };
        let (post, get, put, patch, delete) = (Method::POST, Method::GET, Method::PUT, Method::PATCH, Method::DELETE);
        let none = json!({});
        let itself = format!("/api/v1/users/{}", ann.id);
        let password = format!("{itself}/password");

        let new = json!({ "email": "new@example.com", "password": PASSWORD, "name": "New" });
        let made = counting.count("register", 201, request(&nobody, post.clone(), "/api/v1/users", &new)).await;
        counting.count("register a taken address", 409, request(&nobody, post.clone(), "/api/v1/users", &new)).await;
        let other = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
        let keyed = |body: &Value, key: &str| {
            request(&nobody, post.clone(), "/api/v1/users", body).header("idempotency-key", key)
        };
        let once = json!({ "email": "once@example.com", "password": PASSWORD, "name": "Once" });
        counting.count("register under a key", 201, keyed(&once, "one")).await;
        counting.count("register again under the key", 201, keyed(&once, "one")).await;
        counting.count("register a taken address under a key", 409, keyed(&once, "two")).await;
        for (name, email, secret, status) in [
            ("sign in", "new@example.com", PASSWORD, 200),
            ("sign in with a wrong password", "new@example.com", "a wrong one", 401),
            ("sign in as nobody", "nobody@example.com", "a wrong one", 401),
        ] {
            let shown = json!({ "email": email, "password": secret });
            counting.count(name, status, request(&nobody, post.clone(), "/api/v1/auth/sign-in", &shown)).await;
        }
        let bob = nobody.signed_in("new@example.com").await;
        let shown = json!({ "refresh_token": bob.refresh_token });
        counting.count("refresh", 200, request(&nobody, post.clone(), "/api/v1/auth/refresh", &shown)).await;
        let again = || request(&nobody, post.clone(), "/api/v1/auth/refresh", &shown);
        counting.count("refresh again", 200, again()).await;
        service.pass(chrono::TimeDelta::seconds(61));
        counting.count("refresh with a used token", 401, again()).await;
        counting.count("read oneself", 200, request(&ann.client, get.clone(), "/api/v1/users/me", &none)).await;
        counting.count("read oneself by id", 200, request(&ann.client, get.clone(), &itself, &none)).await;
        counting.count("read another", 200, request(&root.client, get.clone(), &other, &none)).await;
        let page = request(&root.client, get.clone(), "/api/v1/users", &none);
        let page = counting.count("list one page of 20", 200, page).await;
        assert_eq!(page["users"].as_array().unwrap().len(), 20);
        let filters = "/api/v1/users?role=user&email_prefix=user&limit=5";
        counting.count("list with filters", 200, request(&root.client, get.clone(), filters, &none)).await;
        let name = |name: &str| json!({ "name": name });
        counting.count("change", 200, request(&ann.client, patch.clone(), &itself, &name("One"))).await;
        counting.count("change another", 200, request(&root.client, patch.clone(), &other, &name("One"))).await;
        counting.count("change nothing", 200, request(&ann.client, patch, &itself, &none)).await;
        let whole = json!({ "email": "ann@example.com", "name": "Two" });
        counting.count("replace", 200, request(&ann.client, put.clone(), &itself, &whole)).await;
        let passwords = json!({ "old_password": PASSWORD, "new_password": "another canary" });
        counting.count("change a password", 204, request(&ann.client, put, &password, &passwords)).await;
        let trail = "/api/v1/audit";
        counting.count("list the trail", 200, request(&root.client, get.clone(), trail, &none)).await;
        let of_one = format!("{trail}?subject={}", ann.id);
        counting.count("list the trail of one", 200, request(&root.client, get.clone(), &of_one, &none)).await;
        counting.count("remove another", 204, request(&root.client, delete.clone(), &other, &none)).await;
        counting.count("remove", 204, request(&ann.client, delete, &itself, &none)).await;
        let out = request(&root.client, post, "/api/v1/auth/sign-out", &none);
        counting.count("sign out", 204, out).await;
        let garbage = nobody.as_bearer("garbage");
        counting.count("show garbage", 401, request(&garbage, get.clone(), "/api/v1/users/me", &none)).await;
        counting.count("show no token", 401, request(&nobody, get.clone(), "/api/v1/users/me", &none)).await;
        let keys = request(&nobody, get.clone(), "/.well-known/jwks.json", &none);
        counting.count("read the keys", 200, keys).await;
        counting.count("be live", 200, request(&nobody, get, "/health/live", &none)).await;
        assert_eq!(counting.counts, TABLE);
    }
}

on_both_stores! {
    async fn the_histogram_the_header_and_the_line_agree(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let route = "{http_route=\"/api/v1/users/{id}\"}";
        let sum = async || service.metric(&format!("glasshouse_request_db_queries_sum{route}")).await.unwrap_or_default();
        let before = sum().await;
        let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
        let reply = ann.client.named("counted", request.header("if-match", "*").json(&json!({ "name": "One" }))).await;
        assert!(reply.header("server-timing").ends_with(";desc=\"2 queries\""), "{reply:?}");
        assert_eq!(service.line("counted").await["db.queries"], 2);
        crate::support::eventually("the histogram has two more", async || {
            ((sum().await - before - 2.0).abs() < 0.1).then_some(())
        }).await;
    }
}
