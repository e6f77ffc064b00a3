//! Asking certain threads where they are.
#![expect(unsafe_code, reason = "a signal is sent by a system call, and a slot is read while it is full")]

use std::{
    sync::{Mutex, PoisonError, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{
    super::{Captured, Unavailable},
    claim::{ASKED, FREE, FULL, WRITING},
    interrupt::pools,
    slot::Slot,
    unwind::Unwinder,
};

/// How long a look at the answers waits for the next one.
const PAUSE: Duration = Duration::from_millis(1);
/// A thread that has begun its answer is given so much more: it needs microseconds, if the system lets it run.
const GRACE: Duration = Duration::from_millis(20);

/// One who asks at a time: so that who waits longer than its budget is not for others to say.
static ASKING: Mutex<()> = Mutex::new(());

/// Where these threads of this process are, each at the moment in which the signal reaches it; in the order asked for.
///
/// Blocks: until all have answered, at most for `budget` (and another such call's), and then as long as it takes to
/// unwind, milliseconds a thread. A thread that sleeps in the system answers too: its call is interrupted and goes on.
///
/// # Errors
/// When stacks cannot be captured in this process at all.
pub(in crate::internal) fn of(tids: &[i32], budget: Duration) -> Result<Vec<Captured>, Unavailable> {
    let pools = pools()?;
    let _one = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + budget;
    // Answers that came too late for who asked before.
    for slot in pools.questions {
        slot.claim.turn(FULL, FREE);
    }
    let mut unwinder = None;
    let mut captured = Vec::with_capacity(tids.len());
    for tids in tids.chunks(pools.questions.len()) {
        let mut free = pools.questions.iter().filter(|slot| slot.claim.state() == FREE);
        let asked: Vec<(i32, Option<&Slot>)> =
            tids.iter().map(|&tid| (tid, free.next().filter(|slot| ask(slot, tid)))).collect();
        wait(&asked, ASKED, deadline);
        for (_, slot) in &asked {
            slot.map(|slot| slot.claim.turn(ASKED, FREE));
        }
        wait(&asked, WRITING, deadline.max(Instant::now() + GRACE));
        for (tid, slot) in asked {
            let stack = slot.filter(|slot| slot.claim.state() == FULL).and_then(|slot| {
                // SAFETY: it is full, and freed only below, by who holds the lock.
                let seen = unsafe { slot.read() };
                // A thread that was asked in this slot before, and was stopped in the middle of looking, may have taken
                // the question for its own.
                let stack = (seen.tid == tid).then(|| unwinder.get_or_insert_with(Unwinder::new).stack(seen));
                slot.claim.turn(FULL, FREE);
                stack
            });
            captured.push(Captured { tid, stack });
        }
    }
    Ok(captured)
}

/// Sends the question; false if there is no such thread.
fn ask(slot: &Slot, tid: i32) -> bool {
    slot.claim.wanted.store(tid.cast_unsigned(), Relaxed);
    if !slot.claim.turn(FREE, ASKED) {
        return false;
    }
    // SAFETY: a signal to a thread of this process, which has a handler; the system checks the number.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGPROF) } == 0;
    sent || !slot.claim.turn(ASKED, FREE)
}

/// Waits until no slot is in that state any more, or until then.
fn wait(asked: &[(i32, Option<&Slot>)], state: u32, deadline: Instant) {
    while asked.iter().any(|(_, slot)| slot.is_some_and(|slot| slot.claim.state() == state))
        && Instant::now() < deadline
    {
        thread::sleep(PAUSE);
    }
}
