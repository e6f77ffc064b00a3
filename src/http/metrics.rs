//! What the public port measures.

use crate::telemetry::{Counter, Gauge, Histogram, Metrics, catalog};

/// Values of the label `availability`.
pub(super) const GOOD: &str = "good";
pub(super) const BAD: &str = "bad";

/// Values of the label `error_type` of requests that the service failed.
const FAILURES: [&str; 6] = ["internal", "panic", "timeout", "store_unavailable", "overloaded", "hashing_overloaded"];

/// Rate, errors and duration of requests, and what they cost.
#[derive(Clone)]
pub(super) struct HttpMetrics {
    pub(super) duration: Histogram,
    /// What the rules of the objectives read. Its two series exist from the start, whatever route, scheme, status or error
    /// type a request has: `rate()` cannot see the first increase of a series that begins with it.
    pub(super) slo_duration: Histogram,
    /// Of each route, for the same reason: the histograms of a route begin with its first request.
    pub(super) failures: Counter,
    pub(super) active: Gauge,
    pub(super) request_size: Histogram,
    pub(super) response_size: Histogram,
    pub(super) queries: Histogram,
}

impl HttpMetrics {
    /// Starts the series that count failures, and no other: a histogram that was never observed is many lines of zeros
    /// in each scrape.
    pub(super) fn new(metrics: &Metrics, operations: &[(&'static str, &'static str)]) -> Self {
        let this = Self {
            duration: metrics.histogram(&catalog::HTTP_SERVER_REQUEST_DURATION),
            slo_duration: metrics.histogram(&catalog::SLO_REQUEST_DURATION),
            failures: metrics.counter(&catalog::REQUEST_FAILURES),
            active: metrics.gauge(&catalog::HTTP_SERVER_ACTIVE_REQUESTS),
            request_size: metrics.histogram(&catalog::HTTP_SERVER_REQUEST_BODY_SIZE),
            response_size: metrics.histogram(&catalog::HTTP_SERVER_RESPONSE_BODY_SIZE),
            queries: metrics.histogram(&catalog::REQUEST_DB_QUERIES),
        };
        for availability in [GOOD, BAD] {
            this.slo_duration.appear(&[availability]);
        }
        for (method, route) in operations {
            for error_type in FAILURES {
                this.failures.add(&[method, route, error_type], 0);
            }
            this.active.set(&[method, "http"], 0.0);
        }
        this
    }
}

/// Connections to the public port, and those that ended without an answer of ours. Cheap to clone.
#[derive(Clone)]
pub struct ConnectionMetrics {
    pub(super) open: Gauge,
    pub(super) max: Gauge,
    failed: Counter,
}

/// Why a connection ended without an answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The system gave us no connection: out of files, most likely.
    Accept,
    /// No request arrived in time.
    HeaderTimeout,
    /// The headers were more than is accepted.
    HeadersTooLarge,
    /// What arrived was no HTTP.
    Malformed,
    /// It was much more than its requests can need, or HTTP/2 was used as only attackers do.
    Flooded,
    /// Its address had its part of all connections already.
    Crowded,
    /// The client stopped reading.
    Stalled,
    /// The client broke off.
    Aborted,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::Accept,
        Self::HeaderTimeout,
        Self::HeadersTooLarge,
        Self::Malformed,
        Self::Flooded,
        Self::Crowded,
        Self::Stalled,
        Self::Aborted,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::HeaderTimeout => "header_timeout",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Malformed => "malformed",
            Self::Flooded => "flooded",
            Self::Crowded => "crowded",
            Self::Stalled => "stalled",
            Self::Aborted => "aborted",
        }
    }
}

impl ConnectionMetrics {
    /// All its series, at zero.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let this = Self {
            open: metrics.gauge(&catalog::HTTP_SERVER_CONNECTIONS),
            max: metrics.gauge(&catalog::HTTP_SERVER_CONNECTIONS_MAX),
            failed: metrics.counter(&catalog::HTTP_SERVER_REFUSED_CONNECTIONS),
        };
        for reason in Refusal::ALL {
            this.failed.add(&[reason.as_str()], 0);
        }
        this
    }

    pub(super) fn failed(&self, reason: Refusal) {
        self.failed.inc(&[reason.as_str()]);
    }
}
