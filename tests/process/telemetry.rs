//! Telemetry of a whole process: how soon a line is out, and what a collector that is away does to it.

use std::time::{Duration, Instant};

use crate::program::{Program, get, until};

#[test]
fn a_log_line_is_out_within_a_tenth_of_a_second() {
    let program = Program::start(&[]);
    let mut quickest = Duration::MAX;
    for number in 0..5 {
        let id = format!("timed-{number}");
        let request = format!(
            "GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n"
        );
        crate::program::exchange(program.public, &request).unwrap();
        let answered = Instant::now();
        until("its line is read", || program.lines().iter().any(|(_, line)| line["request_id"] == id.as_str()));
        let (read, _) = program.lines().into_iter().find(|(_, line)| line["request_id"] == id.as_str()).unwrap();
        quickest = quickest.min(read.saturating_duration_since(answered));
    }
    // The best of five: a busy machine may delay one, a writer that waits for company delays all.
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}

#[test]
fn a_collector_that_is_away_is_said_once_and_counted() {
    // Nobody listens on a port that was just given back.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Program::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{gone}")),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
    ]);
    let failures = || {
        let metrics = get(program.internal, "/metrics").unwrap().1;
        let failed =
            metrics.lines().filter_map(|line| line.strip_prefix("otel_sdk_exporter_span_exported_total{error_type=\""));
        failed
            .filter(|rest| !rest.starts_with('"'))
            .map(|rest| rest.split_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum::<f64>()
    };
    for wanted in [1.0, 2.0, 3.0] {
        until("exports fail", || {
            assert_eq!(get(program.public, "/.well-known/jwks.json").unwrap().0, 200);
            failures() >= wanted
        });
    }
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.code, Some(0));
    let said: Vec<_> = ended
        .lines
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("exporting fails")))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["otel.signal"], "spans");
    assert!(
        !ended
            .lines
            .iter()
            .any(|line| line["target"].as_str().is_some_and(|target| target.starts_with("opentelemetry")))
    );
}
