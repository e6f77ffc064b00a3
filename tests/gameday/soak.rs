//! As long as is wanted: load, and one fault after the other, on and off again. When all of it is over, the process must
//! hold no more than before, and between two faults it must have been well.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    held::{Held, LIMITS, Limit},
    stack::{Instance, K6, Limits, Postgres, STARTING, within},
};

/// What goes wrong, by the name that is shown.
const FAULTS: &[(&str, Wrong)] = &[
    ("slow statements", Wrong::Injected(r#"{"fault": "delay", "for": "300ms", "statement": "SELECT users by email"}"#)),
    ("failing statements", Wrong::Injected(r#"{"fault": "error", "statement": "INSERT users", "share": 0.3}"#)),
    ("no connection", Wrong::Injected(r#"{"fault": "refused_pool"}"#)),
    ("database stopped", Wrong::StoppedDatabase),
    ("hanging requests", Wrong::Injected(r#"{"fault": "hang", "route": "/api/v1/users/me", "share": 0.05}"#)),
    ("panics", Wrong::Injected(r#"{"fault": "panic", "route": "/api/v1/users/{id}", "share": 0.2}"#)),
    ("a blocked worker", Wrong::Injected(r#"{"fault": "blocked_worker", "workers": 1}"#)),
    ("leaking tasks", Wrong::Injected(r#"{"fault": "task_leak", "per_second": 100}"#)),
    ("leaking memory", Wrong::Injected(r#"{"fault": "memory_leak", "per_second": "2MiB"}"#)),
];

enum Wrong {
    /// An entry of `PUT /debug/faults`.
    Injected(&'static str),
    /// PostgreSQL is stopped, and started again.
    StoppedDatabase,
}

/// How long one fault and the time after it last together, first while what is loaded only once is loaded, such as the
/// names of functions for the first stall; and later, as far as the whole allows.
const FIRST: Duration = Duration::from_secs(6);
const LATER: Duration = Duration::from_mins(1);

/// How long after the last fault and the last request the process may take to let go of everything.
const RESTING: Duration = Duration::from_mins(2);

/// Journeys begun each second.
const RATE: &str = "4";

/// Runs it for so long, and says whether all is as it was.
pub(crate) async fn run(length: Duration) -> bool {
    let mut soak = Soak::start().await;
    println!("{:<8} {:<20} {:>8} {:>8} {}", "at", "after", "answered", "failed", Held::heading());
    let load = soak.load().await;
    for (name, wrong) in FAULTS {
        soak.turn(name, wrong, FIRST).await;
    }
    drop(load);
    let before = soak.rested(None).await;
    soak.tell("rest, before", before);

    let load = soak.load().await;
    let count = u32::try_from(FAULTS.len()).unwrap();
    let turn = (length / count).clamp(FIRST, LATER);
    let (began, mut faults) = (Instant::now(), FAULTS.iter().cycle());
    while began.elapsed() < length {
        let (name, wrong) = faults.next().unwrap();
        soak.turn(name, wrong, turn).await;
    }
    drop(load);
    let after = soak.rested(Some(before)).await;
    soak.tell("rest, after", after);

    let grown: Vec<String> = after.grown_since(before);
    grown.iter().chain(&soak.unwell).for_each(|complaint| println!("  {complaint}"));
    let passed = grown.is_empty() && soak.unwell.is_empty();
    let limits: Vec<_> = LIMITS.iter().map(Limit::told).collect();
    println!("At most {} more than before: {}", limits.join(", "), if passed { "passed" } else { "FAILED" });
    if !passed {
        println!("{}", soak.glasshouse.process().last_lines());
    }
    passed
}

struct Soak {
    glasshouse: Instance,
    postgres: Postgres,
    http: reqwest::Client,
    began: Instant,
    /// Requests so far: those that were answered as they should, and those that failed.
    counted: (f64, f64),
    /// After which faults it was not well again.
    unwell: Vec<String>,
}

impl Soak {
    async fn start() -> Self {
        let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[])).await.unwrap();
        let database = postgres.database().await;
        let settings = [("DATABASE_URL", database.as_str()), ("GLASSHOUSE_FAULTS__ALLOWED", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let glasshouse = Instance::start(&settings, Limits::default(), (0, 0)).await;
        let http = reqwest::Client::builder().timeout(STARTING).build().unwrap();
        let soak = Self { glasshouse, postgres, http, began: Instant::now(), counted: (0.0, 0.0), unwell: Vec::new() };
        let ready = async || soak.page("/health/ready").await.filter(|page| page == "ok\n").map(drop);
        within(STARTING, ready).await.expect("the service becomes ready");
        soak
    }

    async fn load(&self) -> K6 {
        let variables = [("RATE", RATE), ("DURATION", "24h"), ("TRACE_RATIO", "0.05")];
        K6::start(self.glasshouse.public, "ci", &variables).await
    }

    /// One fault for half of the time, and none for the other half, in which it must be well.
    async fn turn(&mut self, name: &str, wrong: &Wrong, time: Duration) {
        match wrong {
            Wrong::Injected(entry) => self.inject(&format!("[{entry}]")).await,
            Wrong::StoppedDatabase => self.postgres.stop(),
        }
        pass(time / 2).await;
        match wrong {
            Wrong::Injected(_) => self.inject("[]").await,
            Wrong::StoppedDatabase => self.postgres.start_again(),
        }
        let since = self.requests().await.unwrap_or_default().0;
        let well = async || self.requests().await.filter(|(answered, _)| *answered > since + 20.0).map(drop);
        let (again, ()) = tokio::join!(within(STARTING, well), pass(time / 2));
        if again.is_none() {
            self.unwell.push(format!("not well again after: {name}"));
        }
        match self.held().await {
            Some(held) => self.tell_requests(name, held).await,
            None => self.unwell.push(format!("it tells nothing of itself after: {name}")),
        }
    }

    /// Exactly those faults.
    async fn inject(&self, faults: &str) {
        let url = format!("http://{}/debug/faults?for=1h", self.glasshouse.internal);
        let faults: Value = serde_json::from_str(faults).unwrap();
        let answer = self.http.put(url).json(&faults).send().await.unwrap();
        assert!(answer.status().is_success(), "{faults}: {}", answer.text().await.unwrap());
    }

    /// What it holds when nobody asks anything: once it is no more than before, if that is said, and otherwise once two
    /// looks in a row find the same.
    async fn rested(&self, before: Option<Held>) -> Held {
        let mut last = None;
        let rests = async || {
            let held = self.held().await?;
            let same = last.replace(held).is_some_and(|last| held.grown_since(last).is_empty());
            let enough = before.map_or(same, |before| held.grown_since(before).is_empty());
            (held.is_unused() && enough).then_some(held)
        };
        match within(RESTING, rests).await {
            Some(held) => held,
            None => last.expect("the internal port answers"),
        }
    }

    async fn page(&self, path: &str) -> Option<String> {
        self.http.get(format!("http://{}{path}", self.glasshouse.internal)).send().await.ok()?.text().await.ok()
    }

    async fn held(&self) -> Option<Held> {
        Held::read(&self.page("/metrics").await?)
    }

    /// How many requests were answered as they should, and how many failed.
    async fn requests(&self) -> Option<(f64, f64)> {
        let page = self.page("/metrics").await?;
        let count = |status: &str| {
            let lines = page.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
            let of_status = lines.filter(|line| line.contains(&format!("http_response_status_code=\"{status}")));
            of_status.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        Some((count("2"), count("5")))
    }

    async fn tell_requests(&mut self, after: &str, held: Held) {
        let now = self.requests().await.unwrap_or_default();
        let (answered, failed) = (now.0 - self.counted.0, now.1 - self.counted.1);
        self.counted = now;
        println!("{:<8} {after:<20} {answered:>8} {failed:>8} {}", self.time(), held.row());
    }

    fn tell(&self, after: &str, held: Held) {
        println!("{:<8} {after:<20} {:>8} {:>8} {}", self.time(), "", "", held.row());
    }

    fn time(&self) -> String {
        let seconds = self.began.elapsed().as_secs();
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// Lets that much time pass.
async fn pass(time: Duration) {
    within(time, async || None::<()>).await;
}
