//! The reference node of POP: sockets, disk, HTTP and command line around the protocol crates.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod clock;
pub mod disk;
pub mod http;
pub mod metrics;
pub mod settings;
