//! Flow control of payload, one pair of counters a link (`spec/exchange.md` §4).

use crate::Fault;
use crate::limits::CREDIT_OUTSTANDING_BYTES_MAX;

/// Payload that the other side lets us send.
#[derive(Debug, Default)]
pub(crate) struct SendCredit {
    bytes: u64,
}

impl SendCredit {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// spec/exchange.md §4: credit outstanding over the limit is a fault of the granter.
    pub(crate) fn grant(&mut self, bytes: u64) -> Result<(), Fault> {
        let max = CREDIT_OUTSTANDING_BYTES_MAX;
        let total = self.bytes.checked_add(bytes).filter(|total| *total <= max);
        self.bytes = total.ok_or(Fault::CreditOverflow { max })?;
        Ok(())
    }

    /// Take `bytes`, or nothing if that is more than there is.
    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        match self.bytes.checked_sub(bytes) {
            Some(rest) => {
                self.bytes = rest;
                true
            }
            None => false,
        }
    }
}

/// Payload that we let the other side send.
#[derive(Debug, Default)]
pub(crate) struct ReceiveCredit {
    bytes: u64,
}

impl ReceiveCredit {
    /// Raise what is outstanding to `target`; returns what to grant, zero for nothing.
    pub(crate) fn raise_to(&mut self, target: u64) -> u64 {
        let grant = target.saturating_sub(self.bytes);
        self.bytes += grant;
        grant
    }

    /// Bytes granted and not yet used.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// spec/exchange.md §4: payload beyond the credit is a fault of the sender.
    pub(crate) fn receive(&mut self, payload: usize) -> Result<(), Fault> {
        let got = u64::try_from(payload).unwrap_or(u64::MAX);
        match self.bytes.checked_sub(got) {
            Some(rest) => {
                self.bytes = rest;
                Ok(())
            }
            None => Err(Fault::CreditExceeded { credit_bytes: self.bytes, got }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_spent_whole_or_not_at_all() {
        let mut credit = SendCredit::default();
        credit.grant(100).unwrap();
        assert!(!credit.spend(101));
        assert!(credit.spend(100));
        assert!(!credit.spend(1));
    }

    #[test]
    fn credit_without_end_is_a_fault() {
        let mut credit = SendCredit::default();
        credit.grant(CREDIT_OUTSTANDING_BYTES_MAX).unwrap();
        assert!(matches!(credit.grant(1), Err(Fault::CreditOverflow { .. })));
        assert!(matches!(credit.grant(u64::MAX), Err(Fault::CreditOverflow { .. })));
        assert_eq!(credit.bytes(), CREDIT_OUTSTANDING_BYTES_MAX);
    }

    #[test]
    fn payload_beyond_the_grant_is_a_fault() {
        let mut credit = ReceiveCredit::default();
        assert_eq!(credit.raise_to(10), 10);
        assert_eq!(credit.raise_to(8), 0);
        credit.receive(10).unwrap();
        assert_eq!(credit.receive(1), Err(Fault::CreditExceeded { credit_bytes: 0, got: 1 }));
    }
}
