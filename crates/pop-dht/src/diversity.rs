//! Who shares a network with whom, and how many of one network the routing table takes
//! (`spec/dht.md` §7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::RoutingRefusal;
use crate::limits::{GROUP_PER_BUCKET_MAX, GROUP_PER_TABLE_MAX};

/// The network that an address belongs to: peer ids cost nothing, networks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkGroup {
    /// An IPv4 /24.
    V4([u8; 3]),
    /// An IPv6 /48.
    V6([u8; 6]),
    /// Loopback, private, link-local and in-memory addresses.
    Local,
    /// No address of the peer itself: a DNS name, or a relay's address.
    Unknown,
}

impl NetworkGroup {
    /// The group of an IP address. IPv4 in IPv6 counts as IPv4.
    pub fn of_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    /// The group of a multiaddr. A relayed address is [`Unknown`](Self::Unknown): its IP is the
    /// relay's.
    pub fn of_address(address: &Multiaddr) -> Self {
        if address.iter().any(|part| part == Protocol::P2pCircuit) {
            return Self::Unknown;
        }
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Self::of_ip(ip.into()),
            Some(Protocol::Ip6(ip)) => Self::of_ip(ip.into()),
            Some(Protocol::Memory(_)) => Self::Local,
            _ => Self::Unknown,
        }
    }

    /// The group of a multiaddr in binary form, as signed records carry it.
    pub fn of_address_bytes(bytes: &[u8]) -> Self {
        Multiaddr::try_from(bytes.to_vec()).map_or(Self::Unknown, |it| Self::of_address(&it))
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        if ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() {
            return Self::Local;
        }
        let [a, b, c, _] = ip.octets();
        Self::V4([a, b, c])
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let local = ip.is_loopback()
            || ip.is_unspecified()
            || ip.is_unique_local()
            || ip.is_unicast_link_local();
        if local {
            return Self::Local;
        }
        let [a, b, c, d, e, f, ..] = ip.octets();
        Self::V6([a, b, c, d, e, f])
    }
}

/// How many peers of one network the routing table takes. All of a network's nodes should agree
/// on `loopback_exempt`; the numbers are each node's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiversityConfig {
    /// Leave [`NetworkGroup::Local`] out of all limits per group, here and in the record store:
    /// for a network on one machine or in one private net. Off by default.
    pub loopback_exempt: bool,
    /// Peers of one group in one bucket.
    pub per_bucket_max: usize,
    /// Peers of one group in the table.
    pub per_table_max: usize,
}

impl Default for DiversityConfig {
    fn default() -> Self {
        Self {
            loopback_exempt: false,
            per_bucket_max: GROUP_PER_BUCKET_MAX,
            per_table_max: GROUP_PER_TABLE_MAX,
        }
    }
}

impl DiversityConfig {
    /// Whether limits per group apply to `group`.
    pub fn limits(&self, group: NetworkGroup) -> bool {
        !(self.loopback_exempt && group == NetworkGroup::Local)
    }

    /// Decide on one more peer of `group` for `bucket`, given bucket and group of every *other*
    /// peer in the table. Keeps no state, so it can't drift from the table.
    ///
    /// # Errors
    /// [`RoutingRefusal::BucketGroupFull`] or [`RoutingRefusal::TableGroupFull`].
    pub fn admit(
        &self,
        table: impl IntoIterator<Item = (u32, NetworkGroup)>,
        bucket: u32,
        group: NetworkGroup,
    ) -> Result<(), RoutingRefusal> {
        if !self.limits(group) {
            return Ok(());
        }
        let (mut in_bucket, mut in_table) = (0, 0);
        for (other_bucket, _) in table.into_iter().filter(|(_, other)| *other == group) {
            in_table += 1;
            in_bucket += usize::from(other_bucket == bucket);
        }
        // spec/dht.md §7: at most 2 peers of one group per bucket, and 10 per table.
        if in_bucket >= self.per_bucket_max {
            return Err(RoutingRefusal::BucketGroupFull { max: self.per_bucket_max });
        }
        if in_table >= self.per_table_max {
            return Err(RoutingRefusal::TableGroupFull { max: self.per_table_max });
        }
        Ok(())
    }
}
