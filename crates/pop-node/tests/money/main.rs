//! Nodes that pay each other, in one process, over real sockets and with a real ledger.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod credit;
mod earnings;
mod netting;
mod network;
mod paid;
mod scarcity;
mod unpaid;
