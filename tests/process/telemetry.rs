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

/// Everything that any crate logs, with the collector away: what it is called with must not stand in it.
#[test]
fn no_secret_of_a_collector_is_logged_at_trace() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        let program = Program::start(&[
            ("GLASSHOUSE_LOG__FILTER", "trace,opentelemetry=trace"),
            ("GLASSHOUSE_LOG__QUEUE", "1000000"),
            ("GLASSHOUSE_INTERNAL__TOKEN", "canary-internal-token"),
            ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "canary-force-token"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://canary-user:canary%2Dpassword@{gone}/?key=canary-%C3%A4")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary-header,x-other=Bearer%20canary-bearer"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ]);
        until("an export has failed", || {
            get(program.public, "/.well-known/jwks.json").unwrap();
            let is_said = |(_, line): &(_, serde_json::Value)| line["otel.signal"] == "spans";
            program.lines().iter().any(is_said)
        });
        program.signal("TERM");
        let lines = program.wait().lines;
        let has_target = |name: &str| lines.iter().any(|line| line["target"].as_str().unwrap().starts_with(name));
        assert!(has_target("opentelemetry") && has_target("hyper_util"), "the log is not as loud as it can be");
        let log = lines.iter().map(ToString::to_string).collect::<String>().to_lowercase();
        for secret in ["canary", "%c3%a4", "y2fuyxj5"] {
            let found = log.find(secret).map(|at| &log[at.saturating_sub(300)..(at + 300).min(log.len())]);
            assert_eq!(found, None, "{protocol}");
        }
    }
}

/// Without a database that answers: its password and its parameters are in no line either.
#[test]
fn no_secret_of_a_database_is_logged_at_trace() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let mut child = crate::program::command(
        &[],
        &[
            ("DATABASE_URL", &format!("postgres://canary-user:canary%2Dpassword@{gone}/users")),
            ("GLASSHOUSE_LOG__FILTER", "trace"),
            ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"),
            ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0"),
        ],
        &folder,
    )
    .stdout(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let mut log = String::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())) {
        log += &line.unwrap();
        if log.contains("retry_seconds") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(log.contains("retry_seconds"), "{log}");
    assert!(!log.contains("canary-password") && !log.contains("canary%2D"), "{log}");
}

/// A collector over HTTP that answers every export with these bytes.
fn answering(bytes: &'static [u8]) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            // Until the whole body is there: its length is in the header.
            while let Ok(length @ 1..) = stream.read(&mut part) {
                request.extend_from_slice(&part[..length]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                let body = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
                if request.len() >= head.len() + 4 + body.parse::<usize>().unwrap() {
                    break;
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", bytes.len());
            stream.write_all(&[head.as_bytes(), bytes].concat()).ok();
        }
    });
    address
}

#[test]
fn partial_success_is_one_warning_with_the_collectors_reason() {
    // `partial_success { rejected_spans: 1, error_message: "quota" }`
    let collector = answering(b"\x0a\x09\x08\x01\x12\x05quota");
    let program = Program::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{collector}")),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ]);
    until("several exports are rejected", || {
        get(program.public, "/.well-known/jwks.json").unwrap();
        let metrics = get(program.internal, "/metrics").unwrap().1;
        let rejected = "otel_sdk_exporter_span_exported_total{error_type=\"rejected\"} ";
        let rejected = metrics.lines().find_map(|line| line.strip_prefix(rejected)).unwrap();
        rejected.parse::<f64>().unwrap() >= 3.0
    });
    program.signal("TERM");
    let lines = program.wait().lines;
    let said: Vec<_> = lines.iter().filter(|line| line["otel.signal"].is_string()).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&said[0]["level"], &said[0]["error.message"]), (&"WARN".into(), &"quota".into()));
    assert_eq!((&said[0]["otel.signal"], &said[0]["otel.rejected"]), (&"spans".into(), &1.into()));
}
