//! The signal itself: the code that runs in the middle of anything, and who it writes for.
#![expect(unsafe_code, reason = "a signal handler and its installation are calls of the C library")]

use std::{
    io, mem,
    ptr::{null, null_mut},
    sync::{
        OnceLock,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use libc::{c_int, c_void, sigaction, siginfo_t, ucontext_t};

use super::{
    super::Unavailable,
    claim::{ASKED, FREE, WRITING},
    slot::{self, Slot},
};

/// How many samples the timer can take between two drains. At 100 hertz, 20 times a second, with 50 processors at work.
const SAMPLES: usize = 256;
/// How many threads can be asked at once.
const QUESTIONS: usize = 64;

/// What the signal's code writes to.
pub(super) struct Pools {
    pub(super) samples: &'static [Slot],
    pub(super) questions: &'static [Slot],
    /// Whether the timer's samples are wanted.
    pub(super) sampling: AtomicBool,
    /// Which profile they are for.
    pub(super) epoch: AtomicU32,
    /// How many samples found no room, ever.
    pub(super) lost: AtomicU64,
    /// How many threads are in the signal's code.
    pub(super) inside: AtomicUsize,
}

static POOLS: OnceLock<Result<Pools, Unavailable>> = OnceLock::new();

/// What is shared with the signal's code; the first call installs it.
///
/// # Errors
/// When this process may not look at itself, or somebody else uses the signal: the same words at every call.
pub(super) fn pools() -> Result<&'static Pools, Unavailable> {
    let pools = POOLS.get_or_init(|| {
        slot::can_copy().map_err(|error| {
            let reason = "the system does not let this process read its own memory (process_vm_readv)";
            Unavailable(format!("{reason}: {error}; a seccomp profile that allows the call helps"))
        })?;
        let reserve =
            |count| slot::reserve(count).map_err(|error| Unavailable(format!("there is no room for stacks: {error}")));
        Ok(Pools {
            samples: reserve(SAMPLES)?,
            questions: reserve(QUESTIONS)?,
            sampling: AtomicBool::new(false),
            epoch: AtomicU32::new(0),
            lost: AtomicU64::new(0),
            inside: AtomicUsize::new(0),
        })
    });
    let pools = pools.as_ref().map_err(Clone::clone)?;
    install_handler()?;
    Ok(pools)
}

/// Installs the handler, if it is not installed. Without it, SIGPROF ends the process.
///
/// # Errors
/// When another part of the process handles the signal.
pub(in crate::internal) fn install_handler() -> Result<(), Unavailable> {
    // SAFETY: plain structures of the C library, filled by it and by us; all zeroes is a valid one.
    unsafe {
        let ours = interrupted as extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
        let mut before: sigaction = mem::zeroed();
        if libc::sigaction(libc::SIGPROF, null(), &raw mut before) != 0 {
            return Err(Unavailable(format!("SIGPROF cannot be had: {}", io::Error::last_os_error())));
        }
        if before.sa_sigaction == ours as usize {
            return Ok(());
        }
        if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN {
            return Err(Unavailable("something else in this process uses SIGPROF already".to_owned()));
        }
        let mut action: sigaction = mem::zeroed();
        action.sa_sigaction = ours as usize;
        // Calls that were interrupted go on, and a thread that is at the end of its stack has another one for this.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGPROF, &raw const action, null_mut()) != 0 {
            return Err(Unavailable(format!("SIGPROF cannot be had: {}", io::Error::last_os_error())));
        }
    }
    Ok(())
}

/// The signal's code. It may run between any two instructions of anything, so it takes no lock, allocates nothing,
/// cannot panic, and calls only what is a system call.
extern "C" fn interrupted(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(Ok(pools)) = POOLS.get() else { return };
    // SAFETY: the system gives both pointers to a handler with SA_SIGINFO; errno is this thread's own.
    unsafe {
        let errno = *libc::__errno_location();
        pools.inside.fetch_add(1, SeqCst);
        let context = context.cast::<ucontext_t>().cast_const();
        match (*info).si_code {
            libc::SI_KERNEL if pools.sampling.load(SeqCst) => sample(pools, context),
            libc::SI_TKILL if (*info).si_pid() == libc::getpid() => answer(pools, context),
            // From somebody else, or late.
            _ => {}
        }
        pools.inside.fetch_sub(1, SeqCst);
        *libc::__errno_location() = errno;
    }
}

/// # Safety
/// `context` is what the system gave to the signal's code.
unsafe fn sample(pools: &Pools, context: *const ucontext_t) {
    // The first that is free, so that as few pages as possible are ever touched.
    match pools.samples.iter().find(|slot| slot.claim.state() == FREE && slot.claim.turn(FREE, WRITING)) {
        // SAFETY: it has just been turned to `WRITING`.
        Some(slot) => unsafe { slot.fill(pools.epoch.load(Relaxed), context) },
        None => {
            pools.lost.fetch_add(1, Relaxed);
        }
    }
}

/// # Safety
/// `context` is what the system gave to the signal's code.
unsafe fn answer(pools: &Pools, context: *const ucontext_t) {
    // SAFETY: a call without conditions.
    let own = unsafe { libc::gettid() }.cast_unsigned();
    let mine = |slot: &&Slot| {
        slot.claim.state() == ASKED && slot.claim.wanted.load(Relaxed) == own && slot.claim.turn(ASKED, WRITING)
    };
    if let Some(slot) = pools.questions.iter().find(mine) {
        // SAFETY: it has just been turned to `WRITING`.
        unsafe { slot.fill(0, context) };
    }
}
