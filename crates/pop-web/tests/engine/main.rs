//! The engine against masternodes and other viewers, in virtual time: no sockets, no clock, one
//! seed. `POP_TEST_SEED` sets it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod crowds;
mod limits;
mod masternode;
mod paying;
mod playing;
mod restreaming;
mod several;
mod sharing;
mod viewer;
mod world;
