//! The sampled heap at one moment, or what came between two, as a profile.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::{
    allocator::{self, Lacking},
    dump::{Counts, Dump},
    sampling::{Sampling, now, sampling},
};
use crate::{
    internal::profile::{Measure, Profile, Sample},
    telemetry::symbols::{Frame, Location, ShortOfMemory, Symbols, check_room},
};

/// In Go's order.
const MEASURES: [Measure; 4] = [
    Measure { name: "alloc_objects", unit: "count" },
    Measure { name: "alloc_space", unit: "bytes" },
    Measure { name: "inuse_objects", unit: "count" },
    Measure { name: "inuse_space", unit: "bytes" },
];
const SPACE: Measure = Measure { name: "space", unit: "bytes" };

/// What people are shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::internal) enum Kind {
    /// What is still there.
    Heap,
    /// What was allocated, there or not.
    Allocs,
}

impl Kind {
    /// As Go names it.
    pub(in crate::internal) const fn name(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Allocs => "allocs",
        }
    }
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::internal) enum Unready {
    #[error(transparent)]
    Lacking(#[from] Lacking),
    #[error("heap sampling is off")]
    Off,
    #[error("heap sampling was switched off meanwhile")]
    Interrupted,
    #[error(transparent)]
    ShortOfMemory(#[from] ShortOfMemory),
    #[error("{0}")]
    Failed(String),
}

/// Everything sampled up to a moment, or between two.
#[derive(Debug)]
pub(in crate::internal) struct Snapshot {
    dump: Dump,
    began: SystemTime,
    took: Duration,
    since: Option<SystemTime>,
    turn: u64,
}

impl Snapshot {
    /// Everything sampled so far. Blocks.
    ///
    /// # Errors
    /// When sampling is off, or jemalloc cannot tell.
    pub(in crate::internal) fn take() -> Result<Self, Unready> {
        if let Some(lacking) = allocator::lacking() {
            return Err(lacking.into());
        }
        check_room()?;
        let before = sampling();
        let Sampling::On { since, turn, .. } = before else { return Err(Unready::Off) };
        let dump = allocator::dump().map_err(Unready::Failed)?;
        match sampling() {
            Sampling::On { turn: after, .. } if after == turn => {}
            _ => return Err(Unready::Interrupted),
        }
        Ok(Self { dump, began: now(), took: Duration::ZERO, since, turn })
    }

    /// What came after an earlier one; less than nothing where more went than came.
    ///
    /// # Errors
    /// When sampling was off in between.
    pub(in crate::internal) fn since(self, earlier: &Self) -> Result<Self, Unready> {
        if self.turn != earlier.turn {
            return Err(Unready::Interrupted);
        }
        let took = self.began.duration_since(earlier.began).unwrap_or_default();
        Ok(Self { dump: self.dump.since(&earlier.dump), began: earlier.began, took, ..self })
    }

    /// With names. Blocks: see [`Symbols`].
    ///
    /// # Errors
    /// When the memory limit of the process leaves too little.
    pub(in crate::internal) fn profile(self, kind: Kind) -> Result<Profile, ShortOfMemory> {
        let symbols = Symbols::look_up(self.dump.stacks.keys().flatten().map(|address| call(*address)))?;
        // Stacks that differ only in how the allocator was entered are one.
        let mut sums = HashMap::<Vec<Location>, Vec<i64>>::with_capacity(self.dump.stacks.len());
        for (addresses, counts) in &self.dump.stacks {
            let sum = sums.entry(stack(&symbols, addresses)).or_insert_with(|| vec![0; MEASURES.len()]);
            for (sum, value) in sum.iter_mut().zip(values(*counts)) {
                *sum = sum.saturating_add(value);
            }
        }
        let samples = sums.into_iter().map(|(stack, values)| Sample { stack, values, labels: Vec::new() }).collect();
        let mut remarks = self.remarks();
        remarks.extend(symbols.missing);
        Ok(Profile {
            measures: MEASURES.to_vec(),
            shown: if kind == Kind::Heap { 3 } else { 1 },
            period: Some((SPACE, i64::try_from(self.dump.interval).unwrap_or(i64::MAX))),
            began: self.began,
            took: self.took,
            samples,
            mappings: symbols.mappings,
            remarks,
        })
    }

    fn remarks(&self) -> Vec<String> {
        let since = match self.since {
            Some(since) => format!("since {}", humantime::format_rfc3339_seconds(since)),
            None => "since the process started".to_owned(),
        };
        let interval = self.dump.interval;
        let mut remarks = vec![
            format!("sampled {since}: what was allocated before is not in it"),
            format!("an estimate: one allocation in {interval} bytes is looked at"),
        ];
        if !self.took.is_zero() {
            remarks.push(format!("only what has changed in {} s", self.took.as_secs_f64().round()));
        }
        if self.dump.left_out > 0 {
            remarks.push(format!("{} stacks are left out, since there are too many", self.dump.left_out));
        }
        remarks
    }
}

/// In the order of [`MEASURES`].
fn values(counts: Counts) -> [i64; 4] {
    [counts.allocated.objects, counts.allocated.bytes, counts.in_use.objects, counts.in_use.bytes]
}

/// jemalloc writes return addresses: the call is the instruction before.
const fn call(address: usize) -> usize {
    address.saturating_sub(1)
}

/// The stack without the allocator's own functions; all of it where there are no others.
fn stack(symbols: &Symbols, addresses: &[usize]) -> Vec<Location> {
    let mut stack: Vec<Location> = addresses.iter().map(|address| symbols.location(call(*address))).collect();
    let Some(first) = stack.iter().position(|location| !location.frames.iter().all(|frame| is_allocator(frame))) else {
        return stack;
    };
    stack.drain(..first);
    // Functions of the allocator can be inlined into the one that asks for memory.
    let inlined = stack[0].frames.iter().take_while(|frame| is_allocator(frame)).count();
    if inlined > 0 {
        stack[0].frames = stack[0].frames[inlined..].into();
    }
    stack
}

/// How the functions between whoever asks for memory and jemalloc's taking of the stack begin.
const ALLOCATOR: [&str; 13] = [
    // Of jemalloc, where there is no debug information of it.
    "prof_",
    "_rjem_",
    "imalloc",
    "malloc",
    "calloc",
    "realloc",
    "rallocx",
    "do_rallocx",
    "posix_memalign",
    "aligned_alloc",
    // Of Rust.
    "__rust",
    "alloc::alloc::",
    "alloc::raw_vec::",
];

fn is_allocator(frame: &Frame) -> bool {
    // A name can be written as that of a method: `<alloc::raw_vec::RawVecInner>::grow`.
    let name = frame.name.trim_start_matches('<');
    name.starts_with("tikv_jemallocator::")
        || frame.file.contains("jemalloc")
        || ALLOCATOR.iter().any(|start| name.starts_with(start))
}
