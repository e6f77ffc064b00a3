//! How often one client may ask: by address for everything, by account for signing in.

mod config;
mod metrics;
mod sign_ins;
mod told;

use std::{sync::Arc, time::Duration};

pub use config::Config;
pub(super) use sign_ins::Attempt;
use sign_ins::SignIns;
pub(super) use told::{Limited, tell};

use super::layers::Network;
use crate::{
    resilience::{Buckets, Quota, Taken},
    telemetry::Metrics,
};
use metrics::LimitMetrics;

/// What clients have done lately, as far as it counts.
pub struct Limits {
    addresses: Buckets,
    pub(super) sign_ins: SignIns,
    metrics: LimitMetrics,
}

impl Limits {
    /// None where limits are off. The metrics are there all the same, so this is called once for each registry.
    #[must_use]
    pub fn new(config: &Config, metrics: &Metrics) -> Option<Arc<Self>> {
        let counted = LimitMetrics::new(metrics);
        if !config.enabled {
            metrics::unlimited(metrics);
            return None;
        }
        let by_address = Quota::new(config.address_burst, config.address_rate, Duration::from_secs(1));
        let by_account = Quota::new(config.sign_in_burst, config.sign_in_rate, Duration::from_hours(1));
        let limits = Arc::new(Self {
            addresses: Buckets::new(by_address, config.max_clients, counted.forgetting("address")),
            sign_ins: SignIns::new(by_account, config.max_clients, &counted),
            metrics: counted,
        });
        metrics::read(metrics, &limits);
        Some(limits)
    }

    /// One request of a client: what is left to it, or that it asks too often.
    pub(super) fn request(&self, from: Network) -> Result<Limited, Limited> {
        let limited = Limited { policy: "default", quota: self.addresses.quota(), taken: self.addresses.take(&from) };
        match limited.taken {
            Taken::Yes { .. } => Ok(limited),
            Taken::No { .. } => {
                self.metrics.limited("address");
                Err(limited)
            }
        }
    }
}
