//! What the fuzz targets and the seed generator share: a measure of memory, a key to sign with,
//! a small content that is encoded honestly, and messages that nobody sent.

#![warn(missing_docs)]

pub mod forge;
pub mod memory;
pub mod sample;

use pop_wire::Keypair;

/// The key that everything here is signed with.
pub fn keypair() -> Keypair {
    Keypair::from_secret_bytes(&[7; 32]).expect("a small number is a valid secp256k1 key")
}
