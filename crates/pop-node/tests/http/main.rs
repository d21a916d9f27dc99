//! The HTTP gateway over real sockets.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod bodies;
mod client;
mod connections;
mod gateway;
mod ranges;
mod refusals;
mod routes;
