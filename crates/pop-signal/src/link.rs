use core::fmt;
use std::net::IpAddr;

/// Number of a link: one stream of frames to one client or relay. The shell gives it and never
/// gives it again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// Who shares a limit: what one household or server has of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// The node's own programs, which are not metered.
    Own,
    /// One address of IPv4.
    V4([u8; 4]),
    /// The first 56 bits of an address of IPv6.
    V6([u8; 7]),
}

impl Prefix {
    /// The prefix of an address; an IPv4 address that is written as one of IPv6 counts as what it
    /// is.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                Self::V6(*address.octets().first_chunk().expect("it has 16 bytes"))
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("this node"),
            Self::V4([a, b, c, d]) => write!(f, "{a}.{b}.{c}.{d}/32"),
            Self::V6(bytes) => {
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("…/56")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_household_share_a_prefix() {
        let of = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:0:11::1"), of("2001:db8:0:22:ffff::2"));
        assert_ne!(of("2001:db8:0:11::1"), of("2001:db8:0:111::1"));
        assert_eq!(of("192.0.2.1").to_string(), "192.0.2.1/32");
        assert_eq!(of("2001:db8:0:11::1").to_string(), "20010db8000000…/56");
    }
}
