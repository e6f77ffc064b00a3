//! What one thread does, written by that thread alone.

use std::{
    cell::RefCell,
    panic::Location,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::task::Id;

thread_local! {
    /// The lane of this thread in the last recording that saw it, if that still runs.
    pub(super) static OWN: RefCell<Weak<Lane>> = const { RefCell::new(Weak::new()) };
}

/// Something that a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When it began, since the recording did.
    pub from: Duration,
    /// When it ended; the same if it took no time.
    pub until: Duration,
    /// What it was.
    pub what: What,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It polled the task that was begun there.
    Polled(Id, &'static Location<'static>),
    /// It had nothing to do.
    Parked,
    /// It began the task there.
    Spawned(Id, &'static Location<'static>),
    /// It let go of the task.
    Ended(Id),
    /// What the task was called that is about to end.
    Called(Id, &'static str),
}

/// Events are kept in pieces of so many: a list that grows would be copied by a worker that has other things to do.
const PIECE: usize = 512;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) recording: u64,
    pub(super) thread: String,
    began: Instant,
    room: usize,
    /// How many events more there is room for in all lanes together: besides the workers, threads that only begin or end
    /// a task have one.
    left: Arc<AtomicUsize>,
    /// Taken by its thread for each event and by the recording at the end: nobody waits for it but the recording.
    notes: Mutex<Notes>,
    lost: AtomicU64,
}

/// What is written down.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pieces: Vec<Vec<Event>>,
    /// What the thread is doing, and since when.
    pub(super) doing: Option<(What, Duration)>,
}

impl Lane {
    pub(super) fn new(recording: u64, began: Instant, room: usize, left: Arc<AtomicUsize>) -> Self {
        let thread = std::thread::current().name().unwrap_or("a thread without a name").to_owned();
        Self { recording, thread, began, room, left, notes: Mutex::default(), lost: AtomicU64::new(0) }
    }

    /// The thread begins something that takes time.
    pub(super) fn begin(&self, what: What) {
        let now = self.began.elapsed();
        if let Some(mut notes) = self.notes() {
            notes.doing = Some((what, now));
        }
    }

    /// The thread ends it. What it began before the recording did is as long as the recording until now.
    pub(super) fn end(&self, what: What) {
        let until = self.began.elapsed();
        let Some(mut notes) = self.notes() else { return };
        let from = match notes.doing.take() {
            Some((doing, from)) if doing == what => from,
            _ => Duration::ZERO,
        };
        self.write(&mut notes, Event { from, until, what });
    }

    /// The thread does something that takes no time.
    pub(super) fn add(&self, what: What) {
        let now = self.began.elapsed();
        if let Some(mut notes) = self.notes() {
            self.write(&mut notes, Event { from: now, until: now, what });
        }
    }

    fn write(&self, notes: &mut Notes, event: Event) {
        let full = notes.pieces.last().is_none_or(|piece| piece.len() == PIECE);
        let has_room = || {
            notes.pieces.len() * PIECE < self.room
                && self.left.try_update(Relaxed, Relaxed, |left| left.checked_sub(PIECE)).is_ok()
        };
        if full && !has_room() {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        if full {
            notes.pieces.push(Vec::with_capacity(PIECE));
        }
        notes.pieces.last_mut().expect("there is one now").push(event);
    }

    /// To write to, if that is possible at once.
    fn notes(&self) -> Option<MutexGuard<'_, Notes>> {
        match self.notes.try_lock() {
            Ok(notes) => Some(notes),
            Err(TryLockError::Poisoned(notes)) => Some(notes.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.lost.fetch_add(1, Relaxed);
                None
            }
        }
    }

    /// What was written, what was going on last, and how much was lost.
    pub(super) fn take(&self) -> (Vec<Vec<Event>>, Option<(What, Duration)>, u64) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let Notes { pieces, doing } = std::mem::take(&mut *notes);
        (pieces, doing, self.lost.load(Relaxed))
    }
}

/// Says what a task is called that ends here, if this thread is being recorded: nobody will know it afterwards.
pub(in crate::telemetry) fn called(task: Id, name: &'static str) {
    // A thread that is ending has no lane any more.
    OWN.try_with(|own| {
        if let Some(lane) = own.try_borrow().ok().and_then(|own| own.upgrade()) {
            lane.add(What::Called(task, name));
        }
    })
    .ok();
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        time::{Duration, Instant},
    };

    use super::{Event, Lane, PIECE, What};

    #[test]
    fn all_lanes_together_have_no_more_room_than_the_recording() {
        let left = Arc::new(AtomicUsize::new(2 * PIECE));
        let lane = |room| Lane::new(1, Instant::now(), room, Arc::clone(&left));
        let lanes = [lane(PIECE), lane(9 * PIECE), lane(9 * PIECE)];
        let event = Event { from: Duration::ZERO, until: Duration::ZERO, what: What::Parked };
        let written = lanes.each_ref().map(|lane| {
            (0..2 * PIECE).for_each(|_| lane.write(&mut lane.notes().unwrap(), event));
            let (pieces, _, lost) = lane.take();
            (pieces.len(), lost)
        });
        let piece = PIECE as u64;
        assert_eq!(written, [(1, piece), (1, piece), (0, 2 * piece)]);
    }
}
