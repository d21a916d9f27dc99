//! Who is let in: so many links altogether, so many from one prefix, so many that nobody has put
//! a name to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::{LINKS_MAX, LINKS_PER_PREFIX_MAX, STRANGERS_MAX};

/// What counts as one place: a /32 of IPv4, a /56 of IPv6, which is what a household gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prefix {
    /// A /32.
    V4([u8; 4]),
    /// A /56.
    V6([u8; 7]),
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }
}

/// The door. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Admission {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    links: usize,
    strangers: usize,
    by_prefix: BTreeMap<Prefix, usize>,
}

impl Admission {
    /// Let a link in whose other end is a stranger; `None` if there is no room for it.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let prefix = Prefix::from(address);
        let mut inside = self.inside();
        let there = inside.by_prefix.get(&prefix).copied().unwrap_or(0);
        let full = inside.links >= LINKS_MAX
            || inside.strangers >= STRANGERS_MAX
            || there >= LINKS_PER_PREFIX_MAX;
        if full {
            return None;
        }
        inside.links += 1;
        inside.strangers += 1;
        inside.by_prefix.insert(prefix, there + 1);
        Some(Admitted { door: self.clone(), prefix, stranger: true })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    door: Admission,
    prefix: Prefix,
    stranger: bool,
}

impl Admitted {
    /// The other end has proven who it is.
    pub(super) fn introduce(&mut self) {
        if std::mem::take(&mut self.stranger) {
            self.door.inside().strangers -= 1;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.introduce();
        let mut inside = self.door.inside();
        inside.links -= 1;
        let left = inside.by_prefix.get(&self.prefix).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            inside.by_prefix.remove(&self.prefix);
        } else {
            inside.by_prefix.insert(self.prefix, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> IpAddr {
        let number = u32::try_from(number).unwrap();
        IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number))
    }

    #[test]
    fn one_prefix_does_not_fill_the_house() {
        let door = Admission::default();
        let admit = |number| {
            let mut admitted = door.admit(address(number))?;
            admitted.introduce();
            Some(admitted)
        };
        let held: Vec<_> = (0..LINKS_PER_PREFIX_MAX + 9).filter_map(|_| admit(1)).collect();
        assert_eq!(held.len(), LINKS_PER_PREFIX_MAX);
        assert!(admit(2).is_some());
        drop(held);
        assert!(admit(1).is_some());
        let neighbours = ["2001:db8:0:1200::1", "2001:db8:0:12ff::2"];
        let held: Vec<_> = (0..LINKS_PER_PREFIX_MAX)
            .filter_map(|at| door.admit(neighbours[at % 2].parse().unwrap()))
            .collect();
        assert_eq!(held.len(), LINKS_PER_PREFIX_MAX);
        assert!(door.admit(neighbours[0].parse().unwrap()).is_none());
        assert!(door.admit("2001:db8:0:1300::1".parse().unwrap()).is_some());
        assert!(door.admit("::ffff:10.0.0.1".parse().unwrap()).is_some());
    }

    #[test]
    fn strangers_do_not_keep_friends_out_for_good() {
        let door = Admission::default();
        let mut strangers: Vec<_> =
            (0..STRANGERS_MAX + 5).filter_map(|n| door.admit(address(n))).collect();
        assert_eq!(strangers.len(), STRANGERS_MAX);
        strangers[0].introduce();
        strangers[0].introduce();
        assert!(door.admit(address(1_000)).is_some());
        drop(strangers);
        assert_eq!(door.inside().strangers, 0);
        assert!(door.inside().by_prefix.is_empty());
    }

    #[test]
    fn there_is_a_last_place() {
        let door = Admission::default();
        let admit = |number| {
            let mut admitted = door.admit(address(number))?;
            admitted.introduce();
            Some(admitted)
        };
        let held: Vec<_> = (0..LINKS_MAX + 5).filter_map(admit).collect();
        assert_eq!(held.len(), LINKS_MAX);
        drop(held);
        assert!(admit(1).is_some());
    }
}
