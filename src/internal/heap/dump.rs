//! What jemalloc writes of the heap, read: `heap_v2`, a text.
//!
//! It is jemalloc's own and no input of a stranger's; still nothing in it is trusted, since it changes from one version
//! to the next.

use std::{
    collections::HashMap,
    io::{self, BufRead, Read},
};

/// No line that counts is longer: 256 addresses, which is the most that jemalloc follows.
const LONGEST_LINE: u64 = 8192;
/// More places that allocate than any program has; the rest is only counted.
const MAX_STACKS: usize = 100_000;

/// How much of the heap belongs to each stack.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Dump {
    /// How many bytes lie between two samples, on average.
    pub(super) interval: u64,
    /// By the addresses to which the stack's calls return, innermost first.
    pub(super) stacks: HashMap<Vec<usize>, Counts>,
    /// How many stacks there was no room for.
    pub(super) left_out: usize,
}

/// What was allocated in one place, scaled from the sample to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) allocated: Amount,
    pub(super) in_use: Amount,
}

/// A number of allocations, and their sizes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) objects: i64,
    pub(super) bytes: i64,
}

impl Dump {
    /// Reads it to its end.
    ///
    /// # Errors
    /// When it cannot be read, or does not begin as it should. A line in it that is not understood is passed over.
    pub(super) fn read(mut text: impl BufRead) -> io::Result<Self> {
        let mut line = Vec::new();
        next_line(&mut text, &mut line)?;
        let header = std::str::from_utf8(&line).unwrap_or_default();
        let interval = header.trim().strip_prefix("heap_v2/").and_then(|interval| interval.parse().ok());
        let Some(interval) = interval.filter(|interval| *interval > 0) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "jemalloc wrote a form that is not known here"));
        };
        let mut dump = Self { interval, ..Self::default() };
        let mut stack = None;
        while next_line(&mut text, &mut line)? {
            let Ok(line) = std::str::from_utf8(&line) else { continue };
            if let Some(addresses) = line.strip_prefix('@') {
                stack = Some(addresses.split_ascii_whitespace().filter_map(address).collect::<Vec<_>>());
            } else if let Some(counts) = line.trim_start().strip_prefix("t*:") {
                // Before the first stack stands the sum of all.
                if let (Some(stack), Some(counts)) = (stack.take(), counts_of(counts, interval)) {
                    dump.add(stack, counts);
                }
            } else if line.starts_with("MAPPED_LIBRARIES") {
                break;
            }
        }
        Ok(dump)
    }

    fn add(&mut self, stack: Vec<usize>, counts: Counts) {
        if self.stacks.len() < MAX_STACKS || self.stacks.contains_key(&stack) {
            let sum = self.stacks.entry(stack).or_default();
            *sum = sum.combined(counts, i64::saturating_add);
        } else {
            self.left_out += 1;
        }
    }

    /// What has come since an earlier one, without the stacks of which nothing has.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        for (stack, before) in &earlier.stacks {
            let counts = self.stacks.entry(stack.clone()).or_default();
            *counts = counts.combined(*before, i64::saturating_sub);
        }
        self.stacks.retain(|_, counts| *counts != Counts::default());
        self.left_out += earlier.left_out;
        self
    }
}

impl Counts {
    fn combined(self, other: Self, combine: impl Fn(i64, i64) -> i64) -> Self {
        let amounts = |one: Amount, other: Amount| Amount {
            objects: combine(one.objects, other.objects),
            bytes: combine(one.bytes, other.bytes),
        };
        Self { allocated: amounts(self.allocated, other.allocated), in_use: amounts(self.in_use, other.in_use) }
    }
}

/// The next line into `line`, cut where it is too long; false at the end.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    text.by_ref().take(LONGEST_LINE).read_until(b'\n', line)?;
    if !line.is_empty() && !line.ends_with(b"\n") {
        text.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

fn address(text: &str) -> Option<usize> {
    usize::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// `in use objects: in use bytes [allocated objects: allocated bytes]`.
fn counts_of(text: &str, interval: u64) -> Option<Counts> {
    let mut numbers = text.split([':', '[', ']']).map(str::trim).filter(|number| !number.is_empty()).map(str::parse);
    let mut amount = || Some(scaled(numbers.next()?.ok()?, numbers.next()?.ok()?, interval));
    let in_use = amount()?;
    Some(Counts { in_use, allocated: amount()? })
}

/// From the sample to the whole, as `jeprof` has it: an allocation of X bytes is sampled with a probability of
/// 1 - exp(-X/interval). jemalloc writes its numbers such that this comes out right where one stack has many sizes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "they are estimates, and a cast from a float ends at the largest number"
)]
fn scaled(objects: u64, bytes: u64, interval: u64) -> Amount {
    if objects == 0 || bytes == 0 {
        return Amount::default();
    }
    let (objects, bytes) = (objects as f64, bytes as f64);
    let probability = -(-(bytes / objects) / interval as f64).exp_m1();
    Amount { objects: (objects / probability).round() as i64, bytes: (bytes / probability).round() as i64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Amount, Counts, Dump};

    const WRITTEN: &str = "heap_v2/524288\n  t*: 3: 1048832 [5: 2097664]\n  t3: 3: 1048832 [5: 2097664] main\n\
        @ 0x10 0x20 0x30\n  t*: 1: 1048576 [2: 2097152]\n  t3: 1: 1048576 [2: 2097152]\n\
        @ 0x11 0x20\n  t*: 2: 256 [3: 512]\n  t3: 2: 256 [3: 512] t*: 9\n\n\
        MAPPED_LIBRARIES:\n@ 0x12\n  t*: 7: 7 [7: 7]\n";

    fn read(text: impl AsRef<[u8]>) -> Dump {
        Dump::read(text.as_ref()).unwrap()
    }

    #[test]
    fn the_sample_is_scaled_to_the_whole() {
        let dump = read(WRITTEN);
        assert_eq!((dump.interval, dump.stacks.len(), dump.left_out), (524_288, 2, 0));
        // Two intervals long: sampled with a probability of 86 %.
        let large = dump.stacks[&vec![0x10, 0x20, 0x30]];
        assert_eq!(large.in_use, Amount { objects: 1, bytes: 1_212_697 });
        assert_eq!(large.allocated, Amount { objects: 2, bytes: 2_425_393 });
        // 128 bytes: one in 4096 is sampled.
        assert_eq!(dump.stacks[&vec![0x11, 0x20]].in_use, Amount { objects: 8193, bytes: 1_048_704 });
    }

    #[test]
    fn what_has_come_since_can_be_less_than_nothing() {
        let (before, after) = (read(WRITTEN), read("heap_v2/524288\n@ 0x11 0x20\n t*: 4: 512 [6: 1024]\n"));
        let counts = before.stacks[&vec![0x10, 0x20, 0x30]];
        let since = after.since(&before);
        assert_eq!(since.stacks[&vec![0x11, 0x20]].in_use, Amount { objects: 8193, bytes: 1_048_704 });
        let gone = Counts::default().combined(counts, i64::saturating_sub);
        assert_eq!(since.stacks[&vec![0x10, 0x20, 0x30]], gone);
        assert!(read(WRITTEN).since(&before).stacks.is_empty());
    }

    #[test]
    fn a_form_that_is_not_known_is_refused_and_a_line_passed_over() {
        for text in ["", "heap_v1/524288\n", "heap_v2/0\n", "heap_v2/-1\n", "heap_v2/\n", "\u{fffd}"] {
            assert!(Dump::read(text.as_bytes()).is_err(), "{text}");
        }
        let long = format!("heap_v2/524288\n@{}\n  t*: 1: 1 [1: 1]\n", " 0x10".repeat(100_000));
        assert_eq!(read(long).stacks.len(), 1);
        assert_eq!(read("heap_v2/524288\n@ x 0x\n  t*: 1:\n@ 0x10\n").stacks.len(), 0);
        let most = read(format!("heap_v2/1\n@ 0xffffffffffffffff\n  t*: {0}: {0} [1: {0}]\n", u64::MAX));
        assert_eq!(most.stacks[&vec![usize::MAX]].in_use.bytes, i64::MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            Dump::read(bytes.as_slice()).ok();
        }

        #[test]
        fn anything_like_a_dump_is_read(
            lines in proptest::collection::vec("(@|t\\*:|  t[*0-9]:| )[@ 0-9a-fx:\\[\\]t*]{0,40}", 0..40),
        ) {
            read(format!("heap_v2/512\n{}", lines.join("\n"))).since(&read("heap_v2/512\n@ 0x1\n t*: 1: 1 [1: 1]"));
        }
    }
}
