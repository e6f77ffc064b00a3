//! Where a future stands: the calls in which it asked to be woken.
//!
//! A future that is not ready has to see to it that the waker it was polled with is woken, so it keeps a clone of it. Who
//! hands it a waker that notes the call stack of each clone learns every place at which it waits, whatever crate that
//! lies in, and the future does what it would have done anyway.
//!
//! Tokio's own traces (`tokio::runtime::dump`) were refused for that: they know only tokio's primitives, have those
//! pretend that they are not ready, and take a lock in every worker that whoever looks up symbols holds for a second.

use std::{
    mem::ManuallyDrop,
    sync::{Mutex, PoisonError},
    task::{Context, RawWaker, RawWakerVTable, Waker},
};

/// A call stack from the innermost call outwards, each address inside the instruction that calls.
pub type Place = Box<[usize]>;

/// More than any code waits for at once, except what waits for a list.
const MOST_PLACES: usize = 32;
/// More than any stack of ours has, unoptimised too; the outermost calls beyond it are cut off.
const MOST_CALLS: usize = 512;

/// Polls with a waker that looks: gives what `poll` gives, and the distinct places at which it asked to be woken, in their
/// order. Calls outside of this one belong to no place.
pub(super) fn looking<T>(context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> (T, Vec<Place>) {
    let look = Look { waker: context.waker(), places: Mutex::new(Vec::new()), outermost: 0 };
    let outermost = std::ptr::from_ref(&look).addr();
    let look = Look { outermost, ..look };
    let waker = look.waker();
    let outcome = poll(&mut Context::from_waker(&waker));
    drop(waker);
    (outcome, look.places.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Look<'a> {
    waker: &'a Waker,
    places: Mutex<Vec<Place>>,
    /// Where on the stack the look began: calls beyond it are not the future's.
    outermost: usize,
}

impl Look<'_> {
    fn note(&self) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // What waits for a thousand things at once must not keep its worker for as many walks.
        if places.len() == MOST_PLACES {
            return;
        }
        let place = calls(self.outermost);
        if !places.contains(&place) {
            places.push(place);
        }
    }
}

/// The calls up to that place on the stack.
#[expect(unsafe_code, reason = "the safe walk waits for whoever looks up symbols, for a second, with a worker")]
fn calls(outermost: usize) -> Place {
    let mut calls = Vec::with_capacity(64);
    // SAFETY: on Unix the walk is the system's unwinder, which any number of threads may use at once; what must not be
    // used at once is the library's cache of symbols, which is not touched here.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let sp = frame.sp().addr();
            if sp > outermost || calls.len() == MOST_CALLS {
                return false;
            }
            // What is known of a call is where it returns to.
            calls.push(frame.ip().addr().saturating_sub(1));
            true
        });
    }
    calls.into_boxed_slice()
}

#[expect(unsafe_code, reason = "a waker that does something of its own when it is cloned can be made in no other way")]
mod raw {
    use super::{Look, ManuallyDrop, RawWaker, RawWakerVTable, Waker};

    static LOOKING: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, ignore);

    impl Look<'_> {
        /// A waker that must not be owned by anybody who outlives this.
        pub(super) fn waker(&self) -> Waker {
            // SAFETY: the functions of the table take this very pointer, and may be called from any thread, since a
            // `Look` is `Sync`. The waker is owned by `looking` alone and dropped before the `Look`: everybody else has
            // a reference, and who clones it gets a clone of the waker underneath.
            unsafe { Waker::new(std::ptr::from_ref(self).cast(), &LOOKING) }
        }
    }

    unsafe fn clone(look: *const ()) -> RawWaker {
        // SAFETY: see `Look::waker`.
        let look = unsafe { &*look.cast::<Look<'_>>() };
        look.note();
        // The clone owns what the waker underneath counts.
        let waker = ManuallyDrop::new(look.waker.clone());
        RawWaker::new(waker.data(), waker.vtable())
    }

    unsafe fn wake(look: *const ()) {
        // SAFETY: see `Look::waker`.
        let look = unsafe { &*look.cast::<Look<'_>>() };
        look.waker.wake_by_ref();
    }

    /// It owns nothing.
    unsafe fn ignore(_: *const ()) {}
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, pending},
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::looking;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn each_place_is_noted_and_the_future_keeps_the_waker_underneath() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let notify = tokio::sync::Notify::new();
        let (to_tell, told) = futures_util::future::abortable(pending::<()>());
        let mut future = pin!(async {
            tokio::select! {
                () = notify.notified() => "notified",
                _ = to_tell => "told",
            }
        });
        let (outcome, places) = looking(&mut context, |context| future.as_mut().poll(context));
        assert!(outcome.is_pending());
        assert_eq!(places.len(), 2, "one of tokio's and one of somebody else's");
        assert!(places.iter().all(|place| (3..200).contains(&place.len())), "{places:?}");
        assert_eq!(Arc::strong_count(&count), 4, "the test, its waker, and a clone in each place");
        notify.notify_one();
        assert_eq!(count.0.load(SeqCst), 1);
        told.abort();
        assert_eq!(count.0.load(SeqCst), 2);
        assert!(matches!(future.poll(&mut context), Poll::Ready(_)));
    }

    #[test]
    fn what_asks_nobody_to_be_woken_has_no_place() {
        let mut context = Context::from_waker(Waker::noop());
        let (outcome, places) = looking(&mut context, |context| pin!(pending::<()>()).poll(context));
        assert!(outcome.is_pending() && places.is_empty());
    }

    #[test]
    fn a_waker_that_looks_wakes_too() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        looking(&mut Context::from_waker(&waker), |context| context.waker().wake_by_ref());
        assert_eq!((count.0.load(SeqCst), Arc::strong_count(&count)), (1, 2));
    }
}
