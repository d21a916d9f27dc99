#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod audit;
pub mod balance;
pub mod evidence;
pub mod exposure;
mod fixed_layout;
pub mod ids;
pub mod ledger;
pub mod lending;
pub mod limits;
mod lines;
pub mod message;
pub mod negotiate;
pub mod payee;
pub mod payer;
pub mod planner;
pub mod purse;
pub mod quote;
pub mod rate;
pub mod record;
pub mod refusal;
pub mod rewards;
pub mod scarcity;
pub mod storage_cost;
pub mod till;
pub mod typed_data;
pub mod voucher;
#[cfg(feature = "wallet")]
pub mod wallet;
