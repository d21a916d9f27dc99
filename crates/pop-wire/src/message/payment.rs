use bytes::Bytes;

use crate::limits::PAYMENT_BODY_BYTES_MAX;
use crate::signed::check_length;
use crate::{WireError, proto};

/// Something about money, from either side of a link. What it says is between those who keep
/// accounts there; the exchange carries it and doesn't look inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// 1 to [`PAYMENT_BODY_BYTES_MAX`] bytes.
    pub body: Bytes,
}

impl Payment {
    pub(super) fn from_proto(payment: proto::Payment) -> Result<Self, WireError> {
        check_length("payment.body", payment.body.len(), 1, PAYMENT_BODY_BYTES_MAX)?;
        Ok(Self { body: payment.body })
    }

    pub(super) fn to_proto(&self) -> proto::Payment {
        proto::Payment { body: self.body.clone() }
    }
}
