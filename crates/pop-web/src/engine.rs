//! The engine of an ephemeral masternode: everything but the browser.
//!
//! A shell gives it what happens (a link came up, bytes came, a page wants bytes of a film) and
//! carries out what it asks (dial, send, store, hand bytes to a reader). It has no clock and no
//! randomness: `now`, `wall` and a seed come in. Same seed and inputs, same outputs.
//!
//! Contract for the shell:
//!
//! - After every `Engine::handle`, or after a batch of them, drain `Engine::poll` to `None` and
//!   carry everything out in order; then arm one timer for `Engine::next_timeout` and give
//!   [`Input::Tick`] when it fires. Late timers cost speed only.
//! - Numbers of films and reads are the shell's, of links, peer connections and tokens the
//!   engine's. No number is used twice.
//! - Links are reliable, ordered byte streams: a WebSocket or a data channel whose binary messages
//!   carry any pieces of it, in order. A text message ends the link.
//! - Bytes of a read flow only as far as they were pulled: pull a few hundred KiB ahead of what the
//!   reader has taken.

mod address;
mod config;
mod error;
mod event;
pub mod limits;
mod port;
mod stats;

pub use address::{Address, AddressError, Host, Protocol, Transport};
pub use config::{EngineConfig, Ledger, Upload};
pub use error::EngineError;
pub use event::{Event, SourceKind};
pub use port::{
    CacheKey, Candidate, FilmId, FilmInfo, Fingerprints, Input, LinkId, Output, ReadId, RtcCommand,
    RtcEvent, RtcId, Token,
};
pub use stats::{EngineStats, FilmStats, SourceState, SourceStats};
