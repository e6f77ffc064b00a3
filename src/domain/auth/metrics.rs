//! What signing in counts.

use std::time::Duration;

use super::TokenError;
use crate::telemetry::{Counter, Gauge, Held, Histogram, Metrics, catalog};

/// Counts sign-ins, tokens and sessions.
#[derive(Clone)]
pub struct AuthMetrics {
    sign_ins: Counter,
    issued: Counter,
    rejections: Counter,
    swept: Counter,
}

impl AuthMetrics {
    /// All its series, at zero.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let this = Self {
            sign_ins: metrics.counter(&catalog::SIGN_INS),
            issued: metrics.counter(&catalog::TOKENS_ISSUED),
            rejections: metrics.counter(&catalog::TOKEN_REJECTIONS),
            swept: metrics.counter(&catalog::SESSIONS_SWEPT),
        };
        for outcome in ["success", "credentials_wrong", "limited", "failed"] {
            this.sign_ins.add(&[outcome], 0);
        }
        for grant in ["sign_in", "refresh", "refresh_retry"] {
            this.issued.add(&[grant], 0);
        }
        for reason in TokenError::ALL {
            this.rejections.add(&[reason.code()], 0);
        }
        for reason in ["session_ended", "refresh_token_invalid", "refresh_token_reused"] {
            this.rejections.add(&[reason], 0);
        }
        this
    }

    pub(super) fn signed_in(&self, outcome: &str) {
        self.sign_ins.inc(&[outcome]);
    }

    pub(super) fn issued(&self, grant: &str) {
        self.issued.inc(&[grant]);
    }

    pub(super) fn rejected(&self, reason: &str) {
        self.rejections.inc(&[reason]);
    }

    pub(super) fn swept(&self, sessions: u64) {
        self.swept.add(&[], sessions);
    }
}

/// Measures password hashing.
#[derive(Clone)]
pub struct HashingMetrics {
    duration: Histogram,
    waiting: Gauge,
    refused: Counter,
}

impl HashingMetrics {
    /// All its series, at zero.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            duration: metrics.histogram(&catalog::PASSWORD_HASH_DURATION),
            waiting: metrics.gauge(&catalog::PASSWORD_HASHES_WAITING),
            refused: metrics.counter(&catalog::PASSWORD_HASHES_REFUSED),
        }
    }

    pub(super) fn hashed(&self, duration: Duration) {
        self.duration.observe(&[], duration.as_secs_f64());
    }

    pub(super) fn waiting(&self) -> Held {
        self.waiting.hold(&[])
    }

    pub(super) fn refused(&self) {
        self.refused.inc(&[]);
    }
}
