use core::fmt;
use core::str::FromStr;

use crate::{Bound, WireError};

/// Tokens in base units: 10^18 of them are one POP. On the wire 16 bytes, big endian.
///
/// Arithmetic is checked: a sum that doesn't fit is `None`, never a wrapped number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One POP.
    pub const ONE_POP: Self = Self(1_000_000_000_000_000_000);

    /// An amount of base units.
    pub const fn from_base_units(units: u128) -> Self {
        Self(units)
    }

    /// The number of base units.
    pub const fn base_units(self) -> u128 {
        self.0
    }

    /// Sum, or `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, or `None` if `other` is larger.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Product with a count, or `None` on overflow.
    pub fn checked_mul(self, count: u128) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }

    pub(crate) fn to_wire(self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let units = <[u8; 16]>::try_from(bytes).map_err(|_| WireError::Length {
            field,
            expected: Bound::exactly(16),
            got: bytes.len(),
        })?;
        Ok(Self(u128::from_be_bytes(units)))
    }
}

impl fmt::Display for Amount {
    /// In POP, with as many decimals as needed: `1.5 POP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / Self::ONE_POP.0;
        let rest = self.0 % Self::ONE_POP.0;
        if rest == 0 {
            return write!(f, "{whole} POP");
        }
        let decimals = format!("{rest:018}");
        write!(f, "{whole}.{} POP", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Amount {
    type Err = WireError;

    /// Reads what is printed, with or without the unit: `250`, `1.5 POP`, exactly. Digits after the
    /// 18th decimal, signs and exponents are refused.
    fn from_str(text: &str) -> Result<Self, WireError> {
        let invalid = |problem| WireError::Invalid { field: "amount", problem };
        let number = text.strip_suffix("POP").map_or(text, str::trim_end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| {
            !part.is_empty() && part.len() <= 39 && part.bytes().all(|it| it.is_ascii_digit())
        };
        if !digits(whole) || !digits(decimals) {
            return Err(invalid("expected POP such as 250 or 1.5"));
        }
        if decimals.len() > 18 {
            return Err(invalid("expected at most 18 decimals"));
        }
        let too_large = || invalid("more than an amount can be");
        let whole = whole.parse().ok().and_then(|whole| Self::ONE_POP.checked_mul(whole));
        let decimals = format!("{decimals:0<18}").parse().map(Self).map_err(|_| too_large())?;
        whole.and_then(|whole| whole.checked_add(decimals)).ok_or_else(too_large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_in_whole_tokens_with_needed_decimals_only() {
        assert_eq!(Amount::ONE_POP.to_string(), "1 POP");
        assert_eq!(Amount::from_base_units(1_500_000_000_000_000_000).to_string(), "1.5 POP");
        assert_eq!(Amount::from_base_units(1).to_string(), "0.000000000000000001 POP");
    }

    #[test]
    fn what_is_printed_is_read_back_to_the_last_unit() {
        let most = Amount::from_base_units(u128::MAX);
        for amount in [Amount::ZERO, Amount::from_base_units(1), Amount::ONE_POP, most] {
            assert_eq!(amount.to_string().parse(), Ok(amount));
        }
        assert_eq!("1.5".parse(), Ok(Amount::from_base_units(1_500_000_000_000_000_000)));
        assert_eq!("250POP".parse(), Ok(Amount::ONE_POP.checked_mul(250).unwrap()));
        let over = "340282366920938463463.374607431768211456";
        let wrong =
            ["", "POP", "-1", "+1", "1e3", ".5", "1.", "1,5", "0.0000000000000000001", over];
        for text in wrong {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_that_does_not_fit_is_refused() {
        let most = Amount::from_base_units(u128::MAX);
        assert_eq!(most.checked_add(Amount::from_base_units(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::from_base_units(1)), None);
        assert_eq!(most.checked_mul(2), None);
    }
}
