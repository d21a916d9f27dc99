//! From a link to a content that can be read.

use pop_erasure::{Content, Decoder};
use pop_exchange::asker::{Answer, Failure};
use pop_exchange::fetcher::{ExtraShards, Fetcher, FetcherConfig};
use pop_wire::sorted::SortedSet;
use pop_wire::{Instant, Manifest, Verified};

use super::plain::Plain;
use super::{Film, Outcome, Playing};
use crate::engine::hub::Hub;
use crate::engine::limits::{
    EXTRA_SHARDS, EXTRA_WINDOW_MS, FAR_WINDOW_MS, HEDGE_FLOOR_MS, LOOK_AGAIN_MS, LOOK_MS,
    URGENT_WINDOW_MS,
};
use crate::engine::{EngineError, FilmInfo, LinkId, Output};

impl Film {
    /// A masternode can be asked: whether for the manifest.
    pub(in crate::engine) fn asks(&mut self, link: LinkId) -> bool {
        self.playing.is_none() && self.asked.insert(link)
    }

    /// The end of a question for the manifest.
    pub(in crate::engine) fn answered(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        result: Result<Answer, Failure>,
    ) -> Outcome {
        match result {
            Ok(Answer::Manifest(manifest)) if self.playing.is_none() => self.begin(hub, *manifest),
            Err(Failure::Refused { .. }) => {
                self.refusals += 1;
                Ok(())
            }
            // Ask there again when it is back.
            Err(_) => {
                self.asked.remove(&link);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Whether everybody who was asked said no, so that others must be asked.
    pub(in crate::engine) fn is_unknown(&self) -> bool {
        self.playing.is_none() && self.refusals > 0 && self.refusals >= self.asked.len()
    }

    /// Whether to ask for holders now.
    pub(in crate::engine) fn looks(&mut self, now: Instant) -> bool {
        if now < self.look_at || self.is_kept {
            return false;
        }
        let starving = self.playing.as_ref().is_none_or(|it| it.starving.is_some());
        self.look_at = now.after_ms(if starving { LOOK_AGAIN_MS } else { LOOK_MS });
        true
    }

    fn begin(&mut self, hub: &mut Hub, manifest: Verified<Manifest>) -> Outcome {
        let content = Content::new(manifest).map_err(|_| EngineError::BadManifest)?;
        let decoder = Decoder::new(content.clone(), self.key.clone());
        let decoder = decoder.map_err(|_| EngineError::WrongKey)?;
        let layout = *content.layout();
        let mut config = FetcherConfig::default();
        config.introduction = Hub::introduction();
        config.window_bytes_max = hub.config.window_bytes.max(4 * (layout.segment_bytes() + 16));
        config.accounts = hub.pays;
        config.urgent_window_ms = URGENT_WINDOW_MS;
        config.extra_window_ms = EXTRA_WINDOW_MS;
        config.extra_shards = ExtraShards::Fixed(EXTRA_SHARDS);
        config.hedge_floor_ms = HEDGE_FLOOR_MS;
        config.far_window_ms = FAR_WINDOW_MS;
        let fetcher = Fetcher::new(content.clone(), config, hub.random());
        let fetcher = fetcher.map_err(|_| EngineError::BadManifest)?;
        let manifest = content.manifest();
        let info = FilmInfo {
            content: content.id(),
            publisher: manifest.publisher,
            length_bytes: manifest.length_bytes,
            media_type: manifest.media_type.clone(),
            duration_ms: manifest.duration_ms,
            segment_bytes: layout.segment_bytes(),
            geometry: (layout.geometry().k(), layout.geometry().n()),
        };
        self.pace.set_duration(&content);
        let length_bytes = info.length_bytes;
        hub.outbox.push(Output::Opened { film: self.id, info });
        self.playing = Some(Box::new(Playing {
            content,
            decoder,
            fetcher,
            plain: Plain::default(),
            told: (0..0, None, 0),
            starving: None,
            reachable: (0, 0),
            late: SortedSet::new(),
            late_segments: 0,
            segments: Vec::new(),
            awaited: SortedSet::new(),
            since: hub.now,
            announced: SortedSet::new(),
            settled_at: hub.now,
            alone_until: None,
            from_cache_bytes: 0,
        }));
        for read in self.reads.clip(length_bytes) {
            self.reads.remove(read);
            let error = EngineError::OutOfRange { length_bytes, end: length_bytes };
            hub.outbox.push(Output::ReadFailed { read, error });
        }
        // Their transports came up while the manifest was on its way.
        self.sources.links().into_iter().for_each(|link| hub.shake(link));
        Ok(())
    }
}
