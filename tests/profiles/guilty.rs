//! Code that keeps a thread of the service busy, until it is let go.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
};

use tokio::runtime::Handle;

/// Something guilty on a runtime. Dropped, it ends.
pub(crate) struct Guilty(Arc<AtomicBool>);

impl Guilty {
    /// Has one worker of that runtime run this, and nothing else, from now on.
    pub(crate) fn on(runtime: &Handle, code: fn(&AtomicBool)) -> Self {
        let go_on = Arc::new(AtomicBool::new(true));
        let (sender, there) = mpsc::channel();
        let seen = Arc::clone(&go_on);
        runtime.spawn(async move {
            sender.send(()).ok();
            code(&seen);
        });
        there.recv().unwrap();
        Self(go_on)
    }
}

impl Drop for Guilty {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// The lines of [`burns`], between which a sample has to fall.
pub(crate) const BURNS_FROM: u32 = line!();
/// Computes, and calls nothing while it does.
#[inline(never)]
pub(crate) fn burns(go_on: &AtomicBool) {
    let mut number = black_box(88_172_645_463_325_252_u64);
    while go_on.load(Relaxed) {
        let mut round = 0_u32;
        while round < 1 << 16 {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            round += 1;
        }
    }
    black_box(number);
}
pub(crate) const BURNS_TO: u32 = line!();

/// Has the C library do it, in a function without a frame pointer that is called from here and nowhere in between.
#[inline(never)]
pub(crate) fn clears_memory(go_on: &AtomicBool) {
    while go_on.load(Relaxed) {
        black_box(&[black_box(1_u8); 1 << 13]);
    }
}
