//! The curve secp256k1, as one of two libraries has it: keys, and signatures over 32-byte digests.
//!
//! Both have the same interface, sign with the same bytes (RFC 6979, low s) and accept the same keys and
//! signatures; tests hold them against each other. `libsecp256k1` is written in C and takes two
//! thirds of the time; `k256` needs nothing but Rust, and runs in a browser.
//!
//! Neither is asked about a high s, or about the tag in front of a compressed point: what to refuse
//! there is a rule of ours, and is checked before, by [`is_low`] and by the caller.

#[cfg(feature = "libsecp256k1")]
mod in_c;
#[cfg(any(test, not(feature = "libsecp256k1")))]
mod in_rust;

#[cfg(feature = "libsecp256k1")]
pub(crate) use in_c::{Point, Secret};
#[cfg(not(feature = "libsecp256k1"))]
pub(crate) use in_rust::{Point, Secret};

/// Half of the order of the curve, rounded down, big endian: the greatest s that is low (BIP 62).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Whether the s of r || s is in the lower half of the scalars. Of a signature with a high one, anybody
/// makes another that is valid as well.
pub(crate) fn is_low(signature: &[u8; 64]) -> bool {
    signature[32..] <= HALF_ORDER[..]
}

#[cfg(test)]
mod tests;
