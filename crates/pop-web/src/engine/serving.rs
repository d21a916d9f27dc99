//! What other viewers are given: shards of segments that are here, as fast as the viewer of this
//! page allows.

use std::collections::VecDeque;

use bytes::Bytes;
use pop_erasure::{Content, Repairer};
use pop_exchange::limits::BUSY_RETRY_MS;
use pop_exchange::provider::{
    self, Provider, ProviderConfig, StoreOperation, StoreResult, Token as Operation,
};
use pop_exchange::{Fault, ShardWithProof};
use pop_wire::message::RefusalReason;
use pop_wire::sorted::SortedMap;
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Instant, Message, PeerId, SegmentIndex, SegmentRanges,
};

use super::hub::Hub;
use super::limits::{
    SERVE_LINKS_MAX, SERVE_LINKS_PER_PEER_MAX, SERVE_PAYLOAD_BYTES_MAX,
    SERVE_PAYLOAD_PER_LINK_BYTES_MAX, SERVE_REQUESTS_MAX,
};
use super::money::News;
use super::{CacheKey, EngineError, LinkId, SourceKind, Upload};

/// A content that can be served.
struct Shelf {
    content: Content,
    repairer: Repairer,
    /// Films that it is open or kept in.
    films: usize,
    up_bytes: u64,
}

pub(super) struct Serving {
    provider: Provider,
    shelves: SortedMap<ContentId, Shelf>,
    /// Reads that wait for the shell to load a segment.
    waiting: SortedMap<CacheKey, Vec<(Operation, ColumnIndex)>>,
    /// Messages that wait for their turn under the cap.
    paced: VecDeque<(LinkId, Message)>,
    /// Bytes that may leave now; below zero while one message is being paid off.
    budget_bytes: i64,
    refilled_at: Instant,
    up_bytes: u64,
    sent_bytes: SortedMap<LinkId, u64>,
}

impl Serving {
    /// `sells`: what is given is to be paid.
    pub(super) fn new(sells: bool) -> Result<Self, EngineError> {
        let mut config = ProviderConfig::default();
        config.introduction = Hub::introduction();
        config.payload_bytes_max = SERVE_PAYLOAD_BYTES_MAX;
        config.payload_bytes_per_link_max = SERVE_PAYLOAD_PER_LINK_BYTES_MAX;
        config.links_max = SERVE_LINKS_MAX;
        if sells {
            config.allowance_bytes = 0;
        }
        config.links_per_peer_max = SERVE_LINKS_PER_PEER_MAX;
        config.requests_max = SERVE_REQUESTS_MAX;
        let provider = Provider::new(config);
        let provider = provider.map_err(|_| EngineError::Setting { field: "provider" })?;
        Ok(Self {
            provider,
            shelves: SortedMap::new(),
            waiting: SortedMap::new(),
            paced: VecDeque::new(),
            budget_bytes: 0,
            refilled_at: Instant::default(),
            up_bytes: 0,
            sent_bytes: SortedMap::new(),
        })
    }

    /// A film of this content was opened.
    pub(super) fn open(&mut self, hub: &mut Hub, content: &Content) {
        let shelf = self.shelves.entry(content.id()).or_insert_with(|| Shelf {
            content: content.clone(),
            repairer: Repairer::new(content.clone()),
            films: 0,
            up_bytes: 0,
        });
        shelf.films += 1;
        self.announce(hub, content.id());
    }

    /// A film of this content is gone.
    pub(super) fn close(&mut self, hub: &mut Hub, content: ContentId) {
        let Some(shelf) = self.shelves.get_mut(&content) else { return };
        shelf.films -= 1;
        if shelf.films == 0 {
            self.shelves.remove(&content);
            self.announce(hub, content);
        }
    }

    pub(super) fn content(&self, content: &ContentId) -> Option<&Content> {
        self.shelves.get(content).map(|shelf| &shelf.content)
    }

    /// Payload given away: in all, and of one content, in bytes.
    pub(super) fn up_bytes(&self) -> u64 {
        self.up_bytes
    }

    pub(super) fn up_bytes_of(&self, content: &ContentId) -> u64 {
        self.shelves.get(content).map_or(0, |shelf| shelf.up_bytes)
    }

    pub(super) fn sent_bytes(&self, link: LinkId) -> u64 {
        self.sent_bytes.get(&link).copied().unwrap_or(0)
    }

    /// Whether anything may be given now.
    fn gives(&self, upload: &Upload) -> bool {
        upload.is_on && self.up_bytes < upload.bytes_max && upload.bytes_per_s_max > 0
    }

    /// Say what of a content can be had here from now on.
    pub(super) fn announce(&mut self, hub: &mut Hub, content: ContentId) {
        let is_given = self.gives(&hub.config.upload) && self.shelves.contains_key(&content);
        let ranges = if is_given { hub.cache.segments(&content) } else { Vec::new() };
        let segments = SegmentRanges::covering(ranges);
        self.handle(hub.now, provider::Input::Available { content, segments });
    }

    /// The viewer of this page changed its mind about what is given.
    pub(super) fn announce_all(&mut self, hub: &mut Hub) {
        let contents: Vec<_> = self.shelves.keys().copied().collect();
        contents.into_iter().for_each(|content| self.announce(hub, content));
    }

    pub(super) fn link_up(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        hub.news.push(News::ViewerUp { link, peer });
        self.handle(hub.now, provider::Input::LinkUp { link, peer });
    }

    pub(super) fn link_down(&mut self, hub: &mut Hub, link: LinkId) {
        hub.news.push(News::LinkDown { link });
        self.paced.retain(|(to, _)| *to != link);
        self.sent_bytes.remove(&link);
        self.handle(hub.now, provider::Input::LinkDown { link });
    }

    pub(super) fn message(&mut self, hub: &Hub, link: LinkId, message: Message) {
        self.handle(hub.now, provider::Input::Message { link, message });
    }

    /// The transport took so many whole messages.
    pub(super) fn flushed(&mut self, hub: &Hub, link: LinkId, messages: usize) {
        if messages > 0 {
            self.handle(hub.now, provider::Input::Flushed { link, messages });
        }
    }

    /// The shell loaded a segment, or it is gone.
    pub(super) fn loaded(&mut self, hub: &mut Hub, key: CacheKey) {
        for (operation, column) in self.waiting.remove(&key).unwrap_or_default() {
            let shard = self.shard(hub, key, column);
            self.end(hub.now, operation, shard);
        }
    }

    /// Say something about money to a viewer.
    pub(super) fn pay(&mut self, now: Instant, link: LinkId, body: Bytes) {
        self.handle(now, provider::Input::Payment { link, body });
    }

    /// A viewer may take so much more, in bytes.
    pub(super) fn allow(&mut self, now: Instant, peer: PeerId, bytes: u64) {
        self.handle(now, provider::Input::Allowance { peer, bytes });
    }

    pub(super) fn tick(&mut self, hub: &Hub) {
        if self.provider.next_timeout().is_some_and(|at| hub.now >= at) {
            self.handle(hub.now, provider::Input::Tick);
        }
    }

    pub(super) fn next_timeout(&self, upload: &Upload) -> Option<Instant> {
        let turn = (!self.paced.is_empty()).then(|| {
            let rate = i64::try_from(upload.bytes_per_s_max).unwrap_or(i64::MAX).max(1);
            let ms = self.budget_bytes.min(0).unsigned_abs() / rate.unsigned_abs().div_ceil(1000);
            self.refilled_at.after_ms(ms.max(1))
        });
        turn.into_iter().chain(self.provider.next_timeout()).min()
    }

    /// Carry out what the machine asks for. Links that it closes are given back.
    pub(super) fn settle(&mut self, hub: &mut Hub) -> Vec<LinkId> {
        let mut closed = Vec::new();
        while let Some(output) = self.provider.poll() {
            match output {
                provider::Output::Send { link, message } => {
                    let bytes = u64::try_from(message.payload_bytes()).unwrap_or(u64::MAX);
                    if let Some(peer) = hub.wires.peer(link).filter(|_| bytes > 0) {
                        hub.news.push(News::Served { peer, bytes });
                    }
                    self.paced.push_back((link, message));
                }
                provider::Output::Event(provider::Event::Payment { link, body, .. }) => {
                    hub.news.push(News::ViewerSays { link, body });
                }
                provider::Output::Close { link } => closed.push(link),
                provider::Output::Store { token, operation } => self.store(hub, token, operation),
                provider::Output::Event(provider::Event::PeerFault { peer, fault, .. }) => {
                    // To be late is no lie.
                    let is_late =
                        matches!(fault, Fault::HelloLate { .. } | Fault::NotReading { .. });
                    if !is_late {
                        hub.accuse(peer, SourceKind::Viewer, fault.to_string());
                    }
                }
                _ => {}
            }
        }
        self.pace(hub);
        closed
    }

    /// Send as much as the cap allows.
    fn pace(&mut self, hub: &mut Hub) {
        let rate = i64::try_from(hub.config.upload.bytes_per_s_max).unwrap_or(i64::MAX);
        let passed_ms = i64::try_from(hub.now.since_ms(self.refilled_at)).unwrap_or(i64::MAX);
        self.refilled_at = hub.now;
        let refill = rate.saturating_mul(passed_ms) / 1000;
        // What is not used of a second is gone.
        self.budget_bytes = self.budget_bytes.saturating_add(refill).min(rate);
        let free = rate == i64::MAX;
        while free || self.budget_bytes >= 0 {
            let Some((link, message)) = self.paced.pop_front() else { return };
            let bytes = u64::try_from(message.payload_bytes()).unwrap_or(u64::MAX);
            self.budget_bytes =
                self.budget_bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
            self.up_bytes += bytes;
            *self.sent_bytes.entry(link).or_default() += bytes;
            hub.send_counted(link, &message);
        }
    }

    fn store(&mut self, hub: &mut Hub, token: Operation, operation: StoreOperation) {
        let result = match operation {
            StoreOperation::ReadShard { content, segment, column } => {
                return self.read(hub, token, (content, segment, column));
            }
            StoreOperation::ReadManifest { content } => match self.shelves.get(&content) {
                Some(shelf) => StoreResult::Manifest(shelf.content.manifest().signed().clone()),
                None => refused(RefusalReason::NotFound),
            },
            // A viewer holds segments, not columns.
            StoreOperation::ReadHoldings { .. } => StoreResult::Holdings(ColumnSet::new()),
            StoreOperation::LeaveColumn { .. } => return,
            _ => refused(RefusalReason::NotAccepted),
        };
        self.result(hub.now, token, result);
    }

    fn read(
        &mut self,
        hub: &mut Hub,
        operation: Operation,
        (content, segment, column): (ContentId, SegmentIndex, ColumnIndex),
    ) {
        let key = CacheKey { content, segment: segment.0 };
        if !self.gives(&hub.config.upload) {
            return self.result(hub.now, operation, refused(RefusalReason::NotAccepted));
        }
        let shard = self.shard(hub, key, column);
        let known = self.shelves.contains_key(&content);
        if shard.is_none() && known && hub.load(key) {
            return self.waiting.entry(key).or_default().push((operation, column));
        }
        if shard.is_none() && known && hub.cache.has(&key) {
            // Enough is being loaded already.
            let (reason, retry_after_ms) = (RefusalReason::Busy, BUSY_RETRY_MS);
            let result = StoreResult::Refused { reason, retry_after_ms };
            return self.result(hub.now, operation, result);
        }
        self.end(hub.now, operation, shard);
    }

    fn shard(
        &mut self,
        hub: &mut Hub,
        key: CacheKey,
        column: ColumnIndex,
    ) -> Option<ShardWithProof> {
        let shelf = self.shelves.get_mut(&key.content)?;
        let n = shelf.content.layout().geometry().n();
        let shard = hub.cache.shard(key, column, &mut shelf.repairer, n)?;
        shelf.up_bytes += u64::try_from(shard.payload.len()).unwrap_or(u64::MAX);
        Some(shard)
    }

    fn end(&mut self, now: Instant, operation: Operation, shard: Option<ShardWithProof>) {
        let result = match shard {
            Some(shard) => StoreResult::Shard(shard),
            None => refused(RefusalReason::NotFound),
        };
        self.result(now, operation, result);
    }

    fn result(&mut self, now: Instant, token: Operation, result: StoreResult) {
        self.handle(now, provider::Input::Store { token, result });
    }

    fn handle(&mut self, now: Instant, input: provider::Input) {
        // Links and operations are the machine's own and ours: nothing is refused.
        let _refused = self.provider.handle(now, input);
    }
}

fn refused(reason: RefusalReason) -> StoreResult {
    StoreResult::Refused { reason, retry_after_ms: 0 }
}

#[cfg(test)]
mod tests;
