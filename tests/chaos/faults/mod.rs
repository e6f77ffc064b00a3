//! What happens to a database while clients work: each fault is real, and for each it is known what clients are told,
//! what the probes say, and that all is well again soon after it ends, with nothing lost and nothing done twice.

mod abandoned;
mod fault;
mod felt;
mod scene;
mod stood;

use std::time::Duration;

use fault::{Fault, Readiness};

/// The faults: each is a test of its name.
macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident: $fault:expr;)*) => {$(
        $(#[doc = $doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            stood::stands(stringify!($name), $fault).await;
        }
    )*};
}

faults! {
    /// Every process of the server is killed, as by a machine that loses its power; it then recovers from its log.
    a_database_that_is_killed: Fault {
        kind: scene::Kind::Killed,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Lost,
    };
    /// The same behind a pooler in transaction mode, which keeps its clients' connections meanwhile.
    a_database_behind_a_pooler_that_is_killed: Fault {
        kind: scene::Kind::Pooled,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Lost,
    };
    /// The processes that serve the service's connections are killed, upon which the server begins anew by itself.
    a_database_whose_connections_are_killed: Fault {
        kind: scene::Kind::BackendsKilled,
        lasts: Duration::ZERO,
        readiness: Readiness::Any,
    };
    /// Every process of the server stands still: connections stay, and nobody answers.
    a_database_that_is_paused: Fault {
        kind: scene::Kind::Paused,
        lasts: Duration::from_secs(4),
        readiness: Readiness::Lost,
    };
    /// As for an upgrade: connections are ended with a word, and those that come are refused for a moment.
    a_database_that_is_restarted: Fault {
        kind: scene::Kind::Restarted,
        lasts: Duration::ZERO,
        readiness: Readiness::Any,
    };
    /// The server is there and lets nobody into this database.
    a_database_that_refuses_connections: Fault {
        kind: scene::Kind::Refusing,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Lost,
    };
    /// What is sent is swallowed on the way, in both directions, and no connection is closed.
    a_network_that_swallows_everything: Fault {
        kind: scene::Kind::Silent,
        lasts: Duration::from_secs(4),
        readiness: Readiness::Lost,
    };
    /// Others have taken every connection that the server has.
    a_database_out_of_connections: Fault {
        kind: scene::Kind::Crowded,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Lost,
    };
    /// The service's role may have no connection more.
    a_role_out_of_connections: Fault {
        kind: scene::Kind::RoleLimited,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Lost,
    };
    /// Reads work, and writes are refused, as by a standby or a server in maintenance.
    a_database_that_is_read_only: Fault {
        kind: scene::Kind::ReadOnly,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Any,
    };
    /// Somebody else holds a lock that every statement on users waits for.
    a_database_that_is_slow: Fault {
        kind: scene::Kind::Locked,
        lasts: Duration::from_secs(3),
        readiness: Readiness::Any,
    };
    /// The server is killed, its synchronous standby takes over, and the address leads there.
    a_database_that_fails_over: Fault {
        kind: scene::Kind::FailedOver,
        lasts: Duration::from_millis(1500),
        readiness: Readiness::Lost,
    };
    /// No file of the server may grow any more.
    a_database_whose_disk_is_full: Fault {
        kind: scene::Kind::Full,
        lasts: Duration::from_millis(2500),
        readiness: Readiness::Any,
    };
}
