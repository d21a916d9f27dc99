//! The HTTP gateway over real sockets.

mod bodies;
mod client;
mod connections;
mod gateway;
mod ranges;
mod refusals;
mod routes;
