#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod aead;
mod backend;
mod content;
mod decoder;
mod encoder;
mod error;
mod evidence;
mod geometry;
mod key;
mod layout;
pub mod limits;
mod link;
mod repair;
pub mod segment;

pub use content::{Content, ShardSet, VerifiedShard};
pub use decoder::{Decoder, ReEncodeCheck};
pub use encoder::{EncodedSegment, Encoder, Media, Publication};
pub use error::{
    DecodeError, EncodeError, GeometryError, LayoutError, LinkError, ProofError, ShardFault,
    WrongKey,
};
pub use evidence::EquivocationProof;
pub use geometry::{Durability, Geometry};
pub use key::ContentKey;
pub use layout::{Layout, SegmentSlice, recommended_shard_bytes};
pub use link::ContentLink;
pub use pop_wire::merkle;
pub use repair::Repairer;
