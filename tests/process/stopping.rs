//! Signals: what is under way is finished, what was acknowledged is kept, a second signal ends it at once.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::program::{Program, exchange, get, post, until};

fn registration(number: usize) -> serde_json::Value {
    json!({ "email": format!("user-{number}@example.com"), "password": "a fine password", "name": "Ann" })
}

#[test]
fn sigterm_and_sigint_stop_it_in_order_and_with_success() {
    for signal in ["TERM", "INT"] {
        let program = Program::start(&[]);
        program.signal(signal);
        let ended = program.wait();
        assert_eq!(ended.code, Some(0), "{signal}");
        let steps: Vec<_> = ended.lines.iter().filter_map(|line| line["step"].as_str()).collect();
        assert_eq!(steps, ["notice", "requests", "worker", "store"]);
        for line in ended.lines.iter().filter(|line| line["step"].is_string()) {
            assert!(line["took_seconds"].as_f64().unwrap() <= line["budget_seconds"].as_f64().unwrap() + 1.0, "{line}");
        }
        assert_eq!(ended.lines.last().unwrap()["message"], "stopped");
    }
}

#[test]
fn sigquit_dumps_threads_and_tasks_and_the_service_goes_on() {
    let program = Program::start(&[]);
    for count in 1..=2 {
        program.signal("QUIT");
        let dumped = |message: &str| {
            let lines = program.lines();
            let stacks = lines.iter().filter(|(_, line)| line["message"] == message);
            stacks.map(|(_, line)| line["code.stacktrace"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let has_acceptor = |tasks: &[String]| tasks.iter().filter(|stack| stack.contains("acceptor")).count() >= count;
        until("tasks are dumped", || has_acceptor(&dumped("task dump")));
        let threads = dumped("thread dump");
        assert!(
            cfg!(not(target_os = "linux")) || threads.iter().any(|stack| stack.contains("epoll_wait")),
            "{threads:?}"
        );
    }
    assert_eq!(get(program.internal, "/health/live").unwrap().0, 200);
    program.signal("TERM");
    assert_eq!(program.wait().code, Some(0));
}

#[test]
fn signal_whose_default_ends_the_process_stops_it_in_order() {
    for signal in ["HUP", "USR1", "USR2", "ALRM", "VTALRM", "IO", "XCPU", "PWR", "STKFLT", "RTMIN+3", "RTMIN+30"] {
        // The test may run below `nohup`.
        let launcher = ["/usr/bin/env", "--default-signal=HUP"];
        let program = Program::start_by(&launcher, &[]);
        program.signal(signal);
        let ended = program.wait();
        assert_eq!(ended.code, Some(0), "{signal}");
        let asked = ended.lines.iter().find(|line| line["message"] == "asked to stop").unwrap();
        assert_eq!(asked["signal"], format!("SIG{signal}"), "{asked}");
        assert_eq!(ended.lines.last().unwrap()["message"], "stopped");
    }
}

#[test]
fn cpu_limit_signal_that_the_system_repeats_does_not_cut_the_stop_short() {
    let program = Program::start(&[("GLASSHOUSE_SHUTDOWN__NOTICE", "1s")]);
    program.signal("XCPU");
    until("it has read the first one", || program.lines().iter().any(|(_, line)| line["message"] == "asked to stop"));
    program.signal("XCPU");
    let ended = program.wait();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.lines.last().unwrap()["message"], "stopped");
}

#[test]
fn profiling_signal_of_another_process_does_not_stop_the_service() {
    let program = Program::start(&[]);
    program.signal("PROF");
    program.signal("TERM");
    assert_eq!(program.wait().code, Some(0));
}

#[test]
fn write_beyond_the_file_size_limit_is_an_error_and_does_not_stop_the_service() {
    let program = Program::start_with_limit("-f 2048");
    let is_refused = (0..200).any(|number| {
        let (status, body) = program.post("/api/v1/users", &registration(number)).expect("the service answers");
        assert!(matches!(status, 201 | 503), "{status} {body}");
        status == 503
    });
    assert!(is_refused, "no write reached the limit");
    assert_eq!(get(program.internal, "/health/live").unwrap().0, 200);
    program.signal("TERM");
    assert_eq!(program.wait().code, Some(0));
}

#[test]
fn hangup_that_nohup_ignores_does_not_stop_the_service() {
    let launcher = ["/usr/bin/env", "--ignore-signal=HUP"];
    let program = Program::start_by(&launcher, &[]);
    program.signal("HUP");
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.code, Some(0));
    let asked: Vec<_> = ended.lines.iter().filter(|line| line["message"] == "asked to stop").collect();
    assert!(matches!(asked[..], [line] if line["signal"] == "SIGTERM"), "{asked:?}");
}

#[test]
fn a_request_under_way_is_finished_and_new_ones_are_refused() {
    let program = Program::start(&[]);
    let body = registration(0).to_string();
    let (begun, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(program.public).unwrap();
    let head = post("/api/v1/users", &registration(0));
    let head = head.split_once("\r\n\r\n").unwrap().0;
    stream.write_all(format!("{head}\r\n\r\n{begun}").as_bytes()).unwrap();
    until("the request is seen", || {
        let metrics = get(program.internal, "/metrics").unwrap().1;
        metrics.contains("http_server_active_requests{http_request_method=\"POST\",url_scheme=\"http\"} 1.0")
    });
    program.signal("TERM");
    until("nobody is let in any more", || {
        exchange(program.public, "GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").is_none()
    });
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(program.wait().code, Some(0));
}

/// Connects again and again until the port is closed, and counts the answers.
///
/// # Errors
/// The first connection that is neither answered nor refused.
fn connect_until_refused(address: SocketAddr, answered: &AtomicUsize) -> Result<(), String> {
    loop {
        let outcome = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        match outcome {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => answered.fetch_add(1, SeqCst),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(()),
            other => return Err(format!("{address}: {other:?}")),
        };
    }
}

#[test]
fn connections_through_the_whole_stop_are_answered_or_refused_and_never_reset() {
    for _ in 0..3 {
        let program = Program::start(&[]);
        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..24)
            .map(|number| {
                let address = if number % 3 == 0 { program.internal } else { program.public };
                let answered = Arc::clone(&answered);
                thread::spawn(move || connect_until_refused(address, &answered))
            })
            .collect();
        until("many were answered", || answered.load(SeqCst) > 200);
        program.signal("TERM");
        for client in clients {
            client.join().unwrap().unwrap();
        }
        assert_eq!(program.wait().code, Some(0));
    }
}

#[test]
fn who_still_asks_during_the_notice_is_answered_and_sent_elsewhere() {
    let program = Program::start(&[("GLASSHOUSE_SHUTDOWN__NOTICE", "20s"), ("GLASSHOUSE_SHUTDOWN__GRACE", "2s")]);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).unwrap();
            assert_ne!(read, 0, "it is closed before it has answered");
            answer.extend_from_slice(&some[..read]);
        }
        String::from_utf8(answer).unwrap()
    };
    let mut kept = TcpStream::connect(program.public).unwrap();
    assert!(!ask(&mut kept).contains("connection: close"));
    program.signal("TERM");
    until("stopping has begun", || program.lines().iter().any(|(_, line)| line["message"] == "asked to stop"));
    // What has been idle until now is not closed yet, and neither is the port.
    for stream in [&mut kept, &mut TcpStream::connect(program.public).unwrap()] {
        let answer = ask(stream);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and then it is closed");
    }
    program.signal("TERM");
    assert_eq!(program.wait().code, Some(1));
}

#[test]
fn a_second_signal_stops_at_once() {
    let program = Program::start(&[("GLASSHOUSE_SHUTDOWN__NOTICE", "8s"), ("GLASSHOUSE_SHUTDOWN__GRACE", "5s")]);
    program.signal("TERM");
    until("stopping has begun", || program.lines().iter().any(|(_, line)| line["message"] == "asked to stop"));
    let asked_again = Instant::now();
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.code, Some(1));
    assert!(asked_again.elapsed() < Duration::from_secs(6), "{:?}", asked_again.elapsed());
    assert!(ended.lines.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains("at once"))));
}

#[test]
fn a_second_signal_does_not_wait_for_a_collector_that_hangs() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", silent.local_addr().unwrap())),
        ("GLASSHOUSE_SHUTDOWN__GRACE", "1s"),
        ("GLASSHOUSE_SHUTDOWN__FLUSH", "25s"),
    ]);
    assert_eq!(get(program.public, "/.well-known/jwks.json").unwrap().0, 200);
    program.signal("TERM");
    until("only the flush is left", || program.lines().iter().any(|(_, line)| line["message"] == "stopped"));
    let asked_again = Instant::now();
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.code, Some(1));
    assert!(asked_again.elapsed() < Duration::from_secs(5), "{:?}", asked_again.elapsed());
}

#[test]
fn what_was_acknowledged_under_load_is_there_after_a_restart() {
    let program = Program::start(&[]);
    let stopping = Arc::new(AtomicBool::new(false));
    let address = program.public;
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let stopping = Arc::clone(&stopping);
            thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for number in (client..).step_by(4) {
                    let body = registration(number);
                    match exchange(address, &post("/api/v1/users", &body)) {
                        Some((201, _)) => acknowledged.push(body),
                        // On a busy machine a password may wait too long for its thread. Nothing was acknowledged.
                        Some((503, answer)) if answer.contains("overloaded") => {}
                        Some((status, answer)) => panic!("{status}: {answer}"),
                        None if stopping.load(SeqCst) => return acknowledged,
                        None => panic!("a connection was refused before the signal"),
                    }
                }
                unreachable!("numbers do not end")
            })
        })
        .collect();
    until("there is load", || {
        let metrics = get(program.internal, "/metrics").unwrap().1;
        let registered = metrics.lines().find_map(|line| line.strip_prefix("glasshouse_users_registered_total "));
        registered.is_some_and(|count| count.parse::<f64>().unwrap() >= 8.0)
    });
    stopping.store(true, SeqCst);
    program.signal("TERM");
    let acknowledged: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let database = format!("sqlite://{}/data/glasshouse.db?mode=rwc", program.folder.path().display());
    let folder = Arc::clone(&program.folder);
    assert_eq!(program.wait().code, Some(0));
    assert!(acknowledged.len() >= 8);

    let again = Program::start(&[("DATABASE_URL", &database)]);
    for body in acknowledged {
        let credentials = json!({ "email": body["email"], "password": body["password"] });
        let (status, answer) = again.post("/api/v1/auth/sign-in", &credentials).unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    drop(folder);
}
