//! Samples of stacks, counted.

use std::collections::HashMap;

use super::super::{profile::Sample, stacks::Stack};
use crate::telemetry::symbols::{Frame, Location, Symbols};

/// How many different stacks are told apart: with 100 frames each, 8 MB.
const DISTINCT: usize = 10_000;

/// How often each stack was seen on threads of each name.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: HashMap<(String, Vec<usize>), i64>,
    /// Samples of stacks whose outermost frames are missing.
    cut: i64,
    /// Samples of stacks that were new when there was no more room.
    folded: i64,
}

impl Tally {
    pub(super) fn add(&mut self, thread: &str, stack: Stack, count: i64) {
        if stack.cut {
            self.cut += count;
        }
        let key = (thread.to_owned(), stack.addresses);
        if self.counts.len() < DISTINCT || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += count;
        } else {
            self.folded += count;
        }
    }

    /// What the reader of the profile has to know.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.cut > 0 {
            remarks.push(format!(
                "{} samples lack their outermost frames: those stacks are too large to be copied",
                self.cut
            ));
        }
        if self.folded > 0 {
            remarks.push(format!("{} samples are folded into one: more than {DISTINCT} different stacks", self.folded));
        }
        remarks
    }

    /// Every address in it.
    pub(super) fn addresses(&self) -> impl Iterator<Item = usize> {
        self.counts.keys().flat_map(|(_, addresses)| addresses.iter().copied())
    }

    /// Each stack with its names and its count, which is made a sample's values.
    pub(super) fn samples(self, symbols: &Symbols, values: impl Fn(i64) -> Vec<i64>) -> Vec<Sample> {
        let mut samples: Vec<Sample> = self
            .counts
            .into_iter()
            .map(|((thread, addresses), count)| Sample {
                stack: symbols.stack(&addresses),
                values: values(count),
                labels: vec![("thread", thread)],
            })
            .collect();
        if self.folded > 0 {
            let stack = vec![Location::without_address(Frame::named("[other stacks]"))];
            samples.push(Sample { stack, values: values(self.folded), labels: Vec::new() });
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::{DISTINCT, Stack, Symbols, Tally};

    #[test]
    fn more_stacks_than_there_is_room_for_are_folded_and_said_to_be() {
        let mut tally = Tally::default();
        for address in 0..DISTINCT + 5 {
            tally.add("a", Stack { addresses: vec![address], cut: address == 0 }, 1);
        }
        tally.add("a", Stack { addresses: vec![7], cut: false }, 1);
        let remarks = tally.remarks();
        assert!(remarks[0].starts_with("1 samples lack") && remarks[1].starts_with("5 samples are"), "{remarks:?}");
        let samples = tally.samples(&Symbols::default(), |count| vec![count, count * 10]);
        assert_eq!(samples.len(), DISTINCT + 1);
        let count = |first: i64| samples.iter().filter(|sample| sample.values[0] == first).count();
        assert_eq!((count(1), count(2), count(5)), (DISTINCT - 1, 1, 1));
        let folded = samples.last().unwrap();
        assert_eq!((&*folded.stack[0].frames[0].name, folded.values[1]), ("[other stacks]", 50));
    }
}
