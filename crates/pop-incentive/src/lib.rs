#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ids;
pub mod typed_data;
pub mod voucher;
