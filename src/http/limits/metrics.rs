//! What the limits count: whom they refused, how many clients they remember, and whom they had to forget.

use std::sync::Arc;

use super::Limits;
use crate::telemetry::{Counter, Metrics, Reading, catalog};

/// Counters of refusals and of clients that were forgotten too early.
#[derive(Clone)]
pub(super) struct LimitMetrics {
    limited: Counter,
    evicted: Counter,
}

const LIMITS: [&str; 3] = ["address", "account", "known"];

impl LimitMetrics {
    /// All series, at zero.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let this = Self {
            limited: metrics.counter(&catalog::REQUESTS_LIMITED),
            evicted: metrics.counter(&catalog::LIMIT_EVICTIONS),
        };
        for reason in ["address", "account"] {
            this.limited.add(&[reason], 0);
        }
        for limit in LIMITS {
            this.evicted.add(&[limit], 0);
        }
        this
    }

    pub(super) fn limited(&self, reason: &str) {
        self.limited.inc(&[reason]);
    }

    /// To be called for each client that is forgotten.
    pub(super) fn forgetting(&self, limit: &'static str) -> impl Fn() + Send + Sync + 'static {
        let evicted = self.evicted.clone();
        move || evicted.inc(&[limit])
    }
}

/// Gauges of what is remembered, read when somebody asks.
pub(super) fn read(metrics: &Metrics, limits: &Arc<Limits>) {
    let all = |limits: &Limits| {
        let [accounts, known] = limits.sign_ins.clients();
        [(limits.addresses.in_debt(), limits.addresses.capacity()), accounts, known]
    };
    let read = Arc::clone(limits);
    metrics.register(Reading::new(&catalog::LIMIT_CLIENTS, move |tell| {
        LIMITS.iter().zip(all(&read)).for_each(|(limit, (clients, _))| tell(&[limit], number(clients)));
    }));
    let read = Arc::clone(limits);
    metrics.register(Reading::new(&catalog::LIMIT_CLIENTS_MAX, move |tell| {
        LIMITS.iter().zip(all(&read)).for_each(|(limit, (_, max))| tell(&[limit], number(max)));
    }));
}

/// The same gauges where nobody is remembered.
pub(super) fn unlimited(metrics: &Metrics) {
    for gauge in [&catalog::LIMIT_CLIENTS, &catalog::LIMIT_CLIENTS_MAX] {
        metrics.register(Reading::new(gauge, |tell| LIMITS.iter().for_each(|limit| tell(&[limit], 0.0))));
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats, and there are far fewer than 2^52 clients")]
const fn number(clients: usize) -> f64 {
    clients as f64
}
