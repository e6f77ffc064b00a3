//! What became of each alert, by what Prometheus keeps of it and by what was delivered.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::stack::{Api, Delivery};

/// When each alert was first pending and first firing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct States {
    pub(crate) pending: Option<SystemTime>,
    pub(crate) firing: Option<SystemTime>,
}

/// The states of every alert, by its name, from that moment on.
pub(crate) async fn states(api: &Api, since: SystemTime) -> Option<BTreeMap<String, States>> {
    let data = api.ask("query", &[("query", "ALERTS[30d]")]).await?;
    let mut found = BTreeMap::<String, States>::new();
    for series in data["result"].as_array()? {
        let name = series["metric"]["alertname"].as_str()?;
        let times = series["values"].as_array()?.iter().filter_map(|value| value[0].as_f64());
        let first = times.map(|time| UNIX_EPOCH + Duration::from_secs_f64(time)).find(|time| *time >= since);
        let states = found.entry(name.to_owned()).or_default();
        let state = if series["metric"]["alertstate"] == "firing" { &mut states.firing } else { &mut states.pending };
        *state = [*state, first].into_iter().flatten().min();
    }
    Some(found)
}

/// When that receiver was first told, from that moment on, that the alert fires.
pub(crate) fn delivered(deliveries: &[Delivery], alert: &str, receiver: &str, since: SystemTime) -> Option<SystemTime> {
    let of_alert = |told: &&Delivery| told.name() == alert && told.receiver == receiver && told.at >= since;
    deliveries.iter().filter(of_alert).find(|told| !told.is_resolved()).map(|told| told.at)
}

/// When that receiver was told that the last of the alert's series has ended, if all have.
pub(crate) fn resolved(deliveries: &[Delivery], alert: &str, receiver: &str) -> Option<SystemTime> {
    let of_alert = |told: &&Delivery| told.name() == alert && told.receiver == receiver;
    let mut last = BTreeMap::new();
    for told in deliveries.iter().filter(of_alert) {
        last.insert(told.alert["labels"].to_string(), told);
    }
    let all = last.values().all(|told| told.is_resolved());
    last.values().map(|told| told.at).max().filter(|_| all)
}
