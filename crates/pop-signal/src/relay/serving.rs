//! What clients ask of a relay.

use pop_wire::Instant;

use super::Relay;
use super::clients::Refusal;
use super::port::CloseReason;
use crate::envelope::Envelope;
use crate::limits::RETRY_AFTER_MS_MAX;
use crate::message::{Attachment, Destination, RefusedReason};
use crate::topic::Topic;
use crate::{Address, LinkId, Prefix, RelayMessage, Rendezvous};

impl Relay {
    pub(super) fn client_says(&mut self, now: Instant, link: LinkId, message: RelayMessage) {
        let refused = match message {
            RelayMessage::Attach { rendezvous, attachment } => {
                self.attach(now, link, rendezvous, attachment)
            }
            RelayMessage::Detach { rendezvous } => {
                self.detach(link, &rendezvous);
                Ok(())
            }
            RelayMessage::Join { topic } => self.join(now, link, topic),
            RelayMessage::Leave { topic } => {
                self.leave(now, link, &topic);
                Ok(())
            }
            RelayMessage::Send { to, envelope } => {
                self.stats.letters_in += 1;
                self.letter(now, to, envelope)
            }
            RelayMessage::Announce { topic, envelope } => {
                self.stats.letters_in += 1;
                self.announce(now, link, topic, envelope)
            }
            RelayMessage::Deliver { .. }
            | RelayMessage::Refused { .. }
            | RelayMessage::Forward { .. }
            | RelayMessage::Members { .. }
            | RelayMessage::Elsewhere { .. } => {
                self.close(link, CloseReason::Unexpected);
                Ok(())
            }
        };
        if let Err(reason) = refused {
            self.stats.refused.count(reason);
            self.send(link, RelayMessage::Refused { reason, retry_after_ms: 0 });
        }
    }

    pub(super) fn over_rate(&mut self, link: LinkId, refusal: &Refusal) {
        self.stats.refused.count(RefusedReason::Rate);
        match refusal {
            Refusal::Tell { wait_ms } => {
                let wait_ms = u32::try_from(*wait_ms).unwrap_or(u32::MAX).min(RETRY_AFTER_MS_MAX);
                let reason = RefusedReason::Rate;
                self.send(link, RelayMessage::Refused { reason, retry_after_ms: wait_ms });
            }
            Refusal::Silent => {}
            Refusal::Close => self.close(link, CloseReason::Flood),
        }
    }

    fn attach(
        &mut self,
        now: Instant,
        link: LinkId,
        rendezvous: Rendezvous,
        attachment: Attachment,
    ) -> Result<(), RefusedReason> {
        let Some(client) = self.clients.get_mut(link) else { return Ok(()) };
        if rendezvous == Rendezvous::of_relay(&self.me) {
            // spec/signal.md §6.3: a relay's own rendezvous MUST NOT be attached by others.
            if client.prefix == Prefix::Own {
                client.rendezvous.insert(rendezvous);
                self.attached.attach_for_good(rendezvous, link);
            }
            return Ok(());
        }
        match self.attached.holder(&rendezvous) {
            // It is not said that somebody else has it: that would be a way to ask who is there.
            Some(holder) if holder != link => return Ok(()),
            Some(_) => {}
            None if client.rendezvous.len() >= self.config.rendezvous_per_client_max => {
                return Err(RefusedReason::Rendezvous);
            }
            None if self.attached.len() >= self.config.rendezvous_max => {
                return Err(RefusedReason::Full);
            }
            None => {}
        }
        let is_new = client.rendezvous.insert(rendezvous);
        self.stats.sessions += u64::from(is_new && attachment == Attachment::Session);
        self.attached.attach(now, rendezvous, link, attachment);
        Ok(())
    }

    fn detach(&mut self, link: LinkId, rendezvous: &Rendezvous) {
        let Some(client) = self.clients.get_mut(link) else { return };
        if client.rendezvous.remove(rendezvous) {
            self.attached.detach(rendezvous);
        }
    }

    fn join(&mut self, now: Instant, link: LinkId, topic: Topic) -> Result<(), RefusedReason> {
        let Some(client) = self.clients.get_mut(link) else { return Ok(()) };
        if !client.topics.contains(&topic) {
            if client.topics.len() >= self.config.topics_per_client_max {
                return Err(RefusedReason::Topics);
            }
            let full = self.gatherings.topics() >= self.config.topics_max;
            if full && !self.gatherings.contains(&topic) {
                return Err(RefusedReason::Full);
            }
            client.topics.insert(topic);
        }
        if let Some((home, count)) = self.gatherings.join(now, topic, link) {
            self.send_to_relay(now, home, RelayMessage::Members { topic, count });
        }
        Ok(())
    }

    fn leave(&mut self, now: Instant, link: LinkId, topic: &Topic) {
        let Some(client) = self.clients.get_mut(link) else { return };
        if !client.topics.remove(topic) {
            return;
        }
        if let Some((home, count)) = self.gatherings.leave(topic, link) {
            self.send_to_relay(now, home, RelayMessage::Members { topic: *topic, count });
        }
    }

    fn letter(
        &mut self,
        now: Instant,
        to: Address,
        envelope: Envelope,
    ) -> Result<(), RefusedReason> {
        if to.relay == self.me {
            self.deliver(now, to.rendezvous, envelope);
            return Ok(());
        }
        if !self.gatherings.knows(&to.relay) {
            return Err(RefusedReason::UnknownRelay);
        }
        let destination = Destination::Rendezvous(to.rendezvous);
        let message = RelayMessage::Forward { to: destination, last: true, envelope };
        self.send_to_relay(now, to.relay, message);
        Ok(())
    }

    fn announce(
        &mut self,
        now: Instant,
        link: LinkId,
        topic: Topic,
        envelope: Envelope,
    ) -> Result<(), RefusedReason> {
        if !self.clients.get(link).is_some_and(|client| client.topics.contains(&topic)) {
            return Err(RefusedReason::Topics);
        }
        self.gatherings.stay(now, topic, link);
        let route = self.gatherings.route_of_client(now, &topic, link, &mut self.entropy);
        self.hand_on(now, topic, envelope, route);
        Ok(())
    }
}
