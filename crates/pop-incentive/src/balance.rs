//! Two nodes that serve each other net out, and only the difference is promised
//! (`spec/incentive.md` §7).
//!
//! Each side looks at the other's debt from where it stands. At equal prices and equal volumes no
//! voucher is needed at all: tit for tat is the special case.

use pop_wire::Amount;

/// What the other side owes us for what we served it, and what of that it has promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// The price of what we served it, in all.
    pub owed: Amount,
    /// What its vouchers promise us, in all.
    pub promised: Amount,
}

impl Balance {
    /// What counts as paid by us: what we promised, and what it owes us and hasn't promised. What
    /// it promised beyond its debt is our debt again. `None` if a sum doesn't fit.
    pub fn counts_as_paid(&self, promised_by_us: Amount) -> Option<Amount> {
        let sum = promised_by_us.checked_add(self.owed)?;
        Some(sum.checked_sub(self.promised).unwrap_or(Amount::ZERO))
    }

    /// What our vouchers must promise in all, for `target` to count as paid. `None` if a sum
    /// doesn't fit.
    pub fn needed(&self, target: Amount) -> Option<Amount> {
        let sum = target.checked_add(self.promised)?;
        Some(sum.checked_sub(self.owed).unwrap_or(Amount::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(units: u128) -> Amount {
        Amount::from_base_units(units)
    }

    /// One side of a pair, by its own books.
    #[derive(Default, Clone, Copy)]
    struct Side {
        served: Amount,
        promised: Amount,
    }

    fn settle(debtor: &mut Side, creditor: &Side) {
        let theirs = Balance { owed: debtor.served, promised: creditor.promised };
        let needed = theirs.needed(creditor.served).unwrap();
        debtor.promised = debtor.promised.max(needed);
    }

    #[test]
    fn equal_service_at_equal_prices_needs_no_voucher() {
        let (mut a, mut b) = (Side::default(), Side::default());
        for _ in 0..1000 {
            a.served = a.served.checked_add(units(7)).unwrap();
            b.served = b.served.checked_add(units(7)).unwrap();
            settle(&mut a, &b);
            settle(&mut b, &a);
        }
        assert_eq!((a.promised, b.promised), (Amount::ZERO, Amount::ZERO));
    }

    #[test]
    fn whoever_served_less_pays_exactly_the_difference_whichever_way_it_swings() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u128::from(state >> 33)
        };
        let (mut a, mut b) = (Side::default(), Side::default());
        for _ in 0..10_000 {
            let side = if random() % 3 == 0 { &mut a } else { &mut b };
            side.served = side.served.checked_add(units(random() % 1000)).unwrap();
            settle(&mut a, &b);
            settle(&mut b, &a);
            // What each is left with: what it promised out and was promised in.
            let paid_by_a =
                a.promised.base_units().cast_signed() - b.promised.base_units().cast_signed();
            let due_by_a =
                b.served.base_units().cast_signed() - a.served.base_units().cast_signed();
            assert_eq!(paid_by_a, due_by_a);
            let seen_by_b = Balance { owed: a.served, promised: b.promised };
            assert!(seen_by_b.counts_as_paid(a.promised).unwrap() >= b.served);
        }
    }

    #[test]
    fn sums_that_do_not_fit_are_none() {
        let most = units(u128::MAX);
        let balance = Balance { owed: most, promised: most };
        assert_eq!(balance.counts_as_paid(units(1)), None);
        assert_eq!(balance.needed(units(1)), None);
        assert_eq!(balance.needed(Amount::ZERO), Some(Amount::ZERO));
    }
}
