//! The ledger in a node: served, asked, and what a person does with it.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod report;
mod served;
mod support;
mod verbs;
