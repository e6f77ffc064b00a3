//! `/debug/pprof/`: every profile with what it tells, as Go's page has it; and the small ones.

use std::fmt::Write;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{any, get},
};

use super::{Refusal, cmdline, empty, symbol, text, threads};
use crate::{internal::heap, telemetry::tasks};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/debug/pprof/", get(show))
        .route("/debug/pprof/block", get(empty::block))
        .route("/debug/pprof/mutex", get(empty::mutex))
        .route("/debug/pprof/threadcreate", get(threads::show))
        .route("/debug/pprof/cmdline", get(cmdline::show))
        .route("/debug/pprof/symbol", symbol::routes())
        .route("/debug/pprof/{*name}", any(unknown))
}

/// One line of the page.
struct Row {
    count: String,
    /// Below `/debug/pprof/`.
    link: &'static str,
    name: &'static str,
    meaning: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |count: String, link, name, meaning| Row { count, link, name, meaning };
    let sampled = || if heap::is_on() { "on" } else { "off" }.to_owned();
    let tasks = || tasks::alive().len().to_string();
    let threads = threads::threads().values().sum::<i64>().to_string();
    let none = || "0".to_owned();
    vec![
        row(sampled(), "allocs?debug=1", "allocs", "What asked for memory, freed or not, since sampling began"),
        row(none(), "block?debug=1", "block", "Empty: how long tasks wait is not counted here"),
        row(String::new(), "cmdline?debug=1", "cmdline", "How this process was called"),
        row(tasks(), "goroutine?debug=1", "goroutine", "What each task waits for"),
        row(sampled(), "heap?debug=1", "heap", "What holds the memory; PUT /debug/heap?for=10m switches sampling on"),
        row(none(), "mutex?debug=1", "mutex", "Empty: who waits for a lock is not counted here"),
        row(String::new(), "profile", "profile", "What burns the CPU: 30 seconds of it, or ?seconds=5; ?format=svg"),
        row(String::new(), "symbol", "symbol", "The functions at addresses: ?0x1234+0x5678"),
        row(threads, "threadcreate?debug=1", "threadcreate", "The threads, by name"),
        row(String::new(), "trace?seconds=1", "trace", "What the runtime does, for Perfetto"),
        row(String::new(), "goroutine?debug=2", "full goroutine stack dump", "Each task by itself"),
    ]
}

/// HTML for browsers, text for the rest.
async fn show(headers: HeaderMap) -> Response {
    let rows = rows();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accept.contains("text/html") {
        let mut lines = String::from("/debug/pprof/\n\n");
        for row in rows {
            let Row { count, link, meaning, .. } = row;
            writeln!(lines, "{count:>6}  {link:<22} {meaning}").expect("writing to memory cannot fail");
        }
        return text(lines);
    }
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>/debug/pprof/</title>\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"viewport\" content=\"width=device-width\">\
         </head>\n<body><h1>/debug/pprof/</h1>\n<p>Types of profiles available:</p>\n<table>\n\
         <thead><tr><th>Count</th><th>Profile</th><th>What it tells</th></tr></thead>\n",
    );
    for Row { count, link, name, meaning } in rows {
        writeln!(page, "<tr><td>{count}</td><td><a href=\"{link}\">{name}</a></td><td>{meaning}</td></tr>")
            .expect("writing to memory cannot fail");
    }
    page.push_str("</table></body></html>\n");
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

/// In the words of Go's, which its tools know.
async fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Unknown profile")
}
