//! Parts that several benchmarks share; the benchmarks are in the `benches` folder beside this.
#![forbid(unsafe_code)]

#[cfg(feature = "node")]
pub mod network;
#[cfg(feature = "node")]
pub mod process;
#[cfg(feature = "node")]
pub mod raw;
#[cfg(feature = "node")]
pub mod shards;

/// Any error; a benchmark only prints it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
