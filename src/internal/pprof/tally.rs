//! Samples of stacks, counted.

use std::collections::HashMap;

use super::super::{
    profile::{Frame, Sample, Symbols},
    stacks::Stack,
};

/// How many different stacks are told apart: with 100 frames each, 8 MB.
const DISTINCT: usize = 10_000;

/// How often each stack was seen on threads of each name.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: HashMap<(String, Stack), i64>,
    /// Samples of stacks that were new when there was no more room.
    folded: i64,
}

impl Tally {
    pub(super) fn add(&mut self, thread: &str, stack: Stack, count: i64) {
        let key = (thread.to_owned(), stack);
        if self.counts.len() < DISTINCT || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += count;
        } else {
            self.folded += count;
        }
    }

    /// What the reader of the profile has to know.
    pub(super) fn remarks(&self) -> Vec<String> {
        let cut: i64 = self.counts.iter().filter(|((_, stack), _)| stack.cut).map(|(_, count)| count).sum();
        let mut remarks = Vec::new();
        if cut > 0 {
            remarks.push(format!("{cut} samples lack their outermost frames: those stacks are too large to be copied"));
        }
        if self.folded > 0 {
            remarks.push(format!("{} samples are folded into one: more than {DISTINCT} different stacks", self.folded));
        }
        remarks
    }

    /// Each stack with its names and its count, which is made a sample's values. Blocks while names are looked up.
    pub(super) fn samples(self, values: impl Fn(i64) -> Vec<i64>) -> Vec<Sample> {
        let mut symbols = Symbols::new();
        let mut samples: Vec<Sample> = self
            .counts
            .into_iter()
            .map(|((thread, stack), count)| Sample {
                stack: symbols.stack(&stack.addresses),
                values: values(count),
                labels: vec![("thread", thread)],
            })
            .collect();
        if self.folded > 0 {
            let name = "[other stacks]".to_owned();
            let frame = Frame { system_name: name.clone(), name, file: String::new(), line: 0 };
            samples.push(Sample { stack: vec![frame.into()], values: values(self.folded), labels: Vec::new() });
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::{DISTINCT, Stack, Tally};

    #[test]
    fn more_stacks_than_there_is_room_for_are_folded_and_said_to_be() {
        let mut tally = Tally::default();
        for address in 0..DISTINCT + 5 {
            tally.add("a", Stack { addresses: vec![address], cut: address == 0 }, 1);
        }
        tally.add("a", Stack { addresses: vec![7], cut: false }, 1);
        let remarks = tally.remarks();
        assert!(remarks[0].starts_with("1 samples lack") && remarks[1].starts_with("5 samples are"), "{remarks:?}");
        let samples = tally.samples(|count| vec![count, count * 10]);
        assert_eq!(samples.len(), DISTINCT + 1);
        let count = |first: i64| samples.iter().filter(|sample| sample.values[0] == first).count();
        assert_eq!((count(1), count(2), count(5)), (DISTINCT - 1, 1, 1));
        let folded = samples.last().unwrap();
        assert_eq!((folded.stack[0].name.as_str(), folded.values[1]), ("[other stacks]", 50));
    }
}
