#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod fingerprint;
pub mod handshake;
mod layout;
pub mod limits;

pub use fingerprint::{DtlsFingerprint, FingerprintError};
pub use handshake::Handshake;
