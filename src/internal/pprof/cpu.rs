//! `/debug/pprof/profile`: which code burns the CPU.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use axum::{http::StatusCode, response::Response};
use tokio::{
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep_until},
};

use super::{
    super::{
        profile::{Measure, Profile},
        stacks::{Sampler, Unavailable},
    },
    Query, Refusal,
    form::Form,
    tally::Tally,
    turn::{Turn, Turns},
};

/// As Go has it where nothing or nonsense is asked for.
const SECONDS: u64 = 30;
const MOST_SECONDS: u64 = 300;
/// Not 100: what the service does every ten milliseconds would be seen always or never.
const FREQUENCY: u32 = 99;
/// A kernel of 250 ticks a second, which is usual, loses what is asked for beyond.
const MOST_FREQUENCY: u32 = 100;
/// How often samples are fetched: so often that the room for them is never full.
const PERIOD: Duration = Duration::from_millis(50);

/// The timer is the process's, so whoever wants it in this process waits for the same turn.
static TURNS: LazyLock<Turns> = LazyLock::new(Turns::new);

/// A CPU profile, once it is taken. Who goes away before has it ended at once.
pub(super) async fn show(query: Query) -> Result<Response, Refusal> {
    let asked = Asked::parse(&query)?;
    let turn = TURNS.take(asked.force).await?;
    let run = Run::start(turn, asked.frequency).map_err(unavailable)?;
    let run = run.sample(asked.length).await?;
    spawn_blocking(move || run.answer(&asked)).await.map_err(|error| broken(&error))?
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
        if seconds > MOST_SECONDS {
            return Err(Refusal::parameter(format!("seconds must be a whole number from 1 to {MOST_SECONDS}")));
        }
        Ok(Self {
            length: Duration::from_secs(seconds),
            frequency: query.whole("frequency", 1..=MOST_FREQUENCY)?.unwrap_or(FREQUENCY),
            form: Form::asked(query)?,
            force: query.word("force", &["false", "true"])? == "true",
        })
    }
}

/// A profile that is being taken. Dropped, its timer is off, and then its turn is another's.
struct Run {
    sampler: Sampler,
    tally: Tally,
    began: SystemTime,
    took: Duration,
    turn: Turn,
}

impl Run {
    #[expect(clippy::disallowed_methods, reason = "when it was taken is told to people, and no test moves it")]
    fn start(turn: Turn, frequency: u32) -> Result<Self, Unavailable> {
        let sampler = Sampler::start(frequency)?;
        Ok(Self { sampler, tally: Tally::default(), began: SystemTime::now(), took: Duration::ZERO, turn })
    }

    async fn sample(mut self, length: Duration) -> Result<Self, Refusal> {
        let began = Instant::now();
        let end = began + length;
        loop {
            let next = (Instant::now() + PERIOD).min(end);
            tokio::select! {
                () = sleep_until(next) => {}
                refusal = self.turn.taken_over() => return Err(refusal),
            }
            let is_over = next == end;
            if is_over {
                self.sampler.stop();
                self.took = began.elapsed();
            }
            // Whatever this thread does with samples, it does not do for the one who asks for metrics meanwhile.
            self = spawn_blocking(move || self.drained()).await.map_err(|error| broken(&error))?;
            if is_over {
                return Ok(self);
            }
        }
    }

    fn drained(mut self) -> Self {
        self.sampler.drain(|thread, stack, count| self.tally.add(thread, stack, count));
        self
    }

    fn answer(self, asked: &Asked) -> Result<Response, Refusal> {
        let Self { sampler, tally, began, took, turn } = self;
        let lost = sampler.lost();
        // The memory that samples were written to is given back before names are looked up, which takes much more.
        drop(sampler);
        let period = 1_000_000_000 / i64::from(asked.frequency);
        let cpu = Measure { name: "cpu", unit: "nanoseconds" };
        let mut remarks = tally.remarks();
        if lost > 0 {
            remarks.push(format!("{lost} samples were lost: they came faster than they could be fetched"));
        }
        let profile = Profile {
            measures: vec![Measure { name: "samples", unit: "count" }, cpu],
            shown: 1,
            period: Some((cpu, period)),
            began,
            took,
            samples: tally.samples(|count| vec![count, count * period]),
            remarks,
        };
        let title = format!("CPU, {} s at {} Hz", asked.length.as_secs(), asked.frequency);
        let answer = asked.form.answer(&profile, "profile", &title);
        drop(turn);
        answer
    }
}

fn unavailable(reason: Unavailable) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, reason.0)
}

fn broken(error: &JoinError) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the profile could not be written: {error}"))
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
