//! The ledger: its rules against a naive model, attacks by name, and its journal through crashes.

mod attacks;
mod crash;
mod damage;
mod exhaustive;
mod model;
mod support;
