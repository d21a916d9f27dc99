//! Whether it pays: simulations of emission against colluders, and of the planner.
//!
//! Everything is drawn from printed seeds. `POP_SIM_SEEDS` is how many of them, from 0.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod planner;
mod random;
mod rewards;
