//! A question that is put to a task, and comes to it: however asking and the task's first poll meet.
//!
//! Its locks and atomics are its parent's, so that tests/model can try every order in which threads may see each other's
//! writes.

use super::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
};

/// One task's side: what wakes it, and what it is asked.
#[derive(Debug)]
pub(super) struct Asking<W, Q> {
    /// Known from the first poll on.
    waker: OnceLock<W>,
    /// Whether there is a question, so that nobody takes a lock to find none.
    asked: AtomicBool,
    question: Mutex<Option<Q>>,
}

impl<W, Q> Asking<W, Q> {
    pub(super) fn new() -> Self {
        Self { waker: OnceLock::new(), asked: AtomicBool::new(false), question: Mutex::new(None) }
    }

    /// What wakes it; none before its first poll.
    #[inline]
    pub(super) fn waker(&self) -> Option<&W> {
        self.waker.get()
    }

    /// Says that a poll begins. Only the task itself says so.
    #[inline]
    pub(super) fn begin(&self, waker: impl FnOnce() -> W) {
        if self.waker.get().is_none() {
            self.waker.get_or_init(waker);
            fence(SeqCst);
        }
    }

    /// Puts a question, in place of one that was not answered, and has it come to the task.
    pub(super) fn ask(&self, question: Q, wake: impl FnOnce(&W)) {
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(question);
        self.asked.store(true, Relaxed);
        // Either the waker is here to be seen, and a poll after the wake sees that something is asked; or the first poll
        // sees it.
        fence(SeqCst);
        if let Some(waker) = self.waker.get() {
            wake(waker);
        }
    }

    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Takes the question back, if it has not been answered.
    pub(super) fn take(&self) -> Option<Q> {
        if !self.is_asked() {
            return None;
        }
        self.asked.store(false, Relaxed);
        self.question.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
