//! What the DHT keeps. Signed by whom it speaks of, so that anybody may pass it on.

mod bundle;
mod masternode;
mod provider;

pub use bundle::{RecordBundle, RecordEntry};
pub use masternode::MasternodeRecord;
pub use provider::ProviderRecord;

use bytes::Bytes;

use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, RECORD_LIFE_S_MAX};
use crate::signed::{check_length, check_range};
use crate::{UnixTime, WireError};

/// Check a record's addresses: few, short, not parsed (they are opaque multiaddr bytes here).
fn check_addresses(field: &'static str, addresses: &[Bytes]) -> Result<(), WireError> {
    if addresses.len() > ADDRESSES_MAX {
        return Err(WireError::TooMany { field, max: ADDRESSES_MAX, got: addresses.len() });
    }
    addresses.iter().try_for_each(|one| check_length(field, one.len(), 1, ADDRESS_BYTES_MAX))
}

/// Check a record's life: it ends after it starts, and not later than the limit allows.
fn check_life(field: &'static str, issued_at: u64, expires_at: u64) -> Result<(), WireError> {
    let min = issued_at.saturating_add(1);
    check_range(field, expires_at, min, issued_at.saturating_add(RECORD_LIFE_S_MAX))
}

/// Whether a record is alive at `now`; one issued in the future is not, but for `skew_s` seconds.
fn alive(issued_at: UnixTime, expires_at: UnixTime, now: UnixTime, skew_s: u64) -> bool {
    issued_at <= now.after_s(skew_s) && now < expires_at
}

/// How far another machine's clock may run ahead of ours, in seconds (`spec/dht.md` §2).
pub(crate) const CLOCK_SKEW_S: u64 = 300;
