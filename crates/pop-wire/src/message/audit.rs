use bytes::Bytes;

use crate::limits::{AUDIT_ANSWER_BYTES_MAX, AUDIT_CHALLENGE_BYTES_MAX};
use crate::signed::check_length;
use crate::{RequestId, WireError, proto};

/// Ask a holder to prove that it has what it says it has. What is asked, and what a proof is, is
/// between those who audit; the exchange carries both and doesn't look inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Number of the request.
    pub id: RequestId,
    /// 1 to [`AUDIT_CHALLENGE_BYTES_MAX`] bytes.
    pub challenge: Bytes,
}

impl Audit {
    pub(super) fn from_proto(audit: proto::Audit) -> Result<Self, WireError> {
        check_length("audit.challenge", audit.challenge.len(), 1, AUDIT_CHALLENGE_BYTES_MAX)?;
        Ok(Self { id: RequestId(audit.id), challenge: audit.challenge })
    }

    pub(super) fn to_proto(&self) -> proto::Audit {
        proto::Audit { id: self.id.0, challenge: self.challenge.clone() }
    }
}

/// What a holder says to an [`Audit`]. One that says nothing sends a
/// [`Refusal`](super::Refusal) instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAnswer {
    /// Number of the request.
    pub id: RequestId,
    /// 1 to [`AUDIT_ANSWER_BYTES_MAX`] bytes.
    pub answer: Bytes,
}

impl AuditAnswer {
    pub(super) fn from_proto(answer: proto::AuditAnswer) -> Result<Self, WireError> {
        check_length("audit_answer.answer", answer.answer.len(), 1, AUDIT_ANSWER_BYTES_MAX)?;
        Ok(Self { id: RequestId(answer.id), answer: answer.answer })
    }

    pub(super) fn to_proto(&self) -> proto::AuditAnswer {
        proto::AuditAnswer { id: self.id.0, answer: self.answer.clone() }
    }
}
