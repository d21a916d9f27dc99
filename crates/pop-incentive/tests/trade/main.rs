//! A purse and a till trade in virtual time: what both reach, whatever is late, lost or broken.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod faults;
mod limits;
mod talk;
mod world;
