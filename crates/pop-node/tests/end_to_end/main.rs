//! The built binary as people use it: real processes, real sockets, real signals.
//!
//! What must never happen is the same everywhere: no error without a name and an exit code, no
//! byte lost or changed, no process left behind.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod audits;
mod crashes;
mod demo;
mod equivocation;
mod files;
mod full_disk;
mod holders_gone;
mod inputs;
mod key_sale;
mod liars;
mod library;
mod life;
mod planning;
mod quic;
mod ranges;
mod raw_socket;
mod repair;
mod support;
