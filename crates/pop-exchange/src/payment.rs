//! Payment messages: carried, counted, never looked into (`spec/exchange.md` §10).

use bytes::Bytes;
use pop_wire::limits::PAYMENT_BODY_BYTES_MAX;
use pop_wire::message::Payment;
use pop_wire::{Instant, Message};

use crate::budget::TimedBudget;
use crate::limits::{PAYMENT_EARNING_BYTES, PAYMENT_MESSAGES_BURST, PAYMENT_REFILL_MS};
use crate::{Error, Fault, LinkId};

/// Payment messages that the other side of a link may still send: each costs whoever keeps the
/// accounts a signature check.
#[derive(Debug)]
pub(crate) struct PaymentBudget {
    timed: TimedBudget,
    /// Payload that moved and that no message was charged to, in bytes.
    earned_bytes: u64,
}

impl PaymentBudget {
    pub(crate) fn new(now: Instant) -> Self {
        let timed = TimedBudget::new(PAYMENT_MESSAGES_BURST, PAYMENT_REFILL_MS, now);
        Self { timed, earned_bytes: 0 }
    }

    /// So much payload moved over the link, from the one who is paid.
    pub(crate) fn earn(&mut self, bytes: u64) {
        self.earned_bytes = self.earned_bytes.saturating_add(bytes);
    }

    /// Charge one message, before anybody looks at it.
    ///
    /// spec/exchange.md §10: beyond the budget is a fault of the sender.
    pub(crate) fn charge(&mut self, now: Instant) -> Result<(), Fault> {
        if self.timed.charge(now) {
            return Ok(());
        }
        let rest = self.earned_bytes.checked_sub(PAYMENT_EARNING_BYTES);
        self.earned_bytes = rest.ok_or(Fault::PaymentFlood { burst: PAYMENT_MESSAGES_BURST })?;
        Ok(())
    }
}

/// A payment message of ours. `agreed`: the greeting of `link` is over.
pub(crate) fn message(link: LinkId, agreed: bool, body: Bytes) -> Result<Message, Error> {
    let (max, got) = (PAYMENT_BODY_BYTES_MAX, body.len());
    if got == 0 || got > max {
        return Err(Error::PaymentLength { max, got });
    }
    // spec/exchange.md §3: nothing else before the other's hello.
    if !agreed {
        return Err(Error::NotGreeted { link });
    }
    Ok(Message::Payment(Payment { body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(budget: &mut PaymentBudget, now: Instant) -> u64 {
        (0..).take_while(|_| budget.charge(now).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_burst_comes_back_with_time_and_payload_earns_more() {
        let mut budget = PaymentBudget::new(Instant(500));
        assert_eq!(charged(&mut budget, Instant(500)), PAYMENT_MESSAGES_BURST);
        assert_eq!(charged(&mut budget, Instant(1_499)), 0);
        assert_eq!(charged(&mut budget, Instant(3_600)), 3);
        budget.earn(PAYMENT_EARNING_BYTES - 1);
        assert_eq!(charged(&mut budget, Instant(3_600)), 0);
        budget.earn(2 * PAYMENT_EARNING_BYTES + 1);
        assert_eq!(charged(&mut budget, Instant(3_600)), 3);
        assert_eq!(charged(&mut budget, Instant(u64::MAX)), PAYMENT_MESSAGES_BURST);
    }
}
