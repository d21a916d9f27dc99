//! Columns on their way to their holders: one upload to one holder, and all of a content's
//! columns to as many holders as they need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use pop_dht::NetworkGroup;
use pop_dht::placement::{Candidate, PlacementOrder, place};
use pop_erasure::Content;
use pop_exchange::uploader::{Event, Input, Output, Uploader, UploaderConfig};
use pop_exchange::{Introduction, LinkId};
use pop_wire::{ColumnIndex, ColumnSet, MasternodeRecord, PeerId, SegmentIndex};
use tokio::sync::mpsc;

use crate::clock;
use crate::directory::addresses;
use crate::error::NodeError;
use crate::links::{self, Flushes, LinkEvent, LinkSender};
use crate::node::Inner;
use crate::staging::Staging;
use crate::transport;

/// Holders that are uploaded to at once.
const UPLOADS_MAX: usize = 32;

/// Links tried with one holder before its columns go elsewhere.
const LINKS_MAX: u64 = 3;

/// Events of one link that wait for the machine.
const LINK_EVENTS_MAX: usize = 256;

/// How the columns of a content find their holders.
pub(crate) struct Distribution<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) content: &'a Content,
    pub(crate) staging: Arc<Staging>,
}

/// Something that a caller may want to show or to write down.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UploadProgress {
    /// So many shards more are with their holders.
    Shards(u64),
    /// A column is durable on its holder.
    Stored(ColumnIndex, PeerId),
}

/// What came of one upload.
#[derive(Debug)]
struct Outcome {
    holder: PeerId,
    stored: ColumnSet,
    /// What the holder said when it did not take the others.
    refusal: Option<String>,
}

impl Distribution<'_> {
    /// Place `columns` on `candidates` and upload them; what one holder doesn't take goes to
    /// another. Every progress is reported before anything depends on it.
    ///
    /// # Errors
    /// [`NodeError::Placement`] if the first placement can't work, [`NodeError::NotPlaced`] if
    /// holders refused until none was left, and whatever `progress` returns.
    pub(crate) async fn run(
        &self,
        columns: ColumnSet,
        mut candidates: Vec<Candidate>,
        progress: &mut impl FnMut(UploadProgress) -> Result<(), NodeError>,
    ) -> Result<BTreeMap<ColumnIndex, PeerId>, NodeError> {
        let layout = self.content.layout();
        let mut order = PlacementOrder {
            columns,
            column_bytes: layout.column_bytes(),
            data_shards: layout.geometry().k(),
            seed: self.content.id().0,
        };
        let mut placed = BTreeMap::new();
        let mut last_reason = None;
        while !order.columns.is_empty() {
            let plan = match (place(&candidates, &order), last_reason.take()) {
                (Ok(plan), _) => plan,
                (Err(error), None) => return Err(error.into()),
                (Err(_), Some(last_reason)) => {
                    let (missing, total) = (order.columns.len(), columns.len());
                    return Err(NodeError::NotPlaced { missing, total, last_reason });
                }
            };
            for outcome in self.upload_all(plan, progress).await? {
                let candidate = candidates.iter_mut().find(|it| it.peer == outcome.holder);
                if let Some(candidate) = candidate {
                    candidate.held = candidate.held.union(&outcome.stored);
                }
                for column in outcome.stored.iter() {
                    order.columns.remove(column);
                    placed.insert(column, outcome.holder);
                }
                if let Some(reason) = outcome.refusal {
                    tracing::warn!(holder = %outcome.holder, reason, "holder left out");
                    candidates.retain(|it| it.peer != outcome.holder);
                    last_reason = Some(reason);
                }
            }
        }
        Ok(placed)
    }

    async fn upload_all(
        &self,
        plan: BTreeMap<ColumnIndex, PeerId>,
        progress: &mut impl FnMut(UploadProgress) -> Result<(), NodeError>,
    ) -> Result<Vec<Outcome>, NodeError> {
        let mut by_holder: BTreeMap<PeerId, ColumnSet> = BTreeMap::new();
        for (column, holder) in plan {
            by_holder.entry(holder).or_default().insert(column);
        }
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut waiting = by_holder.into_iter();
        let mut running = FuturesUnordered::new();
        let mut outcomes = Vec::new();
        loop {
            while running.len() < UPLOADS_MAX {
                let Some((holder, columns)) = waiting.next() else { break };
                running.push(self.upload(holder, columns, report.clone()));
            }
            tokio::select! {
                biased;
                Some(event) = reports.recv() => progress(event)?,
                outcome = running.next() => match outcome {
                    Some(outcome) => outcomes.push(outcome),
                    None => break,
                },
            }
        }
        while let Ok(event) = reports.try_recv() {
            progress(event)?;
        }
        Ok(outcomes)
    }

    /// Upload `columns` to `holder`, over as many links as it takes.
    async fn upload(
        &self,
        holder: PeerId,
        columns: ColumnSet,
        report: mpsc::UnboundedSender<UploadProgress>,
    ) -> Outcome {
        let mut config = UploaderConfig::default();
        let masternode =
            self.inner.own_record.borrow().as_ref().map(|record| record.signed().clone());
        config.introduction = Introduction { agent: transport::agent(), masternode };
        let mut outcome = Outcome { holder, stored: ColumnSet::new(), refusal: None };
        let machine = match Uploader::new(self.content.clone(), columns, config) {
            Ok(machine) => machine,
            Err(error) => {
                outcome.refusal = Some(error.to_string());
                return outcome;
            }
        };
        let mut upload =
            Upload { distribution: self, holder, machine, report, next: BTreeMap::new(), outcome };
        upload.run().await;
        upload.outcome
    }
}

/// One upload under way.
struct Upload<'a> {
    distribution: &'a Distribution<'a>,
    holder: PeerId,
    machine: Uploader,
    report: mpsc::UnboundedSender<UploadProgress>,
    /// How far each column has got, in segments.
    next: BTreeMap<ColumnIndex, u64>,
    outcome: Outcome,
}

impl Upload<'_> {
    async fn run(&mut self) {
        for link in 0..LINKS_MAX {
            match self.one_link(LinkId(link)).await {
                Ok(()) if self.machine.is_finished() => return,
                Ok(()) => self.outcome.refusal = Some("the link went down".to_owned()),
                Err(reason) => self.outcome.refusal = Some(reason),
            }
        }
    }

    /// Run the machine over one link until it is finished or the link is down.
    async fn one_link(&mut self, link: LinkId) -> Result<(), String> {
        let inner = self.distribution.inner;
        let record = inner.directory.record(&self.holder);
        let addresses = record.map(|record| addresses(&record)).unwrap_or_default();
        let stream = inner.network.open(self.holder, addresses).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let (events, mut queue) = mpsc::channel(LINK_EVENTS_MAX);
        let sender =
            links::spawn((&inner.tasks, &inner.stop), link, stream, (events, Flushes::Untold));
        self.handle(Input::LinkUp { link, peer: self.holder });
        self.drain(&sender).await?;
        while !self.machine.is_finished() {
            let now = inner.clock.now();
            let wait = self.machine.next_timeout().map_or(3_600_000, |at| at.since_ms(now));
            tokio::select! {
                event = queue.recv() => match event {
                    Some((link, LinkEvent::Messages(messages))) => {
                        for message in messages {
                            self.handle(Input::Message { link, message });
                        }
                    }
                    Some((_, LinkEvent::Flushed(_))) => {}
                    Some((link, LinkEvent::Down)) => {
                        self.handle(Input::LinkDown { link });
                        return Ok(());
                    }
                    None => return Ok(()),
                },
                () = tokio::time::sleep(Duration::from_millis(wait)) => self.handle(Input::Tick),
            }
            self.drain(&sender).await?;
        }
        Ok(())
    }

    fn handle(&mut self, input: Input) {
        if let Err(error) = self.machine.handle(self.distribution.inner.clock.now(), input) {
            tracing::error!(%error, "the uploading machine refused an input");
        }
    }

    async fn drain(&mut self, sender: &LinkSender) -> Result<(), String> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send { message, .. } => sender.send(message),
                Output::Close { link } => {
                    self.handle(Input::LinkDown { link });
                }
                Output::NeedShard { column, segment } => {
                    let shard = self.read(column, segment).await?;
                    self.handle(Input::Shard { column, segment, shard });
                }
                Output::Event(event) => self.on_event(event),
                other => tracing::warn!(?other, "unknown output"),
            }
        }
        Ok(())
    }

    async fn read(
        &self,
        column: ColumnIndex,
        segment: SegmentIndex,
    ) -> Result<pop_exchange::ShardWithProof, String> {
        let staging = Arc::clone(&self.distribution.staging);
        let reading = tokio::task::spawn_blocking(move || staging.read(segment, column));
        let read = reading.await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Progress { column, next_segment } => self.advance(column, next_segment.0),
            Event::ColumnStored { column } => {
                self.advance(column, self.distribution.content.layout().segment_count());
                self.outcome.stored.insert(column);
                self.tell(UploadProgress::Stored(column, self.holder));
            }
            Event::ColumnFailed { failure, .. } => {
                self.outcome.refusal = Some(failure.to_string());
            }
            Event::Finished { failed, .. } if failed.is_empty() => self.outcome.refusal = None,
            other => tracing::debug!(?other, "upload"),
        }
    }

    fn advance(&mut self, column: ColumnIndex, next: u64) {
        let before = self.next.insert(column, next).unwrap_or(0);
        self.tell(UploadProgress::Shards(next.saturating_sub(before)));
    }

    fn tell(&self, progress: UploadProgress) {
        let _caller_gone = self.report.send(progress);
    }
}

/// Masternodes as the placement sees them.
pub(crate) fn candidates(
    masternodes: &[impl std::ops::Deref<Target = MasternodeRecord>],
    held: &BTreeMap<PeerId, ColumnSet>,
) -> Vec<Candidate> {
    let candidate = |record: &MasternodeRecord| Candidate {
        peer: record.peer,
        operator: record.operator,
        group: record
            .addresses
            .first()
            .map_or(NetworkGroup::Unknown, |bytes| NetworkGroup::of_address_bytes(bytes)),
        held: held.get(&record.peer).copied().unwrap_or_default(),
        free_bytes: record.capacity_bytes,
    };
    let mut seen = BTreeSet::new();
    masternodes
        .iter()
        .map(|record| &**record)
        .filter(|record| record.is_alive(clock::unix_now()) && seen.insert(record.peer))
        .map(candidate)
        .collect()
}
