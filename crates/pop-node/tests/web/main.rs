//! The endpoints for browsers, dialled by peers that speak as a browser does.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod browser;
mod entries;
mod ledger;
mod network;
mod refusals;
mod relay;
mod rtc;
mod shards;
