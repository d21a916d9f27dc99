use bytes::Bytes;
use prost::Message as _;

use super::{CLOCK_SKEW_S, alive, check_addresses, check_life};
use crate::limits::COLLATERAL_BYTES_MAX;
use crate::signed::{check_length, check_range, sealed};
use crate::{Bound, PeerId, SignedBody, UnixTime, WalletAddress, WireError, proto};

/// "I am a masternode, run by this operator, reached at these addresses."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasternodeRecord {
    /// The node, which signs.
    pub peer: PeerId,
    /// Multiaddrs in their binary form, best first.
    pub addresses: Vec<Bytes>,
    /// X25519 key to which signalling is sealed, if the node relays.
    pub seal_key: Option<[u8; 32]>,
    /// Where on the ledger its collateral is found; empty if there is none.
    pub collateral: Bytes,
    /// Wallet that owns the node: placement spreads a content over operators.
    pub operator: WalletAddress,
    /// Bytes it will still take.
    pub capacity_bytes: u64,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// From when on it is void.
    pub expires_at: UnixTime,
}

impl MasternodeRecord {
    /// Whether the record counts at `now`.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        alive(self.issued_at, self.expires_at, now, CLOCK_SKEW_S)
    }
}

impl sealed::Sealed for MasternodeRecord {}

impl SignedBody for MasternodeRecord {
    const DOMAIN: &'static str = "masternode";

    fn signer(&self) -> PeerId {
        self.peer
    }

    fn decode_body(bytes: &[u8]) -> Result<Self, WireError> {
        let body = proto::MasternodeBody::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "masternode record" })?;
        check_range("masternode.version", body.version.into(), 1, 1)?;
        check_addresses("masternode.addresses", &body.addresses)?;
        check_life("masternode.expires_at_s", body.issued_at_s, body.expires_at_s)?;
        check_length("masternode.collateral", body.collateral.len(), 0, COLLATERAL_BYTES_MAX)?;
        let seal_key = match body.seal_key.len() {
            0 => None,
            got => {
                Some(<[u8; 32]>::try_from(&body.seal_key[..]).map_err(|_| WireError::Length {
                    field: "masternode.seal_key",
                    expected: Bound::exactly(32),
                    got,
                })?)
            }
        };
        Ok(Self {
            peer: PeerId::from_wire("masternode.peer", &body.peer)?,
            addresses: body.addresses,
            seal_key,
            collateral: body.collateral,
            operator: WalletAddress::from_wire("masternode.operator", &body.operator)?,
            capacity_bytes: body.capacity_bytes,
            issued_at: UnixTime(body.issued_at_s),
            expires_at: UnixTime(body.expires_at_s),
        })
    }

    fn encode_body(&self) -> Vec<u8> {
        proto::MasternodeBody {
            version: 1,
            peer: self.peer.to_wire(),
            addresses: self.addresses.clone(),
            seal_key: self.seal_key.map(|key| Bytes::copy_from_slice(&key)).unwrap_or_default(),
            collateral: self.collateral.clone(),
            operator: Bytes::copy_from_slice(&self.operator.0),
            capacity_bytes: self.capacity_bytes,
            issued_at_s: self.issued_at.0,
            expires_at_s: self.expires_at.0,
        }
        .encode_to_vec()
    }
}
