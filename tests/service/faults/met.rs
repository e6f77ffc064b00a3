//! What requests and statements meet: an error, a delay, a hang, a panic.

use reqwest::Method;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{ALLOWED, ME, end, met, on, put, rehearsing};
use crate::support::{Collector, Engine, PASSWORD, Service, attribute, eventually, on_both_stores};

on_both_stores! {
    async fn an_error_at_a_route_is_a_500_there_and_nowhere_else(engine) {
        let (service, ann) = rehearsing(engine).await;
        put(&service, &json!([{ "fault": "error", "route": "/api/v1/users/{id}", "method": "GET" }])).await;
        let path = format!("/api/v1/users/{}", ann.id);
        let reply = ann.client.named("broken-1", ann.client.request(Method::GET, &path)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"));
        assert!(!reply.text.contains("injected"), "{}", reply.text);
        let line = service.line("broken-1").await;
        assert_eq!((&line["level"], &line["error.type"]), (&json!("ERROR"), &json!("internal")));
        assert_eq!(line["error.message"], "a fault was injected");
        assert_eq!(line["db.queries"], 0, "it did not get that far");
        assert_eq!(ann.client.change(&ann.id, "*", &json!({ "name": "Lee" })).await.status, 200, "another method");
        assert_eq!(ann.client.me().await.status, 200, "another route");
        for probe in ["/health/live", "/health/ready"] {
            assert_eq!(ann.client.get(probe).await.status, 200, "{probe}");
        }
        assert_eq!((on(&service, "error").await, met(&service, "error").await), (1.0, Some(1.0)));
        end(&service).await;
        assert_eq!(ann.client.get(&path).await.status, 200);
        assert_eq!((on(&service, "error").await, met(&service, "error").await), (0.0, Some(1.0)));
    }
}

on_both_stores! {
    async fn an_error_of_a_statement_is_the_databases_for_all_who_look(engine) {
        let collector = Collector::start().await;
        let service = Service::observed(engine, &collector, &[ALLOWED]).await;
        let ann = service.client().joined("ann@example.com").await;
        put(&service, &json!([{ "fault": "error", "statement": "SELECT sessions" }])).await;
        let reply = ann.client.named("broken-1", ann.client.request(Method::GET, ME)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"));
        let line = service.line("broken-1").await;
        assert_eq!(line["db.queries"], 1);
        assert!(line["error.message"].as_str().unwrap().contains("the database answered injected"), "{line}");
        let system = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
        let failed = format!(
            "db_client_operation_duration_seconds_count{{db_collection_name=\"sessions\",db_operation_name=\"SELECT\",\
             db_query_summary=\"SELECT sessions\",db_system_name=\"{system}\",error_type=\"injected\"}}"
        );
        assert_eq!(service.metric(&failed).await, Some(1.0));
        assert_eq!(service.client().get("/health/ready").await.status, 200, "another statement");
        eventually("the span says so", async || {
            collector.spans().into_iter().find(|span| {
                span.name == "SELECT sessions" && attribute(&span.attributes, "error.type").as_deref() == Some("injected")
            })
        })
        .await;
        end(&service).await;
        assert_eq!(ann.client.me().await.status, 200);
    }
}

on_both_stores! {
    async fn a_transaction_that_a_fault_breaks_changes_nothing(engine) {
        let (service, ann) = rehearsing(engine).await;
        for statement in ["BEGIN", "COMMIT"] {
            put(&service, &json!([{ "fault": "error", "statement": statement }])).await;
            let reply = ann.client.change_password(&ann.id, PASSWORD, "another canary").await;
            assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"), "{statement}");
            end(&service).await;
            assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200, "{statement}");
        }
        assert_eq!(ann.client.change_password(&ann.id, PASSWORD, "another canary").await.status, 204);
    }
}

#[tokio::test]
async fn a_delay_lasts_as_long_as_it_says_where_it_says() {
    let (service, ann) = rehearsing(Engine::Sqlite).await;
    let seconds = async |id: &str, field: &str| service.line(id).await[field].as_f64().unwrap();
    let ask = async |id: &str| ann.client.named(id, ann.client.request(Method::GET, ME)).await.status.as_u16();

    put(&service, &json!([{ "fault": "delay", "route": ME, "for": "300ms" }])).await;
    assert_eq!(ask("slow-1").await, 200);
    let (request, database) =
        (seconds("slow-1", "duration_seconds").await, seconds("slow-1", "db.duration_seconds").await);
    assert!(request >= 0.3 && database < 0.3, "{request} {database}");

    put(&service, &json!([{ "fault": "delay", "statement": "SELECT sessions", "for": "300ms" }])).await;
    assert_eq!(ask("slow-2").await, 200);
    assert!(seconds("slow-2", "db.duration_seconds").await >= 0.3);
    let slow = "db_client_operation_duration_seconds_sum{db_collection_name=\"sessions\",db_operation_name=\"SELECT\",\
                db_query_summary=\"SELECT sessions\",db_system_name=\"sqlite\",error_type=\"\"}";
    assert!(service.metric(slow).await.unwrap() >= 0.3);
    assert_eq!(met(&service, "delay").await, Some(2.0));

    // Both at once, one after the other; and the end of the faults is the end of a delay.
    let both = [("route", ME, "100ms"), ("statement", "SELECT sessions", "100ms")];
    put(&service, &both.iter().map(|(at, name, delay)| json!({ "fault": "delay", "for": delay, *at: name })).collect())
        .await;
    assert_eq!(ask("slow-3").await, 200);
    assert!(seconds("slow-3", "duration_seconds").await >= 0.2);
    put(&service, &json!([{ "fault": "delay", "route": ME, "for": "10m" }])).await;
    let before = met(&service, "delay").await;
    let (status, ()) = tokio::join!(ask("slow-4"), async {
        eventually("it waits", async || (met(&service, "delay").await > before).then_some(())).await;
        end(&service).await;
    });
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_share_decides_how_many_meet_it() {
    let (service, ann) = rehearsing(Engine::Sqlite).await;
    for (share, least, most) in [(json!(0), 0, 0), (json!(1), 40, 40), (json!(0.5), 5, 35)] {
        put(&service, &json!([{ "fault": "error", "route": ME, "share": share }])).await;
        let mut failed = 0;
        for _ in 0..40 {
            failed += usize::from(ann.client.me().await.status == 500);
        }
        assert!((least..=most).contains(&failed), "{share}: {failed} of 40");
    }
}

#[tokio::test]
async fn a_hang_ends_with_the_deadline_with_the_client_or_with_the_fault() {
    let settings = [ALLOWED, ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "2s")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    for place in [json!({ "route": ME }), json!({ "statement": "SELECT sessions" })] {
        let mut fault = place.clone();
        fault["fault"] = json!("hang");
        put(&service, &json!([fault])).await;
        let cut = ann.client.me().await;
        assert_eq!((cut.status.as_u16(), cut.code()), (504, "timeout"), "{place}");
        let before = met(&service, "hang").await;
        let (reply, ()) = tokio::join!(ann.client.me(), async {
            eventually("it hangs", async || (met(&service, "hang").await > before).then_some(())).await;
            end(&service).await;
        });
        assert_eq!(reply.status, 200, "{place}");
    }
    put(&service, &json!([{ "fault": "hang", "route": ME }])).await;
    let before = met(&service, "hang").await;
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    let head = format!("GET {ME} HTTP/1.1\r\nhost: a\r\nx-request-id: gone-1\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("it hangs", async || (met(&service, "hang").await > before).then_some(())).await;
    drop(stream);
    assert_eq!(service.line("gone-1").await["http.response.status_code"], 499);
}

#[tokio::test]
async fn a_panic_is_a_500_a_count_and_a_line_and_the_service_goes_on() {
    let (service, ann) = rehearsing(Engine::Sqlite).await;
    let panics = async || service.metric("glasshouse_panics_total").await.unwrap();
    let before = panics().await;
    put(&service, &json!([{ "fault": "panic", "route": ME }])).await;
    let reply = ann.client.named("panic-1", ann.client.request(Method::GET, ME)).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"));
    assert!(!reply.text.contains("panic\""), "{}", reply.text);
    let line = service.line("panic-1").await;
    assert_eq!((&line["level"], &line["error.type"]), (&json!("ERROR"), &json!("panic")));
    let series = format!(
        "http_server_request_duration_seconds_count{{error_type=\"panic\",http_request_method=\"GET\",\
         http_response_status_code=\"500\",http_route=\"{ME}\",url_scheme=\"http\"}}"
    );
    assert_eq!(service.metric(&series).await, Some(1.0));
    assert!(panics().await > before);
    let line = service.line_of("glasshouse::panic").await;
    assert_eq!((&line["level"], &line["request_id"]), (&json!("ERROR"), &json!("panic-1")));
    assert_eq!(line["exception.message"], "a fault was injected");
    assert!(line["code.location"].as_str().unwrap().starts_with("src/faults/"), "{line}");
    assert!(line["exception.stacktrace"].as_str().unwrap().contains("injected_panic"), "{line}");
    end(&service).await;
    assert_eq!(ann.client.me().await.status, 200);
}
