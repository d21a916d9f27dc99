use crate::limits::HOLDERS_MAX;
use crate::repeated::{check_count, entries};
use crate::{ContentId, MasternodeRecord, ProviderRecord, RequestId, Signed, WireError, proto};

/// Number of the field `holders` in `ExchangeMessage`.
const HOLDERS_TAG: u32 = 19;
/// Numbers of the fields in `Holders`.
const PROVIDERS_TAG: u32 = 2;
const MASTERNODES_TAG: u32 = 3;

/// Ask who holds a content, of a node that can look it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetHolders {
    /// Number of the request.
    pub id: RequestId,
    /// Of which content.
    pub content: ContentId,
}

impl GetHolders {
    pub(super) fn from_proto(get: &proto::GetHolders) -> Result<Self, WireError> {
        let content = ContentId::from_wire("get_holders.content", &get.content)?;
        Ok(Self { id: RequestId(get.id), content })
    }

    pub(super) fn to_proto(self) -> proto::GetHolders {
        proto::GetHolders { id: self.id.0, content: self.content.to_wire() }
    }
}

/// Who holds a content, and where they are, by their own signed words; none if the lookup found
/// nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// Number of the request.
    pub id: RequestId,
    /// Who says that it holds columns of the content, not yet verified; at most
    /// [`HOLDERS_MAX`].
    pub providers: Vec<Signed<ProviderRecord>>,
    /// Masternodes, those among the providers first, not yet verified; at most [`HOLDERS_MAX`].
    pub masternodes: Vec<Signed<MasternodeRecord>>,
}

impl Holders {
    /// The first [`HOLDERS_MAX`] of each list. That many of the longest records there can be fit
    /// a frame together, so neither list pushes the other one out.
    pub fn fitting(
        id: RequestId,
        mut providers: Vec<Signed<ProviderRecord>>,
        mut masternodes: Vec<Signed<MasternodeRecord>>,
    ) -> Self {
        providers.truncate(HOLDERS_MAX);
        masternodes.truncate(HOLDERS_MAX);
        Self { id, providers, masternodes }
    }

    /// Refuse too many entries in the body of a frame, whatever kind it is of.
    pub(super) fn check_count(frame: &[u8]) -> Result<(), WireError> {
        let of = |tag| entries(frame, HOLDERS_TAG).flat_map(move |it| entries(it, tag));
        check_count("holders.providers", of(PROVIDERS_TAG), HOLDERS_MAX)?;
        check_count("holders.masternodes", of(MASTERNODES_TAG), HOLDERS_MAX)
    }

    pub(super) fn from_proto(holders: proto::Holders) -> Result<Self, WireError> {
        let providers = holders.providers.into_iter().map(Signed::decode);
        let masternodes = holders.masternodes.into_iter().map(Signed::decode);
        Ok(Self {
            id: RequestId(holders.id),
            providers: providers.collect::<Result<_, _>>()?,
            masternodes: masternodes.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn to_proto(&self) -> proto::Holders {
        proto::Holders {
            id: self.id.0,
            providers: self.providers.iter().map(Signed::encode).collect(),
            masternodes: self.masternodes.iter().map(Signed::encode).collect(),
        }
    }
}
