//! `/debug/pprof/heap` and `/debug/pprof/allocs`: what holds the memory, and what asked for it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::get,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{Query, Refusal, form::Form};
use crate::internal::{
    heap::{Kind, Lacking, Snapshot, Unready},
    tool,
};

/// How many may wait for what changes; each keeps a profile meanwhile.
const COMPARING: usize = 4;
/// How long a profile waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router {
    let turns = Arc::new(Turns { taking: Arc::new(Semaphore::new(1)), comparing: Arc::new(Semaphore::new(COMPARING)) });
    let answer = |kind| {
        async move |State(turns): State<Arc<Turns>>, headers: HeaderMap, query: Query| {
            let profile = turns.answer(kind, &query).await;
            profile.map_err(|unready| unready.into_refusal(&headers))
        }
    };
    Router::new()
        .route("/debug/pprof/heap", get(answer(Kind::Heap)))
        .route("/debug/pprof/allocs", get(answer(Kind::Allocs)))
        .with_state(turns)
}

/// Who is served when.
struct Turns {
    taking: Arc<Semaphore>,
    comparing: Arc<Semaphore>,
}

enum Failure {
    Refused(Refusal),
    Unready(Unready),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unready> for Failure {
    fn from(unready: Unready) -> Self {
        Self::Unready(unready)
    }
}

impl Turns {
    /// `gc` is accepted and means nothing: there is no garbage.
    async fn answer(&self, kind: Kind, query: &Query) -> Result<Response, Failure> {
        let debug = query.whole("debug", 0..=2)?.unwrap_or(0);
        let form = Form::asked(query)?;
        let form = if debug > 0 && form == Form::Pprof { Form::Text } else { form };
        let seconds = query.whole("seconds", 1..=300)?;
        let before = match seconds {
            Some(seconds) => Some(self.compare(Duration::from_secs(seconds)).await?),
            None => None,
        };
        let answer = self.blocking(move || {
            let snapshot = Snapshot::take()?;
            match before {
                Some((before, _comparing)) => rendered(snapshot.since(&before)?, kind, form, "-delta"),
                None => rendered(snapshot, kind, form, ""),
            }
        });
        answer.await?
    }

    /// How it was that long ago, and the place among those who compare. A client that goes away gives it to the next.
    async fn compare(&self, time: Duration) -> Result<(Snapshot, OwnedSemaphorePermit), Failure> {
        let comparing = Arc::clone(&self.comparing).try_acquire_owned().map_err(|_| {
            Refusal::new(
                StatusCode::CONFLICT,
                format!("{COMPARING} requests with seconds=N are under way, which is the most there may be; try again"),
            )
        })?;
        let before = self.blocking(Snapshot::take).await??;
        sleep(time).await;
        Ok((before, comparing))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = timeout(PATIENCE, Arc::clone(&self.taking).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            Refusal::new(StatusCode::CONFLICT, "another heap profile is being taken; try again in a moment")
        })
    }

    /// Off this port's one thread, one at a time, to its end even if the client has gone.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let turn = self.turn().await?;
        let work = tool::run(move || {
            let _turn = turn;
            work()
        });
        Ok(work.await?)
    }
}

fn rendered(snapshot: Snapshot, kind: Kind, form: Form, suffix: &str) -> Result<Response, Failure> {
    let profile = snapshot.profile(kind).map_err(Unready::from)?;
    let title = match kind {
        Kind::Heap => "memory in use",
        Kind::Allocs => "memory allocated",
    };
    Ok(form.answer(&profile, &format!("{}{suffix}", kind.name()), title)?)
}

impl Failure {
    fn into_refusal(self, headers: &HeaderMap) -> Refusal {
        let unready = match self {
            Self::Refused(refusal) => return refusal,
            Self::Unready(unready) => unready,
        };
        let status = match &unready {
            Unready::Lacking(Lacking::Platform) => StatusCode::NOT_IMPLEMENTED,
            Unready::ShortOfMemory(_) => StatusCode::INSUFFICIENT_STORAGE,
            Unready::Lacking(Lacking::Option) | Unready::Off | Unready::Interrupted | Unready::Failed(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut reason = unready.to_string();
        if matches!(unready, Unready::Off | Unready::Interrupted) {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:6060");
            reason = format!("{reason}; switch it on: curl -X PUT 'http://{host}/debug/heap?for=10m'");
        }
        Refusal::new(status, reason)
    }
}
