#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
pub mod dist;
pub mod engine;
#[cfg(any(target_arch = "wasm32", test))]
mod sdp;
