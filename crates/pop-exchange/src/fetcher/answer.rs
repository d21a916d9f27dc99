//! What sources say, and what becomes of a request.

use pop_erasure::VerifiedShard;
use pop_wire::message::{Available, Cancel, Refusal, RefusalReason, Shard};
use pop_wire::{Message, RequestId, SegmentIndex};

use super::{Event, Fetcher, Flight, Output};
use crate::greeting::{self, kind_name};
use crate::limits::{ANNOUNCEMENTS_BURST, BUSY_RETRY_MS, RETRY_AFTER_MS_MAX};
use crate::source::SourceKind;
use crate::{Fault, LinkId};

impl Fetcher {
    pub(super) fn receive(&mut self, from: LinkId, message: Message) -> Result<(), Fault> {
        let Some(source) = self.sources.get_mut(&from) else { return Ok(()) };
        if let Some(hello) = source.greeting.receive(&message)? {
            let (peer, introduction) = (source.peer, greeting::introduction(hello));
            let event = Event::Greeted { link: from, peer, introduction };
            self.outputs.push_back(Output::Event(event));
            self.dirty = true;
            return Ok(());
        }
        match message {
            Message::Shard(shard) => self.shard(from, shard),
            Message::Refusal(refusal) => self.refused(from, refusal),
            // A requester sends no payload here, so it needs none; granting is no fault.
            Message::Credit(_) => Ok(()),
            Message::Payment(payment) => {
                source.payments.charge(self.now)?;
                let (peer, body) = (source.peer, payment.body);
                self.outputs.push_back(Output::Event(Event::Payment { link: from, peer, body }));
                Ok(())
            }
            Message::Available(available) => self.announced(from, available),
            other => Err(Fault::Unexpected { got: kind_name(&other) }),
        }
    }

    fn announced(&mut self, from: LinkId, available: Available) -> Result<(), Fault> {
        let Some(source) = self.sources.get_mut(&from) else { return Ok(()) };
        // spec/exchange.md §7.1: counted before it is looked at.
        if !source.announcements.charge(self.now) {
            return Err(Fault::AnnouncementFlood { burst: ANNOUNCEMENTS_BURST });
        }
        let Available { content, segments } = available;
        if content != self.content.id() || source.kind != SourceKind::Viewer {
            return Ok(());
        }
        let count = self.content.layout().segment_count();
        if let Some(segment) = segments.last().filter(|last| last.0 >= count) {
            return Err(Fault::NoSuchSegment { segment, count });
        }
        let event = Event::Available { link: from, peer: source.peer, segments: segments.len() };
        self.outputs.push_back(Output::Event(event));
        source.announces(segments);
        self.dirty = true;
        Ok(())
    }

    fn shard(&mut self, from: LinkId, shard: Shard) -> Result<(), Fault> {
        let id = shard.id;
        let now = self.now;
        let Some(source) = self.sources.get_mut(&from) else { return Ok(()) };
        source.credit.receive(shard.payload.len())?;
        let payload_bytes = u64::try_from(shard.payload.len()).unwrap_or(u64::MAX);
        source.payments.earn(payload_bytes);
        if let Some(flight) = self.answers_cancelled(from, id) {
            self.totals.wasted_bytes += payload_bytes;
            if flight.is_unwanted {
                self.totals.unwanted_bytes += payload_bytes;
            }
            if self.config.accounts {
                self.verify(&flight, shard)?;
            }
            return Ok(());
        }
        let flight = self.answered(from, id)?;
        let verified = self.verify(&flight, shard)?;
        let Flight { segment: index, bytes, asked_at, .. } = flight;
        if self.was_everybody_silent() {
            self.woken_at = now;
        }
        if let Some(source) = self.sources.get_mut(&from) {
            source.delivered(bytes, now);
        }
        self.progress_at = now;
        let took_ms = now.since_ms(asked_at);
        self.response.record(took_ms);
        if self.sources.get(&from).is_some_and(|source| source.kind == SourceKind::Masternode) {
            self.masternodes.record(took_ms);
        }
        let Some(collecting) = self.segments.get_mut(&index) else { return Ok(()) };
        if !collecting.insert(verified) {
            self.totals.wasted_bytes += bytes;
            return Ok(());
        }
        self.charged_bytes += bytes;
        self.totals.received_bytes += bytes;
        if collecting.missing() == 0 {
            self.deliver(index);
        }
        Ok(())
    }

    /// spec/exchange.md §7: verified before it counts for anything, or is paid for.
    fn verify(&mut self, flight: &Flight, shard: Shard) -> Result<VerifiedShard, Fault> {
        let Flight { link, segment, column, .. } = *flight;
        let segment = SegmentIndex(segment);
        let Shard { segment_path, content_path, payload, .. } = shard;
        let verified = self
            .content
            .verify_shard(segment, column, payload, segment_path, content_path)
            .map_err(|_| Fault::BadShard { segment, column })?;
        if let Some(source) = self.sources.get(&link).filter(|_| self.config.accounts) {
            let bytes = u64::try_from(verified.payload().len()).unwrap_or(u64::MAX);
            self.outputs.push_back(Output::Received { link, peer: source.peer, bytes });
        }
        Ok(verified)
    }

    fn refused(&mut self, from: LinkId, refusal: Refusal) -> Result<(), Fault> {
        let Refusal { id, reason, retry_after_ms } = refusal;
        if self.answers_cancelled(from, id).is_some() {
            return Ok(());
        }
        let Flight { segment, column, .. } = self.answered(from, id)?;
        let now = self.now;
        let Some(source) = self.sources.get_mut(&from) else { return Ok(()) };
        source.answered(now);
        self.dirty = true;
        let retry_ms = u64::from(retry_after_ms.max(BUSY_RETRY_MS)).min(RETRY_AFTER_MS_MAX);
        match reason {
            RefusalReason::Busy | RefusalReason::Cancelled => {
                source.busy_until = Some(now.after_ms(retry_ms));
                return Ok(());
            }
            RefusalReason::PaymentDue | RefusalReason::ShuttingDown if retry_after_ms > 0 => {
                source.busy_until = Some(now.after_ms(retry_ms));
            }
            // spec/exchange.md §6: nothing more from this source.
            RefusalReason::PaymentDue
            | RefusalReason::ShuttingDown
            | RefusalReason::NotAccepted => source.columns.clear(),
            // spec/exchange.md §6: not this column from this source, nor this segment from a viewer.
            _ => source.lacks(segment, column),
        }
        let peer = source.peer;
        self.outputs.push_back(Output::Event(Event::Refused { peer, column, reason }));
        Ok(())
    }

    /// What `id` asked for if it was cancelled on this link; it is forgotten now.
    fn answers_cancelled(&mut self, from: LinkId, id: RequestId) -> Option<Flight> {
        let flight = self.cancelled.get(&id).copied().filter(|flight| flight.link == from)?;
        if self.was_everybody_silent() {
            self.woken_at = self.now;
        }
        if let Some(source) = self.sources.get_mut(&from) {
            source.cancelled -= 1;
            source.cancelled_bytes -= flight.bytes;
            source.answered(self.now);
        }
        self.cancelled.remove(&id);
        self.dirty |= self.short_of_room;
        Some(flight)
    }

    /// spec/exchange.md §7: an answer is to a request of this link, and there is only one.
    fn answered(&mut self, from: LinkId, id: RequestId) -> Result<Flight, Fault> {
        match self.flights.get(&id) {
            Some(flight) if flight.link == from => {}
            _ => return Err(Fault::UnaskedAnswer { id }),
        }
        self.settle(id).ok_or(Fault::UnaskedAnswer { id })
    }

    /// A request is no longer in flight.
    pub(super) fn settle(&mut self, id: RequestId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.charged_bytes -= flight.bytes;
        if let Some(source) = self.sources.get_mut(&flight.link) {
            source.settled(flight.bytes);
        }
        if let Some(segment) = self.segments.get_mut(&flight.segment) {
            segment.settled(flight.column, flight.late);
        }
        self.dirty |= self.short_of_room;
        Some(flight)
    }

    /// Take a request back; its answer may be on its way. `is_unwanted`: its segment is not wanted
    /// any more.
    pub(super) fn cancel(&mut self, id: RequestId, is_unwanted: bool) {
        let Some(flight) = self.settle(id) else { return };
        let flight = Flight { is_unwanted, ..flight };
        let Flight { link, bytes, .. } = flight;
        let Some(source) = self.sources.get_mut(&link) else { return };
        source.cancelled += 1;
        source.cancelled_bytes += bytes;
        self.cancelled.insert(id, flight);
        let message = Message::Cancel(Cancel { id });
        self.outputs.push_back(Output::Send { link, message });
    }

    fn deliver(&mut self, index: u64) {
        self.cancel_all_of(index, false);
        let Some(segment) = self.segments.remove(&index) else { return };
        self.lent.insert(index, segment.held_bytes());
        self.done.insert(index);
        self.totals.segments += 1;
        let shards = segment.into_shards();
        self.outputs.push_back(Output::Segment { segment: SegmentIndex(index), shards });
    }

    /// A segment is no longer wanted.
    pub(super) fn drop_segment(&mut self, index: u64) {
        self.cancel_all_of(index, true);
        if let Some(segment) = self.segments.remove(&index) {
            self.charged_bytes -= segment.held_bytes();
            self.totals.dropped_bytes += segment.held_bytes();
        }
    }

    fn cancel_all_of(&mut self, index: u64, is_unwanted: bool) {
        let of_segment = |(id, f): (&RequestId, &Flight)| (f.segment == index).then_some(*id);
        let losers: Vec<RequestId> = self.flights.iter().filter_map(of_segment).collect();
        losers.into_iter().for_each(|id| self.cancel(id, is_unwanted));
    }
}
