//! What the fetching machine asks for, carried out; and segments opened as they come.

use pop_erasure::DecodeError;
use pop_exchange::fetcher;
use pop_wire::{Instant, SegmentIndex};

use super::{Film, Origin, Outcome};
use crate::engine::hub::Hub;
use crate::engine::money::News;
use crate::engine::{CacheKey, EngineError, Event};

impl Film {
    /// Carry out what the machine asks for, until it asks for nothing more.
    pub(in crate::engine) fn settle(&mut self, hub: &mut Hub, hope: Option<Instant>) -> Outcome {
        self.aim(hub, hope);
        loop {
            let Some(playing) = &mut self.playing else { return Ok(()) };
            if let Some(output) = playing.fetcher.poll() {
                self.carry_out(hub, output);
                continue;
            }
            if playing.segments.is_empty() {
                break;
            }
            self.decode(hub)?;
            self.aim(hub, hope);
        }
        self.deliver(hub);
        Ok(())
    }

    fn carry_out(&mut self, hub: &mut Hub, output: fetcher::Output) {
        match output {
            fetcher::Output::Send { link, message } => hub.send(link, &message),
            fetcher::Output::Close { link } => {
                hub.close(link);
                self.link_down(hub, link);
            }
            fetcher::Output::Segment { segment, shards } => {
                if let Some(playing) = &mut self.playing {
                    playing.segments.push((segment, shards, Origin::Network));
                }
            }
            fetcher::Output::Event(event) => self.on_event(hub, event),
            fetcher::Output::Asked { peer, bytes, .. } => {
                hub.news.push(News::Traffic { peer, asked: bytes, received: 0 });
            }
            fetcher::Output::Received { peer, bytes, .. } => {
                hub.news.push(News::Traffic { peer, asked: 0, received: bytes });
            }
            _ => {}
        }
    }

    fn on_event(&mut self, hub: &mut Hub, event: fetcher::Event) {
        let film = self.id;
        match event {
            fetcher::Event::Greeted { link, peer, .. } => {
                self.sources.greeted(hub, peer, link);
                if let Some(wanted) = self.wanted().filter(|_| hub.pays) {
                    let prefix = self.sources.prefix(&peer);
                    hub.news.push(News::SourceUp { link, peer, prefix, wanted });
                }
            }
            fetcher::Event::Available { link, segments, .. } => {
                let Some(playing) = &mut self.playing else { return };
                match segments {
                    0 => playing.announced.remove(&link),
                    _ => playing.announced.insert(link),
                };
            }
            fetcher::Event::Payment { link, body, .. } => {
                hub.news.push(News::SourceSays { link, body });
            }
            fetcher::Event::PeerFault { peer, fault, .. } => {
                let kind = self.sources.kind_of(&peer);
                // Nobody is a liar for being late.
                if !matches!(fault, pop_exchange::Fault::HelloLate { .. }) {
                    hub.accuse(peer, kind, fault.to_string());
                    self.sources.forget(&peer);
                }
            }
            fetcher::Event::SourceRefused { peer, .. } => self.sources.forget(&peer),
            fetcher::Event::SourceResting { peer, silent_ms } => {
                hub.event(Event::SourceResting { film, peer, silent_ms });
            }
            fetcher::Event::Starving { reachable, needed, .. } => {
                let Some(playing) = &mut self.playing else { return };
                playing.starving.get_or_insert((hub.now, false));
                playing.reachable = (reachable, needed);
                self.look_at = hub.now;
                hub.event(Event::Starving { film, reachable, needed });
            }
            fetcher::Event::Recovered => {
                if let Some(playing) = &mut self.playing {
                    playing.starving = None;
                }
                hub.event(Event::Recovered { film });
            }
            fetcher::Event::Overdue { segment, .. } => {
                let Some(playing) = &mut self.playing else { return };
                if playing.late.insert(segment.0) {
                    playing.late_segments += 1;
                    hub.event(Event::Late { film, segment: segment.0 });
                }
            }
            _ => {}
        }
    }

    /// The cache has a segment in memory now, or lost it.
    pub(in crate::engine) fn cached(&mut self, hub: &mut Hub, segment: u64) {
        let key = CacheKey { content: self.content, segment };
        let Some(playing) = &mut self.playing else { return };
        if playing.awaited.remove(&segment)
            && !playing.plain.has(segment)
            && let Some(shards) = hub.cache.shards(key)
        {
            playing.segments.push((SegmentIndex(segment), shards, Origin::Cache));
        }
    }

    /// Open the segments that came, and give their memory back.
    fn decode(&mut self, hub: &mut Hub) -> Outcome {
        let Some(playing) = &mut self.playing else { return Ok(()) };
        for (segment, shards, origin) in core::mem::take(&mut playing.segments) {
            let plain = playing.decoder.decode(segment, &shards).map_err(|error| match error {
                DecodeError::Equivocation(_) => {
                    EngineError::Equivocation { content: self.content, segment: segment.0 }
                }
                _ => EngineError::Undecryptable { segment: segment.0 },
            })?;
            playing.late.remove(&segment.0);
            playing.plain.insert(segment.0, plain);
            match origin {
                Origin::Network => {
                    let key = CacheKey { content: self.content, segment: segment.0 };
                    hub.keep(key, &shards);
                    let release = fetcher::Input::Release { segment };
                    let _refused = playing.fetcher.handle(hub.now, release);
                }
                Origin::Cache => {
                    let bytes: usize = shards.iter().map(|shard| shard.payload().len()).sum();
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    playing.from_cache_bytes += bytes;
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, hub: &mut Hub) {
        let Some(playing) = &mut self.playing else { return };
        let segment_bytes = playing.content.layout().segment_bytes().max(1);
        self.reads.deliver(hub.now, segment_bytes, &mut playing.plain, &mut hub.outbox);
    }
}
