//! Attempts to sign in, by account: also to accounts that nobody has, so that being limited says nothing about that.
//!
//! Attempts in vain are counted together wherever they come from, so that many addresses do not help who guesses. An
//! address from which the account was signed in to before has a bucket of its own for it: guessing locks out strangers,
//! and not the owner. Networks that this instance does not know may be known to the store, from sign-ins at other instances
//! or before a restart.

use super::{Limited, metrics::LimitMetrics};
use crate::{
    domain::users::Email,
    http::layers::Network,
    resilience::{Buckets, Quota, Taken},
};

/// Who tried to sign in to what. Of an e-mail address only a hash is kept, whose key is in no other process.
pub(in crate::http) struct SignIns {
    accounts: Buckets,
    known: Buckets,
    metrics: LimitMetrics,
}

/// An attempt that was let through, and has taken a token for it. Dropped, it has cost that token: it was wrong, or its
/// client went away and may have learnt so.
#[must_use = "an attempt that was not in vain gets its token back"]
pub(in crate::http) struct Attempt<'a> {
    limits: &'a SignIns,
    account: String,
    from: Option<Network>,
    known: bool,
}

impl SignIns {
    pub(super) fn new(quota: Quota, max_clients: usize, metrics: &LimitMetrics) -> Self {
        Self {
            accounts: Buckets::new(quota, max_clients, metrics.forgetting("account")),
            known: Buckets::new(quota, max_clients, metrics.forgetting("known")),
            metrics: metrics.clone(),
        }
    }

    /// Lets somebody try, or says when to come again.
    pub(in crate::http) fn attempt(&self, account: &Email, from: Option<Network>) -> Result<Attempt<'_>, Limited> {
        let account = account.key();
        let known = from.and_then(|from| self.known.take_if_known(&(&account, from)));
        let taken = known.unwrap_or_else(|| self.accounts.take(&account));
        match taken {
            Taken::Yes { .. } => Ok(Attempt { limits: self, account, from, known: known.is_some() }),
            Taken::No { .. } => {
                self.metrics.limited("account");
                Err(Limited { policy: "sign-in", quota: self.accounts.quota(), taken })
            }
        }
    }

    /// Whether this instance knows that the account was signed in to from that network.
    pub(in crate::http) fn knows(&self, account: &Email, from: Network) -> bool {
        self.known.contains(&(&account.key(), from))
    }

    /// Takes over from the store that the account was signed in to from that network.
    pub(in crate::http) fn add_known(&self, account: &Email, from: Network) {
        self.known.fill(&(&account.key(), from));
    }

    /// How many accounts, and how many addresses for an account, are remembered, and can be.
    pub(super) fn clients(&self) -> [(usize, usize); 2] {
        [&self.accounts, &self.known].map(|buckets| (buckets.in_debt(), buckets.capacity()))
    }
}

impl Attempt<'_> {
    /// The network, if this instance did not know it.
    pub(in crate::http) fn new_network(&self) -> Option<Network> {
        self.from.filter(|_| !self.known)
    }

    /// The password was right: the token comes back, and the address is known from now on.
    pub(in crate::http) fn succeeded(self) {
        if let Some(from) = self.from {
            self.limits.known.fill(&(&self.account, from));
        }
        if !self.known {
            self.limits.accounts.give_back(&self.account);
        }
    }

    /// Nobody has learnt whether the password was right: the token comes back.
    pub(in crate::http) fn undecided(self) {
        match self.from {
            Some(from) if self.known => self.limits.known.give_back(&(&self.account, from)),
            _ => self.limits.accounts.give_back(&self.account),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LimitMetrics, Network, SignIns};
    use crate::{domain::users::Email, resilience::Quota, telemetry::Metrics};

    fn sign_ins() -> SignIns {
        SignIns::new(Quota::new(3, 1, Duration::from_hours(1)), 100, &LimitMetrics::new(&Metrics::new(10)))
    }

    fn email(text: &str) -> Email {
        Email::parse(text).expect("it is an address")
    }

    fn from(address: &str) -> Network {
        Network::of(address.parse().expect("it is an address"))
    }

    /// How many attempts in vain pass, of ten.
    fn passed(sign_ins: &SignIns, account: &str, address: &str) -> usize {
        (0..10).filter(|_| sign_ins.attempt(&email(account), Some(from(address))).is_ok()).count()
    }

    #[test]
    fn attempts_are_counted_together_from_wherever_and_however_the_address_is_written() {
        let sign_ins = sign_ins();
        assert_eq!(passed(&sign_ins, "Ann@Example.com", "192.0.2.1"), 3);
        assert_eq!(passed(&sign_ins, "ann@example.com", "192.0.2.2"), 0);
        assert_eq!(passed(&sign_ins, "bob@example.com", "192.0.2.1"), 3);
    }

    #[test]
    fn success_costs_nothing_and_neither_does_what_was_not_decided() {
        let sign_ins = sign_ins();
        for _ in 0..10 {
            sign_ins.attempt(&email("ann@example.com"), Some(from("192.0.2.1"))).expect("it passes").succeeded();
            sign_ins.attempt(&email("ann@example.com"), Some(from("192.0.2.1"))).expect("it passes").undecided();
            sign_ins.attempt(&email("ann@example.com"), Some(from("192.0.2.2"))).expect("it passes").undecided();
            sign_ins.attempt(&email("ann@example.com"), None).expect("it passes").succeeded();
        }
        assert_eq!(passed(&sign_ins, "ann@example.com", "192.0.2.9"), 3);
    }

    #[test]
    fn whoever_guesses_does_not_lock_out_the_owner() {
        let sign_ins = sign_ins();
        sign_ins.attempt(&email("ann@example.com"), Some(from("192.0.2.1"))).expect("it passes").succeeded();
        assert_eq!(passed(&sign_ins, "ann@example.com", "198.51.100.1"), 3);
        assert_eq!(passed(&sign_ins, "ann@example.com", "198.51.100.2"), 0);
        // At home it works, but even there nobody guesses without end.
        sign_ins.attempt(&email("ann@example.com"), Some(from("192.0.2.1"))).expect("it passes").succeeded();
        assert_eq!(passed(&sign_ins, "ann@example.com", "192.0.2.1"), 3);
    }
}
