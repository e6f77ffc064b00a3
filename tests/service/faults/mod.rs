//! Faults on purpose, through the front door: each does what it says, where it says, and leaves nothing behind.

mod lasting;
mod met;
mod switching;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Engine, Service, Session};

const ALLOWED: (&str, &str) = ("GLASSHOUSE_FAULTS__ALLOWED", "true");
const ME: &str = "/api/v1/users/me";

async fn rehearsing(engine: Engine) -> (Service, Session) {
    let service = Service::start_with(engine, &[ALLOWED]).await;
    let ann = service.client().joined("ann@example.com").await;
    (service, ann)
}

fn switch(service: &Service, method: Method, query: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, format!("http://{}/debug/faults{query}", service.internal))
}

async fn put(service: &Service, faults: &Value) -> Value {
    let reply = switch(service, Method::PUT, "").body(faults.to_string()).send().await.unwrap();
    assert_eq!(reply.status(), 200, "{}", reply.text().await.unwrap());
    reply.json().await.unwrap()
}

async fn end(service: &Service) {
    let reply = switch(service, Method::DELETE, "").send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.json::<Value>().await.unwrap(), json!({ "allowed": true, "on": [], "ends_in_seconds": null }));
}

async fn shown(service: &Service) -> Value {
    service.internal("/debug/faults").await.json().await.unwrap()
}

/// How often a fault of that kind was met.
async fn met(service: &Service, fault: &str) -> Option<f64> {
    service.metric(&format!("glasshouse_faults_injected_total{{fault=\"{fault}\"}}")).await
}

async fn on(service: &Service, fault: &str) -> f64 {
    service.metric(&format!("glasshouse_faults_on{{fault=\"{fault}\"}}")).await.unwrap()
}
