use crate::limits::{AGENT_BYTES_MAX, CREDIT_BYTES_MAX};
use crate::signed::{check_length, check_range};
use crate::{MasternodeRecord, ProtocolVersion, Signed, VersionRange, WireError, proto};

/// First message of each side of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What the sender speaks.
    pub versions: VersionRange,
    /// Payload bytes that the sender will take before it grants more.
    pub credit_bytes: u64,
    /// Name and version of the sender's program, for logs.
    pub agent: String,
    /// The sender's own record if it is a masternode, not yet verified: how a newcomer becomes
    /// known to those it meets.
    pub masternode: Option<Signed<MasternodeRecord>>,
}

impl Hello {
    pub(super) fn from_proto(hello: proto::Hello) -> Result<Self, WireError> {
        let version = |field, number: u32| match u16::try_from(number) {
            Ok(small) => Ok(ProtocolVersion(small)),
            Err(_) => Err(WireError::Range {
                field,
                expected: crate::Bound { min: 1, max: u16::MAX.into() },
                got: number.into(),
            }),
        };
        check_range("hello.credit_bytes", hello.credit_bytes, 0, CREDIT_BYTES_MAX)?;
        check_length("hello.agent", hello.agent.len(), 0, AGENT_BYTES_MAX)?;
        let masternode = match hello.masternode.is_empty() {
            true => None,
            false => Some(Signed::decode(hello.masternode)?),
        };
        Ok(Self {
            versions: VersionRange::new(
                version("hello.version_min", hello.version_min)?,
                version("hello.version_max", hello.version_max)?,
            )?,
            credit_bytes: hello.credit_bytes,
            agent: hello.agent,
            masternode,
        })
    }

    pub(super) fn to_proto(&self) -> proto::Hello {
        proto::Hello {
            version_min: self.versions.min().0.into(),
            version_max: self.versions.max().0.into(),
            credit_bytes: self.credit_bytes,
            agent: self.agent.clone(),
            masternode: self.masternode.as_ref().map(Signed::encode).unwrap_or_default(),
        }
    }
}

/// The sender will take `bytes` more of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Payload bytes, at least one.
    pub bytes: u64,
}

impl Credit {
    pub(super) fn from_proto(credit: &proto::Credit) -> Result<Self, WireError> {
        check_range("credit.bytes", credit.bytes, 1, CREDIT_BYTES_MAX)?;
        Ok(Self { bytes: credit.bytes })
    }
}
