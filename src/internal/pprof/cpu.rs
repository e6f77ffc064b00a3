//! `/debug/pprof/profile`: which code burns the CPU.

use std::time::Duration;

use axum::{http::StatusCode, response::Response};
use tokio::sync::Semaphore;

use super::{
    super::{
        profile::{Measure, Profile},
        tool,
    },
    Query, Refusal,
    form::Form,
    shared::{self, Taken},
};
use crate::telemetry::symbols::{Symbols, check_room};

/// As Go has it where nothing or nonsense is asked for.
const SECONDS: u64 = 30;
const MAX_SECONDS: u64 = 300;
/// Not 100: what the service does every ten milliseconds would be seen always or never.
const FREQUENCY: u32 = 99;
/// A kernel of 250 ticks a second, which is usual, loses what is asked for beyond.
const MAX_FREQUENCY: u32 = 100;
/// How many profiles are taken at once; each holds up to 8 MB of stacks.
const MAX_PROFILES: usize = 8;
static PROFILES: Semaphore = Semaphore::const_new(MAX_PROFILES);

/// A CPU profile, once it is taken. A client that goes away before ends it.
pub(super) async fn show(query: Query) -> Result<Response, Refusal> {
    let asked = Asked::parse(&query)?;
    check_room()?;
    let permit = PROFILES.try_acquire().map_err(|_| {
        let reason = format!("{MAX_PROFILES} profiles are being taken, which is the most; another one has to wait");
        Refusal::new(StatusCode::CONFLICT, reason)
    })?;
    let taken = shared::take(asked.frequency, asked.length, asked.force).await?;
    tool::run(move || {
        let _permit = permit;
        answer(taken, &asked)
    })
    .await?
}

/// What the parameters say.
struct Asked {
    length: Duration,
    frequency: u32,
    form: Form,
    force: bool,
}

impl Asked {
    fn parse(query: &Query) -> Result<Self, Refusal> {
        let seconds = query.get("seconds").and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds > 0);
        let seconds = seconds.map_or(SECONDS, i64::unsigned_abs);
        if seconds > MAX_SECONDS {
            return Err(Refusal::parameter(format!("seconds must be a whole number from 1 to {MAX_SECONDS}")));
        }
        Ok(Self {
            length: Duration::from_secs(seconds),
            frequency: query.whole("frequency", 1..=MAX_FREQUENCY)?.unwrap_or(FREQUENCY),
            form: Form::asked(query)?,
            force: query.word("force", &["false", "true"])? == "true",
        })
    }
}

fn answer(taken: Taken, asked: &Asked) -> Result<Response, Refusal> {
    let Taken { tally, began, took, lost } = taken;
    let period = 1_000_000_000 / i64::from(asked.frequency);
    let cpu = Measure { name: "cpu", unit: "nanoseconds" };
    let mut remarks = tally.remarks();
    if lost > 0 {
        remarks.push(format!("{lost} samples were lost: they came faster than they could be fetched"));
    }
    let symbols = Symbols::look_up(tally.addresses())?;
    let samples = tally.samples(&symbols, |count| vec![count, count * period]);
    let Symbols { mappings, missing, .. } = symbols;
    remarks.extend(missing);
    let measures = vec![Measure { name: "samples", unit: "count" }, cpu];
    let profile = Profile { measures, shown: 1, period: Some((cpu, period)), began, took, samples, mappings, remarks };
    let title = format!("CPU, {} s at {} Hz", asked.length.as_secs(), asked.frequency);
    asked.form.answer(&profile, "profile", &title)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{extract::FromRequestParts, http::Request};

    use super::{Asked, FREQUENCY, Form, Query};

    async fn asked(query: &str) -> Asked {
        let (mut parts, ()) = Request::builder().uri(format!("/?{query}")).body(()).unwrap().into_parts();
        let Ok(query) = Query::from_request_parts(&mut parts, &()).await;
        Asked::parse(&query).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    #[tokio::test]
    async fn seconds_that_are_nonsense_are_thirty_as_go_has_it() {
        for (query, seconds) in
            [("", 30), ("seconds=", 30), ("seconds=x", 30), ("seconds=1.5", 30), ("seconds=0", 30), ("seconds=-1", 30)]
                .into_iter()
                .chain([("seconds=99999999999999999999", 30), ("seconds=1", 1), ("seconds=300", 300)])
        {
            assert_eq!(asked(query).await.length, Duration::from_secs(seconds), "{query}");
        }
        let asked = asked("").await;
        assert_eq!((asked.frequency, asked.form, asked.force), (FREQUENCY, Form::Pprof, false));
    }
}
