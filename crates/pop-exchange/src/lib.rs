#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod asker;
mod assembly;
mod budget;
mod config;
mod credit;
mod error;
mod event;
pub mod fetcher;
mod greeting;
#[cfg(feature = "libp2p")]
pub mod libp2p;
pub mod limits;
pub mod link;
mod payment;
pub mod provider;
mod schedule;
mod source;
pub mod uploader;

pub use config::Introduction;
pub use error::Error;
pub use event::{Fault, LinkId, ShardWithProof};
