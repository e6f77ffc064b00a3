//! What a fault is: what it does, and where.

use std::time::Duration;

use serde_json::{Value, json};

/// One fault, as somebody asked for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// What requests or statements meet, each with this probability.
    Met { effect: Effect, place: Place, share: f64 },
    /// So many tasks a second never end.
    TaskLeak { per_second: u32 },
    /// So many bytes a second are kept.
    MemoryLeak { per_second: u32 },
    /// So many workers of the main runtime do nothing else.
    BlockedWorker { workers: usize },
    /// Nobody gets a connection to the database.
    RefusedPool,
    /// Exports fail.
    UnreachableCollector,
}

/// What happens to who meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Delay(Duration),
    Error,
    Hang,
    Panic,
}

/// Where a fault is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At the edge, by the template of the path, and by method if one is given.
    Route { route: String, method: Option<String> },
    /// At the door to the database, by `db.query.summary`.
    Statement(String),
}

/// Every kind of fault, by the word that stands for it in requests and labels.
pub(super) const WORDS: [&str; 9] = [
    "delay",
    "error",
    "hang",
    "panic",
    "task_leak",
    "memory_leak",
    "blocked_worker",
    "refused_pool",
    "unreachable_collector",
];

impl Fault {
    /// Which of [`WORDS`] it is.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Met { effect, .. } => effect.word(),
            Self::TaskLeak { .. } => "task_leak",
            Self::MemoryLeak { .. } => "memory_leak",
            Self::BlockedWorker { .. } => "blocked_worker",
            Self::RefusedPool => "refused_pool",
            Self::UnreachableCollector => "unreachable_collector",
        }
    }

    /// The entry that asks for it, with everything that it left to the defaults.
    pub(super) fn entry(&self) -> Value {
        let mut entry = json!({ "fault": self.word() });
        match self {
            Self::Met { effect, place, share } => {
                entry["share"] = json!(share);
                if let Effect::Delay(delay) = effect {
                    entry["for"] = json!(humantime::format_duration(*delay).to_string());
                }
                match place {
                    Place::Route { route, method } => {
                        entry["route"] = json!(route);
                        if let Some(method) = method {
                            entry["method"] = json!(method);
                        }
                    }
                    Place::Statement(statement) => entry["statement"] = json!(statement),
                }
            }
            Self::TaskLeak { per_second } => entry["per_second"] = json!(per_second),
            Self::MemoryLeak { per_second } => entry["per_second"] = json!(size(*per_second)),
            Self::BlockedWorker { workers } => entry["workers"] = json!(workers),
            Self::RefusedPool | Self::UnreachableCollector => {}
        }
        entry
    }
}

pub(super) const KIB: u32 = 1024;

/// As it is asked for; what was read is a multiple of a KiB.
fn size(bytes: u32) -> String {
    let kib = bytes / KIB;
    if kib.is_multiple_of(KIB) { format!("{}MiB", kib / KIB) } else { format!("{kib}KiB") }
}

impl Effect {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Error => "error",
            Self::Hang => "hang",
            Self::Panic => "panic",
        }
    }
}

impl Place {
    pub(super) fn is_route(&self, asked_method: &str, asked_route: &str) -> bool {
        matches!(self, Self::Route { route, method }
            if route == asked_route && method.as_ref().is_none_or(|method| method == asked_method))
    }

    pub(super) fn is_statement(&self, summary: &str) -> bool {
        matches!(self, Self::Statement(statement) if statement == summary)
    }
}
