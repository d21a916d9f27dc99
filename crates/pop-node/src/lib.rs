#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ask;
pub mod audit;
pub mod chromium;
pub mod cli;
pub mod clock;
pub mod demo;
mod directory;
pub mod disk;
pub mod error;
mod evidence;
pub mod fetch;
mod gateway;
mod holdings;
pub mod http;
mod http_client;
pub mod key_sale;
pub mod ledger;
mod links;
pub mod media;
pub mod metrics;
pub mod money;
pub mod muxer;
mod network;
mod node;
pub mod publish;
pub mod repair;
mod scarcity;
mod serve;
mod session;
pub mod settings;
mod staging;
mod stats;
pub mod status;
pub mod supply;
pub mod tls;
mod transport;
mod upload;
pub mod wallet;
mod web;

pub use error::NodeError;
pub use node::Node;
pub use stats::Stats;
pub use transport::Role;
