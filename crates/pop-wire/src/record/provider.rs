use bytes::Bytes;
use prost::Message as _;

use super::{CLOCK_SKEW_S, alive, check_addresses, check_life};
use crate::signed::{check_range, sealed};
use crate::{ColumnSet, ContentId, PeerId, SignedBody, UnixTime, WireError, proto};

/// "I hold these columns of this content, and am reached at these addresses."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRecord {
    /// Who holds, and signs.
    pub peer: PeerId,
    /// What is held.
    pub content: ContentId,
    /// Which columns of it.
    pub columns: ColumnSet,
    /// Multiaddrs in their binary form, best first.
    pub addresses: Vec<Bytes>,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// From when on it is void.
    pub expires_at: UnixTime,
}

impl ProviderRecord {
    /// Whether the record counts at `now`.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        alive(self.issued_at, self.expires_at, now, CLOCK_SKEW_S)
    }
}

impl sealed::Sealed for ProviderRecord {}

impl SignedBody for ProviderRecord {
    const DOMAIN: &'static str = "provider";

    fn signer(&self) -> PeerId {
        self.peer
    }

    fn decode_body(bytes: &[u8]) -> Result<Self, WireError> {
        let body = proto::ProviderBody::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "provider record" })?;
        check_range("provider.version", body.version.into(), 1, 1)?;
        check_addresses("provider.addresses", &body.addresses)?;
        check_life("provider.expires_at_s", body.issued_at_s, body.expires_at_s)?;
        Ok(Self {
            peer: PeerId::from_wire("provider.peer", &body.peer)?,
            content: ContentId::from_wire("provider.content", &body.content)?,
            columns: ColumnSet::from_wire("provider.columns", &body.columns)?,
            addresses: body.addresses,
            issued_at: UnixTime(body.issued_at_s),
            expires_at: UnixTime(body.expires_at_s),
        })
    }

    fn encode_body(&self) -> Vec<u8> {
        proto::ProviderBody {
            version: 1,
            peer: self.peer.to_wire(),
            content: self.content.to_wire(),
            columns: self.columns.to_wire(),
            addresses: self.addresses.clone(),
            issued_at_s: self.issued_at.0,
            expires_at_s: self.expires_at.0,
        }
        .encode_to_vec()
    }
}
