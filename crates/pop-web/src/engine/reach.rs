//! One peer that is to be linked to: its addresses, tried in turn, and when to try again.

use pop_wire::limits::ADDRESSES_MAX;
use pop_wire::{Instant, PeerId};

use super::hub::Hub;
use super::limits::{BACK_OFF_MS_MAX, BACK_OFF_MS_MIN};
use super::wire::Purpose;
use super::{Address, LinkId};

/// ```text
/// Idle(when to try) --dial--> Dialing --proven--> Up --down--> Idle
///                                `--down: next address, or later--> Idle
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle(Instant),
    Dialing(LinkId),
    Up(LinkId),
}

#[derive(Debug)]
pub(super) struct Reach {
    addresses: Vec<Address>,
    /// Index of the address that is tried next, or was tried last.
    at: usize,
    failures: u32,
    state: State,
}

impl Reach {
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        Self { addresses, at: 0, failures: 0, state: State::Idle(Instant::default()) }
    }

    /// Learn of other addresses. Those that are known stay, behind them; so does the link that
    /// there is.
    pub(super) fn set_addresses(&mut self, mut addresses: Vec<Address>) {
        let current = self.address().cloned();
        let known = self.addresses.iter().filter(|known| !addresses.contains(known));
        let known: Vec<_> = known.cloned().collect();
        addresses.extend(known);
        addresses.truncate(ADDRESSES_MAX);
        self.at = addresses.iter().position(|it| Some(it) == current.as_ref()).unwrap_or(0);
        self.addresses = addresses;
    }

    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The address of the link, or the one to try next.
    pub(super) fn address(&self) -> Option<&Address> {
        self.addresses.get(self.at)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.addresses.is_empty() && matches!(self.state, State::Idle(at) if now >= at)
    }

    /// When to try again; `None` while there is a link, or no address.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.state {
            State::Idle(at) if !self.addresses.is_empty() => Some(at),
            _ => None,
        }
    }

    pub(super) fn dial(&mut self, hub: &mut Hub, purpose: Purpose, peer: Option<PeerId>) {
        let Some(address) = self.addresses.get(self.at).cloned() else { return };
        let expected = peer.or(address.peer);
        self.state = State::Dialing(hub.dial(address, purpose, expected));
    }

    /// The link that is up, or on its way.
    pub(super) fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Idle(_) => None,
            State::Dialing(link) | State::Up(link) => Some(link),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether it was tried at all addresses in vain.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0 && !self.is_up()
    }

    /// The peer proved who it is.
    pub(super) fn proven(&mut self) {
        if let State::Dialing(link) = self.state {
            self.state = State::Up(link);
        }
    }

    /// It did what it is there for: later failures start anew.
    pub(super) fn useful(&mut self) {
        self.failures = 0;
    }

    /// The link is gone. The other addresses come first, then a wait that doubles.
    pub(super) fn down(&mut self, now: Instant) {
        let was_up = self.is_up();
        let others = self.at + 1 < self.addresses.len();
        self.state = State::Idle(if !was_up && others {
            self.at += 1;
            now
        } else {
            if !was_up {
                self.at = 0;
            }
            let wait = BACK_OFF_MS_MIN.saturating_mul(1 << self.failures.min(10));
            self.failures = self.failures.saturating_add(1);
            now.after_ms(wait.min(BACK_OFF_MS_MAX))
        });
    }

    /// Try now whatever happened before: the browser is online again, say.
    pub(super) fn retry_now(&mut self, now: Instant) {
        if let State::Idle(at) = &mut self.state {
            *at = now;
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_tried_then_the_wait_doubles_up_to_its_limit() {
        let addresses = ["/ip4/10.0.0.1/tcp/1/ws", "/ip4/10.0.0.1/tcp/2/ws"];
        let mut reach = Reach::new(addresses.iter().map(|it| it.parse().unwrap()).collect());
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            reach.state = State::Dialing(LinkId(1));
            reach.down(Instant(now));
            assert_eq!(reach.due_at(), Some(Instant(now)), "the second address comes at once");
            reach.state = State::Dialing(LinkId(2));
            reach.down(Instant(now));
            let due = reach.due_at().unwrap().0;
            waits.push(due - now);
            now = due;
        }
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[5..], [BACK_OFF_MS_MAX; 3]);
        assert!(reach.has_failed());
        reach.retry_now(Instant(now));
        assert!(reach.is_due(Instant(now)) && !reach.has_failed());
    }
}
