#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | module | decides |
//! |---|---|
//! | [`Subject`], [`DhtKey`] | under which three keys something is found |
//! | [`record`] | which records are believed |
//! | [`store`] | which are kept, and who gives way when room is short |
//! | [`DiversityConfig`], [`NetworkGroup`] | who gets into the routing table |
//! | [`publish`] | what of ours goes out when |
//! | [`lookup`] | what of an answer is new |
//! | [`placement`] | which node keeps which column, and how many may die |
//! | [`Behaviour`], [`Event`] | nothing: the shell around libp2p-kad |
//! | [`limits`] | every bound |

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod behaviour;
mod diversity;
mod error;
mod event;
mod key;
pub mod limits;
pub mod lookup;
pub mod placement;
pub mod publish;
pub mod record;
pub mod store;

pub use behaviour::{Behaviour, Config, PROTOCOL};
pub use diversity::{DiversityConfig, NetworkGroup};
pub use error::{Error, PlacementError, RecordError, Refusal, RoutingRefusal};
pub use event::{Contact, Event, LookupId};
pub use key::{DhtKey, Subject};
