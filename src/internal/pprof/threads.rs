//! `/debug/pprof/threadcreate`: the threads there are, by name.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use axum::response::Response;

use super::{Query, Refusal, attachment, text};
use crate::{
    internal::{
        heap::now,
        profile::{Measure, Profile, Sample},
    },
    telemetry::symbols::{Frame, Location},
};

const MEASURE: Measure = Measure { name: "threadcreate", unit: "count" };
const REMARK: &str = "threads by name: where they were created is not known";
/// More names than any program gives its threads; the others are counted together.
const MAX_NAMES: usize = 1000;
const OTHERS: &str = "others";

/// How many threads there are of each name. Empty where the system does not say, as everywhere but on Linux.
pub(super) fn threads() -> BTreeMap<String, i64> {
    let mut names = BTreeMap::new();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads {
        // It may have ended meanwhile.
        let Ok(name) = std::fs::read(thread.path().join("comm")) else { continue };
        let name = String::from_utf8_lossy(&name).trim_end().to_owned();
        let name = if names.len() < MAX_NAMES || names.contains_key(&name) { name } else { OTHERS.to_owned() };
        *names.entry(name).or_default() += 1;
    }
    names
}

pub(super) async fn show(query: Query) -> Result<Response, Refusal> {
    let debug = query.whole("debug", 0..=2)?.unwrap_or(0);
    let threads = threads();
    if debug > 0 {
        let total: i64 = threads.values().sum();
        let mut lines = format!("threadcreate profile: total {total}\n# {REMARK}\n");
        for (name, count) in &threads {
            writeln!(lines, "{count} @ {name}").expect("writing to memory cannot fail");
        }
        return Ok(text(lines));
    }
    let samples = threads.iter().map(|(name, count)| Sample {
        stack: vec![Location::without_address(Frame::named(name))],
        values: vec![*count],
        labels: vec![("thread", name.clone())],
    });
    let profile = Profile {
        measures: vec![MEASURE],
        shown: 0,
        period: Some((MEASURE, 1)),
        began: now(),
        took: Duration::ZERO,
        samples: samples.collect(),
        mappings: Vec::new(),
        remarks: vec![REMARK.to_owned()],
    };
    Ok(attachment("threadcreate", profile.pprof()))
}
