#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod amount;
mod curve;
mod equivocation;
mod error;
mod frame;
mod id;
mod identity;
pub mod limits;
mod manifest;
pub mod merkle;
pub mod message;
mod proto;
mod record;
mod repeated;
mod segments;
mod signed;
pub mod sorted;
mod time;
mod verifying_key;
mod version;

pub use amount::Amount;
pub use equivocation::{EquivocationEvidence, EvidenceShard};
pub use error::{Bound, StreamError, WireError};
pub use frame::{FrameSplitter, put_frame};
pub use id::{ColumnIndex, ColumnSet, ContentId, Digest, RequestId, SegmentIndex};
pub use identity::{Keypair, PeerId, WalletAddress};
pub use manifest::Manifest;
pub use message::Message;
pub use record::{MasternodeRecord, ProviderRecord, RecordBundle, RecordEntry};
pub use segments::SegmentRanges;
pub use signed::{Signed, SignedBody, Verified};
pub use time::{Instant, UnixTime};
pub use verifying_key::VerifyingKey;
pub use version::{ProtocolVersion, VersionRange};
