//! Where a journal ends: [`Head`].

/// How long a journal is and how its last record hashes. Whoever writes one down can show later
/// that the journal was rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of records.
    pub count: u64,
    /// Hash of the last one; of the ledger's name if there is none.
    pub hash: [u8; 32],
}
