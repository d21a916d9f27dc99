//! Shares of money, exact to the base unit.

use pop_wire::Amount;

use crate::ledger::limits::WHOLE_BPS;

/// `bps` parts in 10,000 of an amount, rounded down. `None` on overflow.
pub(crate) fn share_down(amount: Amount, bps: u64) -> Option<Amount> {
    portion(amount, bps.into(), WHOLE_BPS.into())
}

/// `bps` parts in 10,000 of an amount, rounded up. `None` on overflow.
pub(crate) fn share_up(amount: Amount, bps: u64) -> Option<Amount> {
    let down = share_down(amount, bps)?;
    let whole = u128::from(WHOLE_BPS);
    let exact = (amount.base_units() % whole * u128::from(bps)).is_multiple_of(whole);
    if exact { Some(down) } else { down.checked_add(Amount::from_base_units(1)) }
}

/// `amount * part / whole`, rounded down, with the product kept in 256 bits. `None` if `whole` is
/// zero or the result is more than an amount can be.
pub fn portion(amount: Amount, part: u128, whole: u128) -> Option<Amount> {
    let (high, low) = multiply(amount.base_units(), part);
    divide(high, low, whole).map(Amount::from_base_units)
}

fn multiply(left: u128, right: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (left_high, left_low) = (left >> 64, left & LOW);
    let (right_high, right_low) = (right >> 64, right & LOW);
    let low = left_low * right_low;
    let first = left_high * right_low + (low >> 64);
    let second = left_low * right_high + (first & LOW);
    (left_high * right_high + (first >> 64) + (second >> 64), (second << 64) | (low & LOW))
}

fn divide(high: u128, low: u128, whole: u128) -> Option<u128> {
    if high >= whole {
        return None;
    }
    if high == 0 {
        return Some(low / whole);
    }
    // Long division, a bit at a time: the remainder stays below `whole`.
    let (mut rest, mut quotient) = (high, 0);
    for bit in (0..128).rev() {
        let carried = rest >> 127 == 1;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carried || rest >= whole {
            rest = rest.wrapping_sub(whole);
            quotient |= 1;
        }
    }
    Some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_exact_up_to_the_greatest_amount() {
        let most = Amount::from_base_units(u128::MAX);
        assert_eq!(portion(most, u128::MAX, u128::MAX), Some(most));
        assert_eq!(portion(most, 1, 3), Some(Amount::from_base_units(u128::MAX / 3)));
        assert_eq!(portion(most, 2, 3), Some(Amount::from_base_units(u128::MAX / 3 * 2)));
        assert_eq!(portion(most, 2, 1), None);
        assert_eq!(portion(most, 1, 0), None);
        for (amount, part, whole) in [(7_u64, 3_u64, 5_u64), (u64::MAX, u64::MAX, 7), (1, 0, 1)] {
            let exact = u128::from(amount) * u128::from(part) / u128::from(whole);
            let got = portion(Amount::from_base_units(amount.into()), part.into(), whole.into());
            assert_eq!(got, Some(Amount::from_base_units(exact)));
        }
        let near = u128::MAX - 1;
        assert_eq!(portion(most, near, u128::MAX), Some(Amount::from_base_units(near)));
    }

    #[test]
    fn what_is_owed_rounds_up_and_what_is_given_rounds_down() {
        let units = Amount::from_base_units;
        assert_eq!(share_up(units(1), 1_000), Some(units(1)));
        assert_eq!(share_up(units(10), 1_000), Some(units(1)));
        assert_eq!(share_down(units(9), 1_000), Some(units(0)));
        assert_eq!(share_down(units(u128::MAX), 10_000), Some(units(u128::MAX)));
        assert_eq!(share_down(units(u128::MAX), 10_001), None);
    }
}
