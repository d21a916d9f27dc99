#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod entropy;
pub mod envelope;
mod fingerprint;
pub mod handshake;
mod layout;
#[cfg(feature = "libp2p")]
pub mod libp2p;
pub mod limits;
mod link;
pub mod message;
mod primitives;
pub mod relay;
mod seal;
pub mod session;
#[cfg(feature = "streams")]
pub mod stream;
pub mod topic;

pub use address::{Address, Rendezvous};
pub use envelope::{Envelope, SessionId};
pub use fingerprint::{DtlsFingerprint, FingerprintError};
pub use handshake::Handshake;
pub use link::{LinkId, Prefix};
pub use message::RelayMessage;
pub use seal::{SealKeypair, SealPublicKey};
pub use session::Sessions;

/// Name under which streams of relay frames are negotiated, and by which a WebSocket's path ends.
pub const PROTOCOL: &str = "/pop/signal/1";
