//! The engine against masternodes and other viewers, in virtual time: no sockets, no clock, one
//! seed. `POP_TEST_SEED` sets it.

mod masternode;
mod paying;
mod playing;
mod restreaming;
mod viewer;
mod world;
