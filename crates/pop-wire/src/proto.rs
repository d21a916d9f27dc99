//! Generated code. Private: `TryFrom` into a domain type is the only way in.

#![allow(unreachable_pub, missing_docs, clippy::all)]

include!("proto/pop.v1.rs");
