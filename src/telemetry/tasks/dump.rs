//! Asks the tasks where they stand, and gathers what they say in time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Id, sync::mpsc, time::timeout_at};

use super::{Place, Task, alive, polls::under_way};

/// The most tasks that are asked in one dump.
pub const MOST: usize = 10_000;
/// How long is waited for answers. An idle runtime gives them within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many tasks are asked at once, and how long the next have to wait for those who do not answer: a worker that looks
/// at ten thousand stacks in a row would keep its requests waiting for as long.
const WAVE: usize = 256;
const PAUSE: Duration = Duration::from_millis(10);

/// The function that every place ends in: what it calls is the task's own, what calls it is not.
pub const BOUNDARY: &str = "tasks::spawn::outermost";

/// What a task is asked: where it stands.
#[derive(Debug)]
pub(super) struct Question(mpsc::Sender<(u64, Vec<Place>)>);

impl Question {
    pub(super) fn answer(self, task: u64, places: Vec<Place>) {
        // Whoever has stopped asking has no use for it.
        self.0.try_send((task, places)).ok();
    }
}

/// Where the tasks of some runtimes stood.
#[derive(Debug)]
pub struct Dump {
    /// Every task that was asked and has not ended meanwhile, the oldest first.
    pub found: Vec<Found>,
    /// How many were not asked, because there are more than [`MOST`]; the youngest.
    pub not_asked: usize,
    /// How many of those asked ended before they could answer.
    pub ended: usize,
}

/// One task.
#[derive(Debug)]
pub struct Found {
    /// Which.
    pub task: Arc<Task>,
    /// Where it stood.
    pub state: State,
}

/// Where a task stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits at these places, for whichever comes first. None means that nothing will ever wake it.
    Waiting(Vec<Arc<[usize]>>),
    /// It did not answer, since a thread of that name was polling it, since that time, and had not come back.
    Polled(String, Instant),
    /// It did not answer, since no worker came to it.
    Unreached,
}

/// Asks the tasks of these runtimes. Takes a second at most, whatever they do.
///
/// To drop the future is to stop asking; nothing of it is left in the tasks. A task answers the newest question only, so
/// two dumps of one runtime at once take answers from each other.
pub async fn dump(runtimes: &[Id]) -> Dump {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = Asked(alive().into_iter().filter(|task| runtimes.contains(&task.runtime)).collect());
    let not_asked = asked.0.len().saturating_sub(MOST);
    asked.0.truncate(MOST);
    let mut answers = Answers::default();
    let (question, mut answered) = mpsc::channel(asked.0.len().max(1));
    for (begun, wave) in asked.0.chunks(WAVE).enumerate() {
        for task in wave {
            task.ask(Question(question.clone()));
        }
        let pause = deadline.min(Instant::now() + PAUSE);
        while answers.places.len() < begun * WAVE + wave.len()
            && let Ok(Some((task, places))) = timeout_at(pause.into(), answered.recv()).await
        {
            answers.add(task, places);
        }
    }
    drop(question);
    // Whoever ends takes its question with it: when there is none left, nobody is waited for.
    while let Ok(Some((task, places))) = timeout_at(deadline.into(), answered.recv()).await {
        answers.add(task, places);
    }
    while let Ok((task, places)) = answered.try_recv() {
        answers.add(task, places);
    }
    let alive: HashSet<u64> = alive().iter().map(|task| task.id).collect();
    let polls = under_way();
    let asked_of = asked.0.len();
    let found: Vec<Found> = std::mem::take(&mut asked.0)
        .into_iter()
        .filter_map(|task| {
            drop(task.take_question());
            let state = match answers.places.remove(&task.id) {
                Some(places) => State::Waiting(places),
                None if !alive.contains(&task.id) => return None,
                None => match polls.iter().find(|(_, poll)| poll.task == task.id) {
                    Some((poller, poll)) => State::Polled(poller.name.clone(), poll.since),
                    None => State::Unreached,
                },
            };
            Some(Found { task, state })
        })
        .collect();
    let ended = asked_of - found.len();
    Dump { found, not_asked, ended }
}

/// Takes the questions back from whoever has not answered.
struct Asked(Vec<Arc<Task>>);

impl Drop for Asked {
    fn drop(&mut self) {
        for task in &self.0 {
            drop(task.take_question());
        }
    }
}

/// What was answered. Most tasks stand where many others do: a place is kept once.
#[derive(Default)]
struct Answers {
    places: HashMap<u64, Vec<Arc<[usize]>>>,
    known: HashSet<Arc<[usize]>>,
}

impl Answers {
    fn add(&mut self, task: u64, places: Vec<Place>) {
        let places = places.into_iter().map(|place| self.keep(place)).collect();
        self.places.insert(task, places);
    }

    fn keep(&mut self, place: Place) -> Arc<[usize]> {
        if let Some(known) = self.known.get(&*place) {
            return Arc::clone(known);
        }
        let place = Arc::<[usize]>::from(place);
        self.known.insert(Arc::clone(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, pending},
        pin::pin,
        task::{Context, Waker},
    };

    use tokio::runtime::Handle;

    use super::{super::spawn, State, alive, dump};

    #[tokio::test]
    async fn whoever_stops_asking_leaves_no_question() {
        let runtimes = [Handle::current().id()];
        drop(spawn("waiting", pending::<()>()));
        let task = alive().into_iter().find(|task| runtimes.contains(&task.runtime)).unwrap();
        {
            let mut dump = pin!(dump(&runtimes));
            assert!(dump.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(task.is_asked(), "this thread is the only worker, so it cannot have answered");
        }
        assert!(!task.is_asked() && task.take_question().is_none());
        // And the next dump is answered.
        let found = dump(&runtimes).await.found;
        assert!(found.iter().all(|found| found.state == State::Waiting(Vec::new())) && !found.is_empty());
    }

    #[tokio::test]
    async fn tasks_of_others_are_not_asked() {
        drop(spawn("waiting", pending::<()>()));
        assert!(dump(&[]).await.found.is_empty());
    }
}
