//! Vouchers between a payer and a payee: what honest sides reach, whatever breaks, and what
//! dishonest ones gain.

mod attacks;
mod crashes;
mod limits;
mod streams;
mod world;
