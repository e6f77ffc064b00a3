//! The page that a person sees first: one document, its style and its scripts, all inside the executable.
//!
//! It needs no network and no build step. What it shows it asks this port for, by the paths that programs use too, so
//! that nothing on it is known to the page alone.

mod document;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

pub(super) use document::show;

/// What the document may load and do: what comes from here, and nothing that is written into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A flamegraph brings its own script and style, so it is shown in a frame that is nobody's: it may run them, and reach
/// nothing, neither this port nor the page around it.
const FRAME_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts";

/// Its script is inside: a document without an origin may load nothing, not even from here.
const FRAME: &str = concat!(
    include_str!("frame.html"),
    "<script type=\"module\">",
    include_str!("frame.js"),
    "</script></body></html>"
);

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Below `/page/`: the name, its type, its bytes.
const FILES: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("frame.html", "text/html; charset=utf-8", FRAME),
    ("main.js", SCRIPT, include_str!("main.js")),
    ("elements.js", SCRIPT, include_str!("elements.js")),
    ("asking.js", SCRIPT, include_str!("asking.js")),
    ("units.js", SCRIPT, include_str!("units.js")),
    ("chart.js", SCRIPT, include_str!("chart.js")),
    ("charts.js", SCRIPT, include_str!("charts.js")),
    ("live.js", SCRIPT, include_str!("live.js")),
    ("health.js", SCRIPT, include_str!("health.js")),
    ("tools.js", SCRIPT, include_str!("tools.js")),
    ("running.js", SCRIPT, include_str!("running.js")),
    ("text.js", SCRIPT, include_str!("text.js")),
    ("flamegraph.js", SCRIPT, include_str!("flamegraph.js")),
    ("log_filter.js", SCRIPT, include_str!("log_filter.js")),
    ("commands.js", SCRIPT, include_str!("commands.js")),
];

/// What the document loads.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let Some((name, kind, content)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return (StatusCode::NOT_FOUND, "the page has no such file\n").into_response();
    };
    let policy = if *name == "frame.html" { FRAME_POLICY } else { POLICY };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        // Another build may have other files, and it is a few kilobytes from a machine nearby.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::OK, headers, *content).into_response()
}
