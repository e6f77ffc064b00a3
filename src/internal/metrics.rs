//! `/metrics`: every number there is, in the format that is asked for.

use std::{
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use tokio::sync::oneshot;

use crate::{
    lifecycle::Readiness,
    telemetry::{Exposition, Gauge, Histogram, Metrics, catalog},
};

/// How long a scrape waits to hear who is ready. A dependency that takes longer is told of in the next one.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers scrapes, and measures what they cost.
///
/// A page takes milliseconds to write, so a thread of its own writes it: the port's thread goes on to answer probes.
/// Scrapes that wait at the same time get the same page.
#[derive(Clone)]
pub(super) struct Scrapes {
    readiness: Readiness,
    duration: Histogram,
    size: Gauge,
    wanted: mpsc::Sender<Wanted>,
}

/// A page as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    format: Exposition,
    gzip: bool,
}

struct Wanted {
    form: Form,
    /// Gets the page, and how long it is before compression.
    reply: oneshot::Sender<(Bytes, usize)>,
}

impl Scrapes {
    /// Starts the thread that writes pages. It ends when the last clone of the result is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(metrics: Metrics, readiness: Readiness) -> io::Result<Self> {
        let duration = metrics.histogram(&catalog::SCRAPE_DURATION);
        let size = metrics.gauge(&catalog::SCRAPE_SIZE);
        let (wanted, scrapes) = mpsc::channel();
        thread::Builder::new().name("metrics".to_owned()).spawn(move || write_pages(&metrics, &scrapes))?;
        Ok(Self { readiness, duration, size, wanted })
    }

    async fn answer(&self, headers: &HeaderMap) -> Response {
        let started = Instant::now();
        // `glasshouse_ready` moves when somebody asks: where there are no probes, the scraper is the one who does.
        drop(tokio::time::timeout(PATIENCE, self.readiness.parts()).await);
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let format = Exposition::negotiate(text(header::ACCEPT));
        let gzip = text(header::ACCEPT_ENCODING).is_some_and(takes_gzip);
        let (reply, page) = oneshot::channel();
        self.wanted.send(Wanted { form: Form { format, gzip }, reply }).ok();
        let Ok((page, size)) = page.await else {
            return (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n").into_response();
        };
        #[expect(clippy::cast_precision_loss, reason = "a page has fewer than 2^52 bytes")]
        self.size.set(&[], size as f64);
        let mut response =
            if gzip { ([(header::CONTENT_ENCODING, "gzip")], page).into_response() } else { page.into_response() };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        self.duration.observe(&[], started.elapsed().as_secs_f64());
        response
    }
}

/// Writes a page for each form that is wanted, and gives it to all who want it so at that moment.
fn write_pages(metrics: &Metrics, wanted: &mpsc::Receiver<Wanted>) {
    let mut waiting: Vec<Wanted> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Ok(first) = wanted.recv() else { return };
            waiting.push(first);
        }
        waiting.extend(wanted.try_iter());
        let form = waiting[0].form;
        let (same, others) = waiting.into_iter().partition(|wanted| wanted.form == form);
        waiting = others;
        let same: Vec<Wanted> = same;
        // A client that has gone is not worth a page.
        if same.iter().all(|wanted| wanted.reply.is_closed()) {
            continue;
        }
        // A panic costs these scrapes, and the thread serves the next ones: the panic hook has counted it.
        let written = panic::catch_unwind(AssertUnwindSafe(|| form.format.write(metrics)));
        let Ok(page) = written else { continue };
        let size = page.len();
        let page = Bytes::from(if form.gzip { gzip(&page) } else { page });
        for wanted in same {
            wanted.reply.send((page.clone(), size)).ok();
        }
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
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use axum::http::{HeaderMap, StatusCode};

    use super::{Scrapes, takes_gzip};
    use crate::{
        lifecycle::Readiness,
        telemetry::{Metrics, Reading, catalog},
    };

    #[tokio::test]
    async fn panic_while_a_page_is_written_costs_that_scrape_and_no_other() {
        let metrics = Metrics::new(1000);
        let first = AtomicBool::new(true);
        metrics.register(Reading::new(&catalog::LIMIT_CLIENTS, move |_| {
            assert!(!first.swap(false, SeqCst), "on purpose");
        }));
        let scrapes = Scrapes::start(metrics.clone(), Readiness::new(&metrics)).unwrap();
        assert_eq!(scrapes.answer(&HeaderMap::new()).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(scrapes.answer(&HeaderMap::new()).await.status(), StatusCode::OK);
    }

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
