//! Draws that depend on a seed and on what they are for, not on what was drawn before: two worlds
//! of one seed see the same events, whatever somebody does in one of them.

/// A stream of draws (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed for one purpose.
    pub(crate) fn of(seed: u64, purpose: &[u64]) -> Self {
        let mut state = Self(seed);
        for number in purpose {
            state.0 = state.next() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        state.next();
        state
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is small against 2^64: the bias doesn't show.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// As [`below`](Self::below), of another type.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound.try_into().unwrap())).unwrap()
    }

    /// As [`below`](Self::below), of another type.
    pub(crate) fn draw(&mut self, bound: u16) -> u16 {
        u16::try_from(self.below(bound.into())).unwrap()
    }
}

/// How many seeds: `POP_SIM_SEEDS`, or so many.
pub(crate) fn seeds(default: u64) -> u64 {
    let text = std::env::var("POP_SIM_SEEDS");
    text.map_or(default, |text| text.parse().expect("POP_SIM_SEEDS is a number"))
}
