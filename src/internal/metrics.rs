//! `/metrics`: every number there is, in the format that is asked for.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};

use crate::{
    lifecycle::Readiness,
    telemetry::{Exposition, Gauge, Histogram, Metrics, catalog},
};

/// How long a scrape waits to hear who is ready. A dependency that takes longer is told of in the next one.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers scrapes, and measures what they cost.
#[derive(Clone)]
pub(super) struct Scrapes {
    metrics: Metrics,
    readiness: Readiness,
    duration: Histogram,
    size: Gauge,
}

impl Scrapes {
    pub(super) fn new(metrics: Metrics, readiness: Readiness) -> Self {
        let duration = metrics.histogram(&catalog::SCRAPE_DURATION);
        let size = metrics.gauge(&catalog::SCRAPE_SIZE);
        Self { metrics, readiness, duration, size }
    }

    async fn answer(&self, headers: &HeaderMap) -> Response {
        let started = Instant::now();
        // `glasshouse_ready` moves when somebody asks: where there are no probes, the scraper is the one who does.
        drop(tokio::time::timeout(PATIENCE, self.readiness.parts()).await);
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let format = Exposition::negotiate(text(header::ACCEPT));
        let page = format.write(&self.metrics);
        #[expect(clippy::cast_precision_loss, reason = "a page has fewer than 2^52 bytes")]
        self.size.set(&[], page.len() as f64);
        let mut response = match text(header::ACCEPT_ENCODING).filter(|accepted| takes_gzip(accepted)) {
            Some(_) => ([(header::CONTENT_ENCODING, "gzip")], gzip(page.as_bytes())).into_response(),
            None => page.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        self.duration.observe(&[], started.elapsed().as_secs_f64());
        response
    }
}

pub(super) async fn show(State(scrapes): State<Scrapes>, headers: HeaderMap) -> Response {
    scrapes.answer(&headers).await
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').map(str::trim).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && parts.all(|parameter| parameter.trim_end_matches(['0', '.']) != "q=")
    })
}

fn gzip(page: &[u8]) -> Vec<u8> {
    // Level 1: a page of numbers shrinks by nine tenths with any, and the scraper waits.
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    encoder.write_all(page).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::takes_gzip;

    #[test]
    fn gzip_is_sent_only_to_who_takes_it() {
        for accepted in ["gzip", "deflate, gzip;q=1.0, *;q=0.5", "br,gzip"] {
            assert!(takes_gzip(accepted), "{accepted}");
        }
        for accepted in ["", "identity", "gzip;q=0", "gzip;q=0.0", "gzipped"] {
            assert!(!takes_gzip(accepted), "{accepted}");
        }
    }
}
