//! `/debug/pprof/goroutine`: what each task is waiting for.

mod fold;
mod listing;
mod standing;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{MethodRouter, get},
};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Instant, timeout},
};

pub(super) use fold::package;

use super::{Query, Refusal, form::Form, text};
use crate::{
    internal::{
        profile::{Measure, Profile},
        tool,
    },
    telemetry::{
        symbols::{ShortOfMemory, Symbols, check_room},
        tasks,
    },
};

/// How long a second dump waits for the first: longer than one takes, symbols included.
const PATIENCE: Duration = Duration::from_secs(10);

const COUNT: Measure = Measure { name: "goroutine", unit: "count" };

/// The route. `runtimes` are those whose tasks are shown.
pub(in crate::internal) fn route(runtimes: Vec<(&'static str, Handle)>) -> MethodRouter {
    get(show).with_state(Arc::new(Dumps { runtimes, turn: Arc::new(Semaphore::new(1)) }))
}

/// Whose tasks, and whose turn it is.
struct Dumps {
    runtimes: Vec<(&'static str, Handle)>,
    turn: Arc<Semaphore>,
}

/// How the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Profile(Form),
    Counts,
    Each,
}

impl Look {
    fn asked(query: &Query) -> Result<Self, Refusal> {
        let form = Form::asked(query)?;
        match query.whole("debug", 0..=2)?.unwrap_or(0) {
            0 => Ok(Self::Profile(form)),
            _ if query.get("format").is_some() => {
                Err(Refusal::parameter("debug=1 and debug=2 are formats of their own: leave format out"))
            }
            1 => Ok(Self::Counts),
            _ => Ok(Self::Each),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a profile tells when it was taken, whatever time the domain believes in"
)]
async fn show(State(dumps): State<Arc<Dumps>>, query: Query) -> Result<Response, Refusal> {
    let look = Look::asked(&query)?;
    let full = query.word("full", &["false", "true"])? == "true";
    if query.get("seconds").is_some() {
        return Err(Refusal::parameter("tasks are looked at in one moment: leave seconds out"));
    }
    let turn = timeout(PATIENCE, Arc::clone(&dumps.turn).acquire_owned()).await.map_err(|_| {
        Refusal::new(StatusCode::CONFLICT, "another dump of the tasks is under way: try again in a moment")
    })?;
    check_room()?;
    let (began, asked) = (SystemTime::now(), Instant::now());
    let ids: Vec<_> = dumps.runtimes.iter().map(|(_, runtime)| runtime.id()).collect();
    let dump = tasks::dump(&ids).await;
    let took = asked.elapsed();
    let remarks = remarks(&dumps, &dump, took);
    tool::run(move || {
        // Kept until the memory of this one is given back, also if nobody waits for the answer any more.
        let _turn = turn;
        render(look, full, dump, remarks, (began, took))
    })
    .await?
}

fn render(
    look: Look,
    full: bool,
    dump: tasks::Dump,
    mut remarks: Vec<String>,
    (began, took): (SystemTime, Duration),
) -> Result<Response, Refusal> {
    let symbols = Symbols::look_up(standing::addresses(&dump.found))?;
    let standing = standing::standing(dump.found, &symbols, full);
    let Symbols { mappings, missing, .. } = symbols;
    remarks.extend(missing);
    let form = match look {
        Look::Each => return Ok(text(listing::each(&standing, &remarks))),
        Look::Counts => return Ok(text(listing::counts(&standing::groups(standing), &remarks))),
        Look::Profile(form) => form,
    };
    let groups = standing::groups(standing);
    let samples = groups.iter().map(standing::Group::sample).collect();
    let (measures, period) = (vec![COUNT], Some((COUNT, 1)));
    let profile = Profile { measures, shown: 0, period, began, took, samples, mappings, remarks };
    form.answer(&profile, "goroutine", "tasks")
}

/// The tasks by place, as text with a blank line before each group. Blocks, see [`Symbols`].
///
/// # Errors
/// When the memory limit of the process leaves too little.
pub(in crate::internal) fn listing(dump: tasks::Dump) -> Result<String, ShortOfMemory> {
    let symbols = Symbols::look_up(standing::addresses(&dump.found))?;
    let groups = standing::groups(standing::standing(dump.found, &symbols, false));
    Ok(listing::counts(&groups, &symbols.missing))
}

/// What is missing, and why.
fn remarks(dumps: &Dumps, dump: &tasks::Dump, took: Duration) -> Vec<String> {
    let mut remarks = vec![format!("{} tasks were asked where they stand, in {took:.1?}", dump.found.len())];
    let silent = |is: fn(&tasks::State) -> bool| dump.found.iter().filter(|found| is(&found.state)).count();
    let polled = silent(|state| matches!(state, tasks::State::Polled(..)));
    let unreached = silent(|state| matches!(state, tasks::State::Unreached));
    if polled > 0 {
        remarks.push(format!("{polled} did not answer since a worker was polling them and did not come back"));
    }
    if unreached > 0 {
        remarks.push(format!("{unreached} did not answer since no worker came to them"));
    }
    if dump.ended > 0 {
        remarks.push(format!("{} ended before they could answer", dump.ended));
    }
    if dump.not_asked > 0 {
        remarks.push(format!("{} more were not asked: {} is the most", dump.not_asked, tasks::MOST));
    }
    let listed = tasks::alive();
    for (name, runtime) in &dumps.runtimes {
        let ours = listed.iter().filter(|task| task.runtime == runtime.id()).count();
        let others = runtime.metrics().num_alive_tasks().saturating_sub(ours);
        if others > 0 {
            remarks.push(format!(
                "{others} tasks of the runtime {name} were begun past this list, as libraries do, and cannot be asked"
            ));
        }
    }
    remarks
}
