//! `/debug/pprof/trace`: what each worker did, one thing after the other, as Perfetto and Chrome show it.

use std::{
    collections::HashMap,
    fmt::Write,
    iter::once,
    ops::RangeInclusive,
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{Id, JoinHandle},
    time::sleep,
};

use super::{Query, Refusal, tasks::package};
use crate::{
    internal::tool,
    telemetry::{
        self,
        symbols::check_room,
        timeline::{Event, MOST, Recorded, Timeline, What},
    },
};

/// As Go has it.
const DEFAULT: f64 = 1.0;
const BOUNDS: RangeInclusive<f64> = 0.001..=10.0;
/// How long a client may take to read it. Until then it is in memory, and nobody gets another.
const READING: Duration = Duration::from_mins(1);

/// The route. The runtime is the one that the timeline was installed in.
pub(in crate::internal) fn route((timeline, runtime): (Timeline, Handle)) -> MethodRouter {
    get(record).with_state(Arc::new(Recorder { timeline, runtime, turn: Arc::new(Semaphore::new(1)) }))
}

struct Recorder {
    timeline: Timeline,
    runtime: Handle,
    turn: Arc<Semaphore>,
}

async fn record(State(recorder): State<Arc<Recorder>>, query: Query) -> Result<Response, Refusal> {
    let length = seconds(&query)?;
    check_room()?;
    let turn = Arc::clone(&recorder.turn).try_acquire_owned().map_err(|_| {
        Refusal::new(StatusCode::CONFLICT, "another trace is being recorded or read: try again when it has ended")
    })?;
    let recording = recorder.timeline.record(&recorder.runtime);
    // A client that goes away drops this future, and with it the recording.
    sleep(length).await;
    let ended = tool::run(move || recording.end()).await?;
    let document = ended
        .ok_or_else(|| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the recording was ended by somebody else"))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"trace\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(stream::iter(Reading::begin(document, turn)))).into_response())
}

fn seconds(query: &Query) -> Result<Duration, Refusal> {
    let Some(text) = query.get("seconds") else { return Ok(Duration::from_secs_f64(DEFAULT)) };
    let seconds = text.parse().ok().filter(|seconds| BOUNDS.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Refusal::parameter(format!("seconds must be a number from {} to {}", BOUNDS.start(), BOUNDS.end()))
    })
}

/// What is left to be read, until it is read or the time for that is over.
struct Reading {
    left: Arc<Mutex<Option<Left>>>,
    patience: JoinHandle<()>,
}

type Left = (Box<dyn Iterator<Item = Bytes> + Send>, OwnedSemaphorePermit);

impl Reading {
    fn begin(recorded: Recorded, turn: OwnedSemaphorePermit) -> Self {
        let left = Arc::new(Mutex::new(Some((document(recorded), turn))));
        let read = Arc::clone(&left);
        let patience = telemetry::spawn("trace reader", async move {
            sleep(READING).await;
            drop(taken(&read));
        });
        Self { left, patience }
    }
}

fn taken(left: &Mutex<Option<Left>>) -> Option<Left> {
    left.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Iterator for Reading {
    type Item = Result<Bytes, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // A document that is cut off must not look like one that is complete.
        left.as_mut().map_or(Some(Err("the trace was not read in time")), |(pieces, _)| pieces.next().map(Ok))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.patience.abort();
        drop(taken(&self.left));
    }
}

/// The document piece by piece, so that it is never in memory as a whole.
fn document(recorded: Recorded) -> Box<dyn Iterator<Item = Bytes> + Send> {
    let Recorded { took, threads, names, lost } = recorded;
    let about = json!({ "seconds": took.as_secs_f64(), "events_lost": lost, "events_at_most": MOST });
    let process = json!({ "ph": "M", "name": "process_name", "pid": 1, "args": { "name": env!("CARGO_PKG_NAME") } });
    let head = format!("{{\"displayTimeUnit\":\"ns\",\"otherData\":{about},\"traceEvents\":[\n{process}");
    let body = threads.into_iter().zip(1u32..).flat_map(move |(thread, tid)| {
        let names = names.clone();
        let name = json!({ "ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": { "name": thread.name } });
        let events = thread.pieces.into_iter().map(move |piece| events(&piece, tid, &names));
        once(format!(",\n{name}")).chain(events)
    });
    let pieces = once(head).chain(body).chain(once("\n]}\n".to_owned()));
    Box::new(pieces.map(Bytes::from))
}

/// Each event on a line of its own.
fn events(piece: &[Event], tid: u32, names: &HashMap<Id, &'static str>) -> String {
    let mut text = String::new();
    for Event { from, until, what } in piece {
        let (ts, dur) = (micros(*from), micros(until.saturating_sub(*from)));
        let of = |task: &Id| names.get(task).copied();
        let event = match what {
            What::Polled(task, at) => json!({
                "ph": "X", "cat": "poll", "name": of(task).map_or_else(|| short(at), str::to_owned),
                "pid": 1, "tid": tid, "ts": ts, "dur": dur,
                "args": { "task": task.to_string(), "begun at": short(at) }
            }),
            What::Parked => {
                json!({ "ph": "X", "cat": "park", "name": "parked", "pid": 1, "tid": tid, "ts": ts, "dur": dur })
            }
            What::Spawned(task, at) => json!({
                "ph": "i", "s": "t", "cat": "task", "name": "task begun", "pid": 1, "tid": tid, "ts": ts,
                "args": { "task": task.to_string(), "name": of(task), "begun at": short(at) }
            }),
            What::Ended(task) => json!({
                "ph": "i", "s": "t", "cat": "task", "name": "task ended", "pid": 1, "tid": tid, "ts": ts,
                "args": { "task": task.to_string(), "name": of(task) }
            }),
            What::Called(..) => continue,
        };
        write!(text, ",\n{event}").expect("writing to memory cannot fail");
    }
    text
}

/// The format's unit.
fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A library's file without the folders of whoever built it.
fn short(at: &Location<'_>) -> String {
    format!("{}:{}", package(at.file()).unwrap_or(at.file()), at.line())
}
