//! The document of the page, with what is known before any script runs: which build this is, and every path.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::POLICY;
use crate::telemetry::{
    BUILD,
    catalog::{self, Signal},
};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let row = |path: &Signal| {
        let (name, meaning) = (escaped(path.name), escaped(path.meaning));
        format!("<dt><a href=\"{name}\">{name}</a></dt><dd>{meaning}</dd>\n")
    };
    let paths = catalog::PATHS.iter().map(row).collect::<Vec<_>>().concat();
    include_str!("index.html")
        .replace("{version}", &escaped(BUILD.version))
        .replace("{revision}", &escaped(BUILD.revision))
        .replace("{paths}", &paths)
});

/// The same document whatever is to be opened on it: that is read from the address, by a script.
pub(in crate::internal) async fn show() -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    (headers, Html(DOCUMENT.as_str())).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(super::escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
