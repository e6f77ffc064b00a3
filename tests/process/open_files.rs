//! The limit of open files: raised, shared out between clients and the rest, and seen when it is exceeded.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use crate::program::{Program, get, until};

fn metric(program: &Program, name: &str) -> f64 {
    let page = get(program.internal, "/metrics").unwrap().1;
    let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn soft_limit_of_open_files_is_raised() {
    let program = Program::start_with_limit("-Sn 300");
    assert!(metric(&program, "process_max_fds ") > 300.0);
    assert!((metric(&program, "glasshouse_http_connections_max ") - 1024.0).abs() < 0.5);
}

#[test]
fn silent_public_connections_leave_files_to_the_internal_port_and_the_store() {
    let program = Program::start_with_limit("-n 500");
    let max = metric(&program, "glasshouse_http_connections_max ");
    assert!((1.0..500.0).contains(&max), "{max}");
    let is_warning = |line: &serde_json::Value| line["message"].as_str().unwrap().contains("http.max_connections");
    assert!(program.lines().iter().any(|(_, line)| line["level"] == "WARN" && is_warning(line)));
    let silent: Vec<_> = (0..600).map(|_| TcpStream::connect(program.public).unwrap()).collect();
    until("as many as it accepts are open", || metric(&program, "glasshouse_http_connections ") >= max);
    // Each is a new connection, and asks the store.
    for _ in 0..20 {
        assert_eq!(get(program.internal, "/health/ready").unwrap().0, 200);
    }
    assert!(metric(&program, "glasshouse_http_connection_failures_total{reason=\"accept\"}").abs() < 0.5);
    drop(silent);
}

#[test]
fn failure_to_accept_is_a_warning_and_is_counted() {
    let program = Program::start(&[]);
    let mut kept = TcpStream::connect(program.internal).unwrap();
    let mut scrape = move || {
        kept.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut page = Vec::new();
        while !String::from_utf8_lossy(&page).contains("glasshouse_scrape_size_bytes ") {
            let mut some = [0; 4096];
            let read = kept.read(&mut some).unwrap();
            assert_ne!(read, 0, "it is closed");
            page.extend_from_slice(&some[..read]);
        }
        String::from_utf8(page).unwrap()
    };
    scrape();
    let limit = Command::new("prlimit").args(["--pid", &program.id().to_string(), "--nofile=8:8"]).status().unwrap();
    assert!(limit.success());
    let (_public, _internal) =
        (TcpStream::connect(program.public).unwrap(), TcpStream::connect(program.internal).unwrap());
    for (port, family) in [
        (program.public, "glasshouse_http_connection_failures_total"),
        (program.internal, "glasshouse_internal_connection_failures_total"),
    ] {
        let counted = format!("{family}{{reason=\"accept\"}} ");
        until("it is counted", || {
            let page = scrape();
            let line = page.lines().find(|line| line.starts_with(&counted)).unwrap();
            !line.ends_with(" 0.0")
        });
        until("there is a warning", || {
            program.lines().iter().any(|(_, line)| {
                line["level"] == "WARN" && line["accept.failures"] == 1 && line["server.address"] == port.to_string()
            })
        });
    }
}
