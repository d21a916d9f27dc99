//! What a page decides: start from [`EngineConfig::new`], set fields.

use bytes::Bytes;
use pop_wire::{Amount, WalletAddress};
use zeroize::Zeroizing;

use super::Address;

/// What one viewer may owe at most if the page doesn't say: 10 POP, in base units.
const UNREDEEMED_MAX: u128 = 10_000_000_000_000_000_000;

/// Settings of an [`Engine`](super::Engine).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The key of this viewer: its peer id and its wallet come from it. Kept by the shell, which
    /// hands in the same one after every start, so that nothing earned is lost.
    pub secret: Zeroizing<[u8; 32]>,
    /// 32 bytes of fresh randomness, never the same again: nonces come from it.
    pub seed: Zeroizing<[u8; 32]>,
    /// Masternodes to begin with, best first; the first 16 count.
    pub entries: Vec<Address>,
    /// Whether the page came over https, and so may not dial `ws:`.
    pub secure_page: bool,
    /// Whether peer connections can be made.
    pub webrtc: bool,
    /// Shards in memory and on their way, of all films together, in bytes: how far reading runs
    /// ahead. At least two segments a film are allowed, whatever stands here.
    pub window_bytes: u64,
    /// Verified ciphertext kept for other viewers and for seeking, in bytes; zero keeps nothing.
    pub cache_bytes_max: u64,
    /// What is given to other viewers.
    pub upload: Upload,
    /// Base units paid at most per megabit and 100 kbit/s tier; zero pays nothing.
    pub price_max: Amount,
    /// Base units asked of other viewers per megabit and 100 kbit/s tier; zero serves for free.
    pub price: Amount,
    /// Base units that one viewer may have promised before they are cashed in.
    pub unredeemed_max: Amount,
    /// Which ledger signatures are for, if the page knows; else the ledger is asked.
    pub ledger: Option<Ledger>,
    /// Who answers for the ledger, best first; none for a network without money.
    pub ledger_addresses: Vec<Address>,
    /// What [`Output::Persist`](super::Output::Persist) gave before, in any order, the last value
    /// of each key.
    pub records: Vec<(Bytes, Bytes)>,
    /// Segments that [`Output::CacheStore`](super::Output::CacheStore) left before, with their
    /// sizes in bytes.
    pub cached: Vec<(super::CacheKey, u64)>,
}

impl EngineConfig {
    /// Settings of a viewer with this key: re-streams, pays nothing, knows nobody yet.
    pub fn new(secret: [u8; 32], seed: [u8; 32]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            seed: Zeroizing::new(seed),
            entries: Vec::new(),
            secure_page: false,
            webrtc: true,
            window_bytes: 32 * 1024 * 1024,
            cache_bytes_max: 512 * 1024 * 1024,
            upload: Upload::default(),
            price_max: Amount::ZERO,
            price: Amount::ZERO,
            unredeemed_max: Amount::from_base_units(UNREDEEMED_MAX),
            ledger: None,
            ledger_addresses: Vec::new(),
            records: Vec::new(),
            cached: Vec::new(),
        }
    }
}

/// What is given to other viewers; the viewer decides, and may change it at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Whether anything is given at all. The shell says `false` on metered links.
    pub is_on: bool,
    /// Bytes a second at most, all viewers together; `u64::MAX` for no limit.
    pub bytes_per_s_max: u64,
    /// Bytes at most since the start; `u64::MAX` for no limit.
    pub bytes_max: u64,
}

impl Default for Upload {
    /// On, without limits.
    fn default() -> Self {
        Self { is_on: true, bytes_per_s_max: u64::MAX, bytes_max: u64::MAX }
    }
}

/// A ledger, as signatures name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// EIP-712 chain id.
    pub chain_id: u64,
    /// EIP-712 verifying contract.
    pub contract: WalletAddress,
}
