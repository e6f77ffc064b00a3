//! The threads that hash passwords: of their own, so that they can stand back.
//!
//! Where every core hashes, nobody reads. So these threads are a little less important to the kernel than those that
//! serve: of a core that both want, they get a quarter, which is enough not to starve either. They run on where nobody
//! else wants the core.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Nice levels below the rest of the process: a third of the weight of its threads (sched(7): 335 against 1024).
#[cfg(target_os = "linux")]
const NICE_INCREMENT: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// So many threads. They end when the last clone is gone.
#[derive(Clone)]
pub(super) struct Threads {
    jobs: mpsc::Sender<Job>,
    /// One permit for each thread: no more jobs are in the channel than threads are free.
    free: Arc<Semaphore>,
}

/// A thread that is free, for one job.
pub(super) struct Free {
    jobs: mpsc::Sender<Job>,
    permit: OwnedSemaphorePermit,
}

impl Threads {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (jobs, next) = mpsc::channel::<Job>();
        let next = Arc::new(Mutex::new(next));
        for number in 0..count {
            let next = Arc::clone(&next);
            thread::Builder::new().name(format!("password-{number}")).spawn(move || work(&next))?;
        }
        Ok(Self { jobs, free: Arc::new(Semaphore::new(count)) })
    }

    /// Waits until a thread is free, in the order of arrival.
    pub(super) async fn turn(&self) -> Free {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        Free { jobs: self.jobs.clone(), permit }
    }
}

impl Free {
    /// What comes of it; nothing if it panics, which the panic hook has told.
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (told, result) = oneshot::channel();
        let Self { jobs, permit } = self;
        let job = move || {
            // Held by the thread, not by the caller: a client that goes away does not make room for another hash while
            // its own is still being computed.
            let _held = permit;
            if let Ok(value) = catch_unwind(AssertUnwindSafe(work)) {
                told.send(value).ok();
            }
        };
        jobs.send(Box::new(job)).ok();
        result.await.ok()
    }
}

fn work(next: &Mutex<mpsc::Receiver<Job>>) {
    stand_back();
    loop {
        // Whoever waits for a job keeps the others from waiting for one: they would wait all the same.
        let job = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

/// On Linux a thread has a nice level of its own, which begins with that of the process: `nice glasshouse` must not make
/// hashing the most important work. Where the change is refused, hashing has the priority of the rest.
fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        let thread = Some(rustix::thread::gettid());
        let inherited = rustix::process::getpriority_process(thread).unwrap_or(0);
        rustix::process::setpriority_process(thread, inherited + NICE_INCREMENT).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::Threads;

    #[tokio::test]
    async fn a_panic_loses_one_hash_and_no_thread() {
        let threads = Threads::start(1).unwrap();
        for _ in 0..3 {
            assert_eq!(threads.turn().await.run(|| -> u8 { panic!("on purpose") }).await, None);
            assert_eq!(threads.turn().await.run(|| 7).await, Some(7));
        }
    }

    #[tokio::test]
    async fn who_goes_away_makes_no_room_while_its_hash_is_computed() {
        let threads = Threads::start(1).unwrap();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let thread = threads.turn().await;
        let running = crate::telemetry::spawn("hash", async move {
            thread
                .run(move || {
                    begun.send(()).ok();
                    ends.recv().ok();
                })
                .await
        });
        has_begun.await.unwrap();
        running.abort();
        running.await.unwrap_err();
        assert_eq!(threads.free.available_permits(), 0);
        end.send(()).unwrap();
        assert_eq!(threads.turn().await.run(|| 7).await, Some(7));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_stands_back_behind_serving() {
        let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let here = niceness();
        let there = Threads::start(1).unwrap().turn().await.run(niceness).await.unwrap();
        assert!(there > here, "{there} where serving has {here}");
    }
}
