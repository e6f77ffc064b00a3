//! `glasshouse migrate`: the tables, by hand.

use super::{Failure, print};
use crate::{
    app::command::Migrate,
    config::Settings,
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};

/// Takes one step, or says how things are.
pub(super) fn migrate(settings: &Settings, step: Migrate) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let metrics = Metrics::new(settings.telemetry.max_series);
        let store = Store::open(&settings.store, Tracer::off(), Switchboard::off(), &metrics).await?;
        match step {
            Migrate::Up => store.migrate_up().await?,
            Migrate::Down => store.migrate_down().await?,
            Migrate::Status => {}
        }
        let rows = store.migrations().await?.into_iter().map(|migration| {
            let state = if migration.applied { "applied" } else { "pending" };
            format!("{:04} {state} {}\n", migration.version, migration.description)
        });
        print(&rows.collect::<Vec<_>>().concat())
    })
}
