//! How much may be at risk: bytes that a payee serves before they are paid, or that a payer pays
//! before they are served (`spec/incentive.md` §6). Both sides bound it the same way.

use core::fmt;
use core::net::IpAddr;

use pop_wire::WalletAddress;
use pop_wire::sorted::{SortedMap, SortedSet};

use crate::limits::{
    ACCOUNTS_MAX, PREFIX_FLOAT_BYTES_MAX, STEP_BYTES_FIRST, STEP_BYTES_MAX, TOTAL_FLOAT_BYTES_MAX,
};

/// Bytes of the step after so many bytes were delivered and paid: the first is 64 KiB, each next
/// one half as much again, up to 512 KiB.
///
/// ```
/// use pop_incentive::exposure::step_bytes;
///
/// assert_eq!(step_bytes(0), 64 * 1024);
/// assert_eq!(step_bytes(64 * 1024), 96 * 1024);
/// assert_eq!(step_bytes(1 << 30), 512 * 1024);
/// ```
pub fn step_bytes(settled: u64) -> u64 {
    let (mut step, mut left) = (STEP_BYTES_FIRST, settled);
    while step < STEP_BYTES_MAX && left >= step {
        left -= step;
        step = (step + step / 2).min(STEP_BYTES_MAX);
    }
    step
}

/// Where a peer comes from, as coarse as addresses are handed out to one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpPrefix {
    /// A /24.
    V4([u8; 3]),
    /// A /48.
    V6([u8; 6]),
    /// No address is known (a relayed browser, say): all of these share one room.
    Unknown,
}

impl From<IpAddr> for IpPrefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

/// How much may be at risk beyond one step per peer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureLimits {
    /// With all peers of one IP prefix.
    pub prefix_bytes: u64,
    /// With everybody.
    pub total_bytes: u64,
}

impl Default for ExposureLimits {
    fn default() -> Self {
        Self { prefix_bytes: PREFIX_FLOAT_BYTES_MAX, total_bytes: TOTAL_FLOAT_BYTES_MAX }
    }
}

/// The room that each peer was given. What is not given can't be lost. Peers, and so prefixes, are
/// [`ACCOUNTS_MAX`] at most, and change once a step: few enough for sorted vectors.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    limits: ExposureLimits,
    peers: SortedMap<WalletAddress, (IpPrefix, u64)>,
    prefixes: SortedMap<IpPrefix, u64>,
    total: u64,
    /// Peers that have left and owe what they still have.
    gone: SortedSet<WalletAddress>,
}

impl Exposure {
    /// Nothing given yet.
    pub fn new(limits: ExposureLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Give a peer the step that its settled volume earns, or as much of it as its prefix and the
    /// total leave. What it had before is replaced; a peer that moves takes its room along only
    /// if the new prefix has it.
    pub fn grant(&mut self, peer: WalletAddress, prefix: IpPrefix, settled: u64) -> u64 {
        self.keep(peer, 0);
        if self.peers.len() >= ACCOUNTS_MAX {
            return 0;
        }
        let used = self.prefixes.get(&prefix).copied().unwrap_or(0);
        let bytes = step_bytes(settled)
            .min(self.limits.prefix_bytes.saturating_sub(used))
            .min(self.limits.total_bytes.saturating_sub(self.total));
        self.set(peer, prefix, bytes);
        bytes
    }

    /// Give a peer that has room already the step that its settled volume earns by now.
    pub fn grow(&mut self, peer: WalletAddress, settled: u64) -> u64 {
        match self.peers.get(&peer) {
            Some((prefix, _)) => self.grant(peer, *prefix, settled),
            None => 0,
        }
    }

    /// A peer has left and owes so many bytes: these stay taken from its prefix's room, so that
    /// it gains nothing by coming back under another name. Zero gives everything back.
    pub fn keep(&mut self, peer: WalletAddress, bytes: u64) {
        self.gone.remove(&peer);
        let Some((prefix, granted)) = self.peers.remove(&peer) else { return };
        self.total -= granted;
        let left = self.prefixes.remove(&prefix).map_or(0, |used| used - granted);
        if left > 0 {
            self.prefixes.insert(prefix, left);
        }
        self.set(peer, prefix, bytes.min(granted));
        if bytes > 0 {
            self.gone.insert(peer);
        }
    }

    /// Give back all that peers which have left still owe: called from time to time, so that they
    /// can't take the room from others for ever. What can be lost is then bounded per such time.
    pub fn forgive(&mut self) {
        core::mem::take(&mut self.gone).into_iter().for_each(|peer| self.keep(peer, 0));
    }

    /// What this peer was given, in bytes.
    pub fn granted(&self, peer: WalletAddress) -> u64 {
        self.peers.get(&peer).map_or(0, |(_, granted)| *granted)
    }

    /// What can be lost at worst, now and ever.
    pub fn bound(&self) -> ExposureBound {
        ExposureBound {
            peers: self.peers.len(),
            now_bytes: self.total,
            worst_prefix_bytes: self.prefixes.values().copied().max().unwrap_or(0),
            limits: self.limits,
        }
    }

    fn set(&mut self, peer: WalletAddress, prefix: IpPrefix, bytes: u64) {
        if bytes > 0 {
            self.peers.insert(peer, (prefix, bytes));
            *self.prefixes.entry(prefix).or_default() += bytes;
            self.total += bytes;
        }
    }
}

/// The most that can be lost, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureBound {
    /// Peers that have room.
    pub peers: usize,
    /// If all of them defaulted now.
    pub now_bytes: u64,
    /// Of these, with the prefix that has most.
    pub worst_prefix_bytes: u64,
    /// What neither can pass.
    pub limits: ExposureLimits,
}

impl fmt::Display for ExposureBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "at risk with {} peers: {} of at most {} bytes; with one prefix {} of at most {}; with \
             one peer at most {STEP_BYTES_MAX}",
            self.peers,
            self.now_bytes,
            self.limits.total_bytes,
            self.worst_prefix_bytes,
            self.limits.prefix_bytes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> WalletAddress {
        let mut address = [0; 20];
        address[..4].copy_from_slice(&number.to_be_bytes());
        WalletAddress(address)
    }

    fn prefix(text: &str) -> IpPrefix {
        IpPrefix::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn steps_grow_by_half_from_64_to_512_kib() {
        let mut steps = vec![];
        let mut settled = 0;
        for _ in 0..9 {
            steps.push(step_bytes(settled) / 1024);
            assert_eq!(step_bytes(settled + step_bytes(settled) - 1), step_bytes(settled));
            settled += step_bytes(settled);
        }
        assert_eq!(steps, [64, 96, 144, 216, 324, 486, 512, 512, 512]);
        assert_eq!(step_bytes(u64::MAX), STEP_BYTES_MAX);
    }

    #[test]
    fn prefixes_are_24_and_48_bits_and_a_mapped_address_is_the_one_it_maps() {
        assert_eq!(prefix("192.0.2.1"), prefix("192.0.2.255"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.3.1"));
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.9"));
        assert_eq!(prefix("2001:db8:1:1::1"), prefix("2001:db8:1:ffff::2"));
        assert_ne!(prefix("2001:db8:1::1"), prefix("2001:db8:2::1"));
    }

    #[test]
    fn a_thousand_names_of_one_prefix_are_worth_no_more_than_its_room() {
        let mut exposure = Exposure::default();
        let got: u64 = (0..1000).map(|n| exposure.grant(peer(n), prefix("192.0.2.7"), 0)).sum();
        assert_eq!(got, PREFIX_FLOAT_BYTES_MAX);
        assert_eq!(exposure.bound().worst_prefix_bytes, PREFIX_FLOAT_BYTES_MAX);
        assert_eq!(exposure.grant(peer(5000), prefix("192.0.3.7"), 0), STEP_BYTES_FIRST);
    }

    #[test]
    fn all_prefixes_together_get_no_more_than_the_total() {
        let mut exposure = Exposure::default();
        for n in 0..4000_u32 {
            let [_, _, high, low] = n.to_be_bytes();
            exposure.grant(peer(n), IpPrefix::V4([10, high, low]), 1 << 30);
        }
        let bound = exposure.bound();
        assert_eq!(bound.now_bytes, TOTAL_FLOAT_BYTES_MAX);
        println!("{bound}");
    }

    #[test]
    fn who_leaves_with_a_debt_keeps_its_prefix_s_room_taken() {
        let mut exposure = Exposure::default();
        let room = prefix("192.0.2.7");
        for n in 0..100 {
            let granted = exposure.grant(peer(n), room, 0);
            exposure.keep(peer(n), granted);
        }
        assert_eq!(exposure.bound().now_bytes, PREFIX_FLOAT_BYTES_MAX);
        assert_eq!(exposure.grant(peer(500), room, 0), 0);
        for n in 0..100 {
            exposure.keep(peer(n), 0);
        }
        assert_eq!(exposure.bound().now_bytes, 0);
        assert_eq!(exposure.grant(peer(500), room, 0), STEP_BYTES_FIRST);
        assert_eq!(exposure.granted(peer(500)), STEP_BYTES_FIRST);
    }

    #[test]
    fn a_grant_grows_with_what_was_settled() {
        let mut exposure = Exposure::default();
        let grants: Vec<_> = [0, 65_536, 1 << 21]
            .map(|settled| exposure.grant(peer(1), prefix("::1"), settled))
            .into();
        assert_eq!(grants, [65_536, 98_304, 524_288]);
        assert_eq!(exposure.bound().now_bytes, 524_288);
    }
}
