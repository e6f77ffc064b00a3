//! A fault: what is broken, what must be heard of it, and in which surroundings.

use crate::{cause::Cause, stack::Limits};

/// One entry of the game day.
pub(crate) struct Fault {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// The alerts that it is for: each must fire, be delivered, and end. None for the run in which nothing is broken.
    pub(crate) alerts: &'static [&'static str],
    /// Alerts that rightly fire as well, because the fault has these consequences too. Any other is a false alarm.
    pub(crate) others: &'static [&'static str],
    /// What is done.
    pub(crate) causes: &'static [Cause],
    /// How much faster than the others its clock goes: what takes days in production would take too long, and what
    /// wants a hundred requests in a window would want too many in a short one.
    pub(crate) pace: f64,
    /// How many minutes, of production's, all must have been well before: some alerts compare with an hour ago.
    pub(crate) history_minutes: u32,
    /// Journeys of the load that begin each second.
    pub(crate) journeys: f64,
    /// For the service, as its environment would say it.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// What the kernel lets the service have.
    pub(crate) limits: Limits,
    /// Whether the database's server is stopped and therefore not shared.
    pub(crate) own_database: bool,
}

impl Fault {
    /// Nothing is broken, in the surroundings that are usual.
    pub(crate) const NONE: Self = Self {
        name: "none",
        alerts: &[],
        others: &[],
        causes: &[],
        pace: 1.0,
        history_minutes: 0,
        journeys: 0.5,
        settings: &[],
        limits: Limits { data_kib: None },
        own_database: false,
    };
}
