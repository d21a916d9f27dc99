//! The ledger: its rules against a naive model, attacks by name, and its journal through crashes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod attacks;
mod crash;
mod damage;
mod evidence;
mod exhaustive;
mod failed_audit;
mod model;
mod protocol;
mod support;
mod typed;
