//! Vouchers between a payer and a payee: what honest sides reach, whatever breaks, and what
//! dishonest ones gain.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod attacks;
mod crashes;
mod limits;
mod streams;
mod visitors;
mod world;
