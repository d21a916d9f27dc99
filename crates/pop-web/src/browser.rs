//! The browser's side of the engine: clocks, sockets, data channels and peer connections.
//!
//! One wasm file, used twice. The dedicated worker makes a [`Shell`](shell::Shell): the engine with
//! all bytes. The window makes [`Peers`](peers::Peers): only a window may have peer connections,
//! and it gives their channels away to the worker. The little JavaScript around them
//! (`crates/pop-web/js`) carries messages between the two, storage and the page.

mod config;
mod links;
mod object;
mod outputs;
mod peers;
mod shell;
mod stats;
