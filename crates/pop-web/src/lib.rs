#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(target_arch = "wasm32")]
mod browser;
pub mod engine;
#[cfg(any(target_arch = "wasm32", test))]
mod sdp;
