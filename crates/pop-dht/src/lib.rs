//! Content lookup for POP.

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
