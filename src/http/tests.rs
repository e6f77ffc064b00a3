//! What the layers promise, around routes that do nothing but misbehave.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, StatusCode},
    response::Response,
    routing::{get, post},
};
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{
    extract::Json,
    layered,
    layers::{EdgeConfig, Observer, Origins},
    metrics::HttpMetrics,
    problem::Problem,
};
use crate::{
    domain::users,
    lifecycle::Readiness,
    telemetry::{Metrics, Tracer, catalog},
};

const MAX_BODY: usize = 64;

struct Layers {
    router: Router,
    metrics: Metrics,
}

fn layers(request_timeout: Duration) -> Layers {
    let metrics = Metrics::new(1000);
    let observer = Arc::new(Observer {
        tracer: Tracer::off(),
        metrics: HttpMetrics::new(&metrics, &[]),
        trusted_proxies: Vec::new(),
        force_trace_token: None,
        server_timing: true,
        slow: Duration::from_mins(1),
    });
    let routes = Router::new()
        .route("/fine", get(async || "fine"))
        .route("/panic", get(async || -> &'static str { panic!("as asked") }))
        .route("/never", get(std::future::pending::<&'static str>))
        .route("/broken", get(async || -> Problem { broken().into() }))
        .route("/read-and-never", post(async |_: String| std::future::pending::<&'static str>().await))
        .route("/read", post(async |Json(fields): Json| fields.finish((Some(()),)).map(|_| "read")));
    let serving = Arc::new(Readiness::new(&metrics).latch("http"));
    serving.release();
    let edge = EdgeConfig {
        serving,
        observer,
        origins: Origins::new(&[]),
        limits: None,
        request_timeout,
        min_client_timeout: Duration::from_secs(1),
        max_body_bytes: MAX_BODY,
    };
    Layers { router: layered(routes, edge), metrics }
}

fn broken() -> users::Error {
    users::Error::Store(users::StoreError::Broken("the inside".into()))
}

fn patient() -> Layers {
    layers(Duration::from_mins(1))
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request =
        Request::builder().method(method).uri(path).header("host", "a").header("content-type", "application/json");
    request.body(body.into()).expect("it is a request")
}

impl Layers {
    async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> Response {
        let answer = self.router.clone().oneshot(request(method, path, body)).await;
        answer.expect("it never fails")
    }

    /// Every request that was measured: error type, method, status, route.
    fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for family in self.metrics.gather() {
            if family.name() != catalog::HTTP_SERVER_REQUEST_DURATION.name {
                continue;
            }
            for series in family.get_metric() {
                // The registry sorts labels by name; the scheme comes last.
                let [error_type, method, status, route, _] = series.get_label() else { panic!("five labels") };
                let values = [error_type.value(), method.value(), status.value(), route.value()];
                seen.push(values.join(" "));
            }
        }
        seen.sort_unstable();
        seen
    }

    fn active(&self) -> f64 {
        let mut active = 0.0;
        for family in self.metrics.gather() {
            if family.name() == catalog::HTTP_SERVER_ACTIVE_REQUESTS.name {
                for series in family.get_metric() {
                    active += series.get_gauge().get_value();
                }
            }
        }
        active
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("it is written").to_bytes();
    String::from_utf8(body.to_vec()).expect("it is text")
}

#[tokio::test]
async fn every_answer_names_its_request_and_its_trace() {
    let layers = layers(Duration::from_millis(20));
    for (method, path, body, status) in [
        (Method::GET, "/fine", "", 200),
        (Method::GET, "/nowhere", "", 404),
        (Method::DELETE, "/fine", "", 405),
        (Method::GET, "/panic", "", 500),
        (Method::GET, "/broken", "", 500),
        (Method::GET, "/never", "", 504),
        (Method::POST, "/read", "{", 400),
        (Method::POST, "/read", &"x".repeat(MAX_BODY + 1), 413),
    ] {
        let mut request = request(method, path, body.to_owned());
        request.headers_mut().insert("x-request-id", "mine".parse().expect("it is a value"));
        request.headers_mut().insert(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("it is a value"),
        );
        let response = layers.router.clone().oneshot(request).await.expect("it never fails");
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["x-request-id"], "mine", "{path}");
        let trace = response.headers()["traceresponse"].to_str().expect("it is text").to_owned();
        assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{path}: {trace}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
        if status >= 400 {
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
            let body = text(response).await;
            assert!(body.contains(r#""request_id":"mine""#), "{body}");
            assert!(body.contains(r#""trace_id":"0af7651916cd43dd8448eb211c80319c""#), "{body}");
        }
    }
}

#[tokio::test]
async fn a_5xx_says_nothing_of_the_inside() {
    let body = text(patient().ask(Method::GET, "/broken", "").await).await;
    assert!(!body.contains("store") && !body.contains("inside\""), "{body}");
}

#[tokio::test]
async fn what_became_of_a_request_is_its_label() {
    let layers = layers(Duration::from_millis(20));
    for (method, path) in [
        (Method::GET, "/fine"),
        (Method::HEAD, "/fine"),
        (Method::GET, "/nowhere?email=ann@example.com"),
        (Method::from_bytes(b"BREW").expect("it is a method"), "/fine"),
        (Method::GET, "/panic"),
        (Method::GET, "/never"),
        (Method::GET, "/broken"),
    ] {
        drop(text(layers.ask(method, path, "").await).await);
    }
    assert_eq!(
        layers.seen(),
        [
            " GET 200 /fine",
            " GET 404 _unmatched",
            " HEAD 200 /fine",
            " _OTHER 405 /fine",
            "internal GET 500 /broken",
            "panic GET 500 /panic",
            "timeout GET 504 /never",
        ]
    );
}

#[tokio::test]
async fn a_405_says_what_would_be_allowed() {
    let response = patient().ask(Method::DELETE, "/fine", "").await;
    assert_eq!(response.headers()["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_client_that_does_not_wait_counts() {
    let layers = patient();
    let asked = Box::pin(layers.ask(Method::GET, "/never", ""));
    assert!(asked.now_or_never().is_none());
    assert_eq!(layers.seen(), ["client_disconnected GET 499 /never"]);
}

#[tokio::test]
async fn a_request_is_under_way_until_its_answer_is_written() {
    let layers = patient();
    let response = layers.ask(Method::GET, "/fine", "").await;
    assert!((layers.active() - 1.0).abs() < 0.1);
    assert_eq!(text(response).await, "fine");
    assert!(layers.active().abs() < 0.1);
    drop(layers.ask(Method::GET, "/fine", "").await);
    assert_eq!(layers.seen(), [" GET 200 /fine", "client_disconnected GET 200 /fine"]);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_looked_at() {
    // Nobody would read it: its media type is not accepted.
    let request =
        Request::post("/read").header("host", "a").body(Body::from("x".repeat(MAX_BODY + 1))).expect("it is a request");
    let response = patient().router.oneshot(request).await.expect("it never fails");
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let layers = patient();
    let parts = std::iter::repeat_n(Ok::<_, Infallible>(Bytes::from("[".repeat(MAX_BODY / 2))), 3);
    let response = layers.ask(Method::POST, "/read", Body::from_stream(stream::iter(parts))).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_slow_sender_is_not_a_slow_service() {
    let layers = layers(Duration::from_millis(20));
    let parts = stream::iter([Ok::<_, Infallible>(Bytes::from("{"))]).chain(stream::pending());
    let response = layers.ask(Method::POST, "/read", Body::from_stream(parts)).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn who_waits_for_less_than_is_owed_to_anybody_says_nothing_of_our_health() {
    let layers = patient();
    let ask = async |wish: &str| {
        let mut request = request(Method::GET, "/never", "");
        request.headers_mut().insert("x-request-timeout", wish.parse().expect("a value"));
        let answer = layers.router.clone().oneshot(request).await.expect("it never fails");
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        text(answer).await
    };
    tokio::join!(ask("0.01"), ask("1.01"));
    assert_eq!(layers.seen(), ["client_deadline GET 504 /never", "timeout GET 504 /never"]);
}

#[tokio::test]
async fn who_leaves_us_no_time_by_sending_slowly_says_nothing_of_our_health_either() {
    let layers = layers(Duration::from_secs(1));
    let slow = stream::once(async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        Ok::<_, Infallible>(Bytes::from("{}"))
    });
    let (slow, quick) = tokio::join!(
        layers.ask(Method::POST, "/read-and-never", Body::from_stream(slow)),
        layers.ask(Method::POST, "/read-and-never", "{}"),
    );
    for answer in [slow, quick] {
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        text(answer).await;
    }
    assert_eq!(layers.seen(), ["client_deadline POST 504 /read-and-never", "timeout POST 504 /read-and-never"]);
}
