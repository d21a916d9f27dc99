//! Parts that several benchmarks share; the benchmarks are in the `benches` folder beside this.
#![forbid(unsafe_code)]

pub mod network;
pub mod process;
pub mod raw;
pub mod shards;

/// Any error; a benchmark only prints it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
