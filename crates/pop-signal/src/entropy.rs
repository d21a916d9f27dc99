use zeroize::Zeroizing;

const CONTEXT: &str = "POP 2026 signal entropy v1";

/// Random bytes out of one seed. What was drawn can't be computed from what is left.
#[derive(Clone)]
pub(crate) struct Entropy {
    state: Zeroizing<[u8; 32]>,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { state: Zeroizing::new(seed) }
    }

    pub(crate) fn draw(&mut self) -> [u8; 32] {
        let mut out = Zeroizing::new([0; 64]);
        blake3::Hasher::new_derive_key(CONTEXT)
            .update(&self.state[..])
            .finalize_xof()
            .fill(&mut out[..]);
        let (state, drawn) = out.split_at(32);
        self.state.copy_from_slice(state);
        drawn.try_into().expect("half of 64 bytes")
    }

    /// A number below `bound`, evenly; zero if `bound` is.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let random = u128::from_be_bytes(self.draw()[..16].try_into().expect("16 of 32 bytes"));
        u64::try_from(random % u128::from(bound.max(1))).expect("a remainder below 64 bits")
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
