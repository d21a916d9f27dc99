//! The content layer's promises, one module for each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_k_shards_rebuild;
mod encoder_keeps_its_bounds;
mod equivocation_is_proven;
mod every_byte_range_is_readable;
mod every_size_survives;
mod geometry_is_safe;
mod links_are_read_strictly;
mod support;
#[cfg(feature = "parallel")]
mod threads_make_no_difference;
mod wrong_keys_are_refused;
mod wrong_shards_are_refused;
