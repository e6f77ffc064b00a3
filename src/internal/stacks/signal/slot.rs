//! Memory that a signal's code writes to: there beforehand, claimed and handed over by atomics alone.
#![expect(unsafe_code, reason = "memory that is shared with a signal handler, and the system call that fills it")]

use std::{cell::UnsafeCell, io, ptr::null_mut};

use libc::{c_void, iovec, ucontext_t};

use super::claim::Claim;

/// How much of a stack is looked at, in octets. In a debug build every seventh sample of a request needs more than half.
const STACK: usize = 256 * 1024;
/// What lies below the stack pointer may be in use too: the System V ABI gives functions this many octets.
const RED_ZONE: usize = 128;
/// The system copies a piece or leaves it: pieces as small as the smallest page lose nothing where a stack ends.
const PIECE: usize = 4096;
const PIECES: usize = STACK / PIECE + 1;

/// Room for one stack. All zeroes is a valid, free one.
#[repr(C)]
pub(super) struct Slot {
    pub(super) claim: Claim,
    seen: UnsafeCell<Seen>,
}

/// What a signal's code wrote down.
#[repr(C)]
pub(super) struct Seen {
    pub(super) tid: i32,
    /// Which profile it belongs to.
    pub(super) epoch: u32,
    pub(super) registers: Registers,
    /// Where the copy begins in the thread's memory.
    base: usize,
    length: usize,
    pieces: [iovec; PIECES],
    stack: [u8; STACK],
}

/// What unwinding begins with.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Registers {
    pub(super) pc: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
    /// The link register, where the architecture has one.
    #[cfg(target_arch = "aarch64")]
    pub(super) lr: u64,
}

// SAFETY: `seen` is reached only by who has moved `claim` to `WRITING` (one thread, by compare-and-exchange) or has
// seen it `FULL` and is the only reader (callers of `read` hold the lock of their pool).
unsafe impl Sync for Slot {}

impl Slot {
    /// Fills it with the calling thread's stack as it was when the signal came, and hands it over.
    ///
    /// # Safety
    /// The caller has turned it to `WRITING`; `context` is what the system gave to the signal's code.
    pub(super) unsafe fn fill(&self, epoch: u32, context: *const ucontext_t) {
        let seen = self.seen.get();
        // SAFETY: `WRITING` is ours, so nobody else reads or writes `seen`; `context` is valid as promised.
        unsafe {
            let registers = Registers::of(&*context);
            (*seen).tid = libc::gettid();
            (*seen).epoch = epoch;
            (*seen).registers = registers;
            (*seen).base = usize::try_from(registers.sp).unwrap_or_default().wrapping_sub(RED_ZONE);
            (*seen).length = copy(seen);
        }
        self.claim.hand_over();
    }

    /// What was written, until the slot is freed.
    ///
    /// # Safety
    /// It is `FULL`, and nobody frees it as long as the result lives.
    pub(super) unsafe fn read(&self) -> &Seen {
        // SAFETY: after `FULL` nobody writes until it is free.
        unsafe { &*self.seen.get() }
    }
}

/// Copies the stack from `base` on, as far as it can be read, and tells how far.
///
/// By a system call, since that fails where a load would end the process; it can be made in a signal's code.
///
/// # Safety
/// `seen` is valid and nobody else's.
unsafe fn copy(seen: *mut Seen) -> usize {
    // SAFETY: as promised; all addresses are handed to the system, which checks them.
    unsafe {
        let pieces = (&raw mut (*seen).pieces).cast::<iovec>();
        let (mut from, mut count, mut left) = ((*seen).base, 0, STACK);
        while left > 0 && count < PIECES {
            let length = (PIECE - from % PIECE).min(left);
            pieces.add(count).write(iovec { iov_base: from as *mut c_void, iov_len: length });
            from = from.wrapping_add(length);
            left -= length;
            count += 1;
        }
        let here = iovec { iov_base: (&raw mut (*seen).stack).cast(), iov_len: STACK };
        usize::try_from(libc::process_vm_readv(libc::getpid(), &raw const here, 1, pieces, count as u64, 0))
            .unwrap_or_default()
    }
}

/// Whether the system lets a process read its own memory this way; a sandbox may forbid it.
pub(super) fn can_copy() -> io::Result<()> {
    let (source, mut target) = (17_u8, 0_u8);
    let from = iovec { iov_base: (&raw const source).cast_mut().cast(), iov_len: 1 };
    let to = iovec { iov_base: (&raw mut target).cast(), iov_len: 1 };
    // SAFETY: both ends are one octet of this function's.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &raw const to, 1, &raw const from, 1, 0) };
    if copied == 1 && target == source { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Seen {
    /// Eight octets of the stack; none outside the copy.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let from = usize::try_from(address).ok()?.checked_sub(self.base)?;
        let copied = self.stack.get(..self.length)?;
        copied.get(from..from.checked_add(8)?)?.try_into().ok().map(u64::from_ne_bytes)
    }

    /// Whether an address lies behind the copy, on a stack that is longer than that.
    pub(super) fn is_beyond(&self, address: u64) -> bool {
        self.length == STACK && usize::try_from(address).is_ok_and(|address| address >= self.base + STACK - 7)
    }
}

impl Registers {
    #[cfg(target_arch = "x86_64")]
    fn of(context: &ucontext_t) -> Self {
        const PC: usize = libc::REG_RIP.cast_unsigned() as usize;
        const SP: usize = libc::REG_RSP.cast_unsigned() as usize;
        const FP: usize = libc::REG_RBP.cast_unsigned() as usize;
        let [pc, sp, fp] = [PC, SP, FP].map(|register| context.uc_mcontext.gregs[register].cast_unsigned());
        Self { pc, sp, fp }
    }

    #[cfg(target_arch = "aarch64")]
    fn of(context: &ucontext_t) -> Self {
        let context = &context.uc_mcontext;
        Self { pc: context.pc, sp: context.sp, fp: context.regs[29], lr: context.regs[30] }
    }
}

/// Slots for the life of the process; pages that were never written to cost nothing.
///
/// # Errors
/// When the system gives no address space.
pub(super) fn reserve(count: usize) -> io::Result<&'static [Slot]> {
    // SAFETY: a new mapping of our own, which is never unmapped; zeroes are valid slots, and a page is aligned enough.
    unsafe {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let length = count * size_of::<Slot>();
        let memory = libc::mmap(null_mut(), length, access, kind | libc::MAP_NORESERVE, -1, 0);
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(std::slice::from_raw_parts(memory.cast(), count))
    }
}

/// Gives the pages of slots back to the system; they are free and zero afterwards.
///
/// # Safety
/// Nobody reads or writes them, nor will before this returns.
pub(super) unsafe fn give_back(slots: &'static [Slot]) {
    let memory = slots.as_ptr().cast_mut().cast();
    // SAFETY: the mapping is ours. A failure leaves the pages as they are.
    unsafe { libc::madvise(memory, size_of_val(slots), libc::MADV_DONTNEED) };
}
