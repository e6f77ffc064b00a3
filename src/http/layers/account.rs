//! A request's account: opened when it arrives, closed when its answer has been written or its client has gone,
//! and then told once: in the metrics, on the span, in one line of the log.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::MatchedPath,
    http::{Method, StatusCode},
};
use futures_util::FutureExt;

use super::{client::Client, deadline::CLIENT_DEADLINE, observe::Observer, traffic::Upload};
use crate::{
    http::{
        metrics::{BAD, GOOD},
        problem::Failure,
    },
    telemetry::{Chain, Held, KeyValue, Request, Span, follow},
};

/// What became of requests whose clients did not wait; the number is nginx's.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// The label of every method that HTTP does not define.
pub(super) const OTHER_METHOD: &str = "_OTHER";
/// Requests that no route answers share one label.
const UNMATCHED: &str = "_unmatched";

/// One request's account. Dropping it closes it.
pub(super) struct Account {
    pub(super) observer: Arc<Observer>,
    pub(super) request: Arc<Request>,
    pub(super) span: Span,
    pub(super) started: Instant,
    pub(super) method: &'static str,
    pub(super) route: Route,
    pub(super) client: Option<Client>,
    pub(super) user_agent: String,
    pub(super) upload: Arc<Upload>,
    pub(super) active: Option<Held>,
    pub(super) status: Option<StatusCode>,
    pub(super) failure: Option<Failure>,
    pub(super) ending: Ending,
}

/// How far the answer has come.
#[derive(Default)]
pub(super) struct Ending {
    sent: u64,
    complete: bool,
    /// When the answer was complete: the account may be dropped later.
    took: Option<Duration>,
}

/// The template that a request's path matched.
#[derive(Clone)]
pub(super) struct Route(pub(super) Option<MatchedPath>);

impl Route {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// Probes come every few seconds and mean nothing to a client.
    pub(super) fn is_probe(&self) -> bool {
        self.as_str().starts_with("/health/")
    }

    /// Where times tell who has an account.
    pub(super) fn is_about_secrets(&self) -> bool {
        let route = self.as_str();
        route.starts_with("/api/v1/auth/") || route.ends_with("/password")
    }
}

/// The method as a label: what RFC 9110 and RFC 5789 know, `_OTHER` for the rest.
pub(super) fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => OTHER_METHOD,
    }
}

impl Account {
    /// So many more octets of the answer were written.
    pub(super) const fn sent(&mut self, octets: u64) {
        self.ending.sent = self.ending.sent.saturating_add(octets);
    }

    /// All of the answer was written.
    pub(super) fn complete(&mut self) {
        if !self.ending.complete {
            self.ending.complete = true;
            self.ending.took = Some(self.started.elapsed());
        }
    }

    fn status(&self) -> u16 {
        match self.status {
            Some(status) => status.as_u16(),
            // A client that leaves while its refusal is held back was refused all the same.
            None if self.request.is_refused() => StatusCode::SERVICE_UNAVAILABLE.as_u16(),
            None => CLIENT_CLOSED_REQUEST,
        }
    }

    /// `error.type`, or nothing.
    fn error_type(&self) -> Option<&'static str> {
        if self.status.is_none() && self.request.is_refused() {
            return Some("overloaded");
        }
        if !self.ending.complete {
            return Some("client_disconnected");
        }
        self.failure.as_ref().map(|failure| failure.error_type)
    }

    /// `error.type` of the span and the metric. OpenTelemetry has none for 4xx, which are the client's failures; a response
    /// that did not reach the client is an error whatever its status.
    fn server_error_type(&self) -> Option<&'static str> {
        self.error_type().filter(|_| !self.ending.complete || self.status() >= 500)
    }

    /// Whether the request counts against the availability objective. A deadline that the client chose with
    /// `X-Request-Timeout` does not, or a client could spend the budget.
    fn is_service_failure(&self) -> bool {
        self.status() >= 500 && self.error_type() != Some(CLIENT_DEADLINE)
    }

    fn close(&self) {
        let took = self.ending.took.unwrap_or_else(|| self.started.elapsed());
        if !self.route.is_probe() {
            self.measure(took);
        }
        self.finish_span();
        self.log(took);
    }

    fn measure(&self, took: Duration) {
        let (method, route, metrics) = (self.method, self.route.as_str(), &self.observer.metrics);
        let status = self.status();
        let mut digits = [b'0'; 3];
        let status = three_digits(status, &mut digits);
        let scheme = self.client.map_or("http", |client| client.scheme);
        let labels = [method, route, status, self.server_error_type().unwrap_or_default(), scheme];
        let trace = self.span.sampled();
        metrics.duration.observe_in(&labels, took.as_secs_f64(), trace);
        let availability = if self.is_service_failure() {
            metrics.failures.inc(&[method, route, self.server_error_type().unwrap_or_default()]);
            BAD
        } else {
            GOOD
        };
        metrics.slo_duration.observe_in(&[availability], took.as_secs_f64(), trace);
        metrics.request_size.observe_in(&[method, route], octets(self.upload.bytes()), None);
        metrics.response_size.observe_in(&[method, route], octets(self.ending.sent), None);
        metrics.queries.observe_in(&[route], octets(self.request.statements()), None);
    }

    fn finish_span(&self) {
        self.span.set(|| {
            let mut attributes = vec![
                KeyValue::new("http.response.status_code", i64::from(self.status())),
                KeyValue::new("http.request.body.size", signed(self.upload.bytes())),
                KeyValue::new("http.response.body.size", signed(self.ending.sent)),
            ];
            if let Some(user) = self.request.user() {
                attributes.push(KeyValue::new("user.id", user.to_owned()));
            }
            attributes
        });
        if let Some(error_type) = self.server_error_type() {
            self.span.fail(error_type);
        }
    }

    /// The one line. It is written inside the request's scope and span, which is where the log's format takes ids from.
    fn log(&self, took: Duration) {
        if follow::anyone() {
            // Again, because whoever follows may have come when the request was under way.
            self.request.matches(self.route.as_str());
        }
        let line = async { self.write(took) };
        // Nothing in it waits, so the first poll is the last.
        Arc::clone(&self.request).scope(self.span.within(line)).now_or_never();
    }

    fn write(&self, took: Duration) {
        let cause = self.failure.as_ref().and_then(|failure| failure.cause.as_deref());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "glasshouse::http",
                    {
                        http.request.method = self.method,
                        http.route = self.route.as_str(),
                        http.response.status_code = self.status(),
                        duration_seconds = took.as_secs_f64(),
                        http.request.body.size = self.upload.bytes(),
                        http.response.body.size = self.ending.sent,
                        url.scheme = self.client.map(|client| client.scheme),
                        client.address = self.client.map(|client| client.address).map(as_text),
                        user_agent.original = (!self.user_agent.is_empty()).then_some(self.user_agent.as_str()),
                        db.queries = self.request.statements(),
                        db.duration_seconds = self.request.statement_time().as_secs_f64(),
                        db.wait_seconds = self.request.wait_time().as_secs_f64(),
                        error.type = self.error_type(),
                        error.code = self.failure.as_ref().map(|failure| failure.code),
                        error.message = cause.map(|cause| tracing::field::display(Chain(cause))),
                    },
                    "{} {} {}",
                    self.method,
                    self.route.as_str(),
                    self.status(),
                )
            };
        }
        if self.status() >= 500 {
            line!(error);
        } else if self.route.is_probe() {
            line!(debug);
        } else if took > self.observer.slow {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close();
        self.active = None;
    }
}

fn as_text(address: IpAddr) -> tracing::field::DisplayValue<IpAddr> {
    tracing::field::display(address)
}

/// A status as its label, without allocating.
fn three_digits(status: u16, digits: &mut [u8; 3]) -> &str {
    let mut rest = status;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a histogram's buckets are far below 2^52")]
const fn octets(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::three_digits;

    #[test]
    fn a_status_is_three_digits() {
        assert_eq!(three_digits(404, &mut [0; 3]), "404");
        assert_eq!(three_digits(200, &mut [0; 3]), "200");
    }
}
