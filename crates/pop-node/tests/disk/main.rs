//! The node's disk: what it keeps, what it refuses, and what a crash leaves of it.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod crash;
mod damage;
mod full_disk;
mod identity;
mod journal;
mod model;
mod sample;
mod writer;
