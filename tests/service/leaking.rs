//! No test leaves anything running in its service: `support/leaks.rs` holds each of them to it. Here, that it would notice.

use std::future::pending;

use glasshouse::telemetry::tasks::spawn_on;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Service, eventually, leaks::left};

fn found(service: &Service) -> Vec<String> {
    left(&service.main, service.public, service.at_rest)
}

async fn until_nothing_is_left(service: &Service) {
    eventually("nothing is left", async || found(service).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_task_that_is_left_is_named_with_the_place_where_it_was_begun() {
    let service = Service::start().await;
    until_nothing_is_left(&service).await;
    let forgotten = spawn_on(&service.main, "forgotten", pending::<()>());
    let found = found(&service);
    assert!(
        matches!(&found[..], [one] if one.starts_with("1 × forgotten, begun at tests/service/leaking.rs")),
        "{found:?}"
    );
    forgotten.abort();
    until_nothing_is_left(&service).await;
}

#[tokio::test]
async fn tasks_without_a_name_are_counted() {
    let service = Service::start().await;
    until_nothing_is_left(&service).await;
    let forgotten: Vec<_> = (0..20).map(|_| service.main.spawn(pending::<()>())).collect();
    let found = found(&service);
    assert!(matches!(&found[..], [one] if one.contains("without a name")), "{found:?}");
    forgotten.iter().for_each(tokio::task::JoinHandle::abort);
    until_nothing_is_left(&service).await;
}

#[tokio::test]
async fn a_connection_may_stay_as_long_as_its_client_does() {
    let service = Service::start().await;
    let mut client = TcpStream::connect(service.public).await.unwrap();
    client.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("it is served", async || {
        let open = service.metric("glasshouse_http_connections").await;
        open.filter(|open| *open >= 1.0)
    })
    .await;
    until_nothing_is_left(&service).await;
    drop(client);
    until_nothing_is_left(&service).await;
}
