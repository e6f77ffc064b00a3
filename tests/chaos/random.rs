//! Chance that can be had again: a seed says all that comes after it.

/// A stream of numbers (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// The stream of that seed.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this run: what `CHAOS_SEED` says, else one that no run had before.
    pub(crate) fn seed() -> u64 {
        #[expect(clippy::disallowed_methods, reason = "the seed is a setting of these tests and of nothing else")]
        let given = std::env::var("CHAOS_SEED").ok();
        given.map_or_else(
            || u64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) >> 16,
            |text| text.parse().expect("CHAOS_SEED is a number"),
        )
    }

    /// The next number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A stream of its own for somebody else.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// One of these; nothing if there is none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(from.len()).ok().filter(|end| *end > 0)?;
        from.get(usize::try_from(self.below(end)).ok()?)
    }
}
