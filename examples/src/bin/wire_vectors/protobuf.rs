//! Protobuf by hand, to write what no honest encoder writes.

use pop_wire::Keypair;
use sha3::{Digest as _, Keccak256};

/// Fields one after another, in the order of the calls.
#[derive(Clone, Default)]
pub(crate) struct Fields(pub(crate) Vec<u8>);

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        put_varint(&mut self.0, field << 3);
        put_varint(&mut self.0, value);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        put_varint(&mut self.0, field << 3 | 2);
        put_varint(&mut self.0, u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// As the message `kind` of the exchange protocol.
    pub(crate) fn message(self, kind: u64) -> Vec<u8> {
        Self::new().bytes(kind, &self.0).0
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is signed: spec/wire.md §4.1, written anew.
pub(crate) fn signing_digest(domain: &str, body: &[u8]) -> [u8; 32] {
    let domain_len = u8::try_from(domain.len()).expect("domains are short");
    let hash = Keccak256::new()
        .chain_update(b"POP signed v1")
        .chain_update([domain_len])
        .chain_update(domain)
        .chain_update(body);
    hash.finalize().into()
}

/// An envelope with any body at all under a genuine signature.
pub(crate) fn envelope(keypair: &Keypair, domain: &str, body: &[u8]) -> Vec<u8> {
    let signature = keypair.sign_digest(&signing_digest(domain, body));
    Fields::new().bytes(1, body).bytes(2, &signature).0
}
