//! From segments that arrive in any order to plaintext in the right one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use pop_erasure::{Content, ContentKey, DecodeError, Decoder, VerifiedShard};
use pop_wire::{Instant, SegmentIndex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Pace;
use crate::error::NodeError;
use crate::node::Inner;
use crate::session::{Delivery, Session, Wish};

/// Segments decoded at once: one for each of the usual cores of a small machine, so that decoding
/// never takes the machine from everybody else.
const DECODING_MAX: usize = 4;

/// How long a reader waits for holders to come back before it gives up.
const STARVING_PATIENCE: Duration = Duration::from_secs(15);

/// How soon playback needs its first segment, in milliseconds.
const FIRST_DEADLINE_MS: u64 = 500;

/// Pace assumed of media that doesn't tell its playing time, in bits a second.
const ASSUMED_BIT_S: u64 = 8_000_000;

type Piece = Result<Bytes, NodeError>;

/// Read `range` of `content` into `pieces`, in order.
pub(super) async fn read(
    inner: &Arc<Inner>,
    content: &Content,
    key: ContentKey,
    (range, pace): (Range<u64>, Pace),
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), NodeError> {
    if range.is_empty() {
        return Ok(());
    }
    let decoder = Decoder::new(content.clone(), key)
        .map_err(|_| NodeError::WrongKey { content: content.id() })?;
    let session = inner.session(content)?;
    let mut reader = Reader {
        lease: Lease { inner, content, session: Some(session) },
        decoders: vec![decoder],
        decoding: FuturesUnordered::new(),
        waiting: BTreeMap::new(),
        decoded: BTreeMap::new(),
    };
    reader.run(range, pace, pieces).await
}

/// A session on loan: goes back to be used again, however the reader ends.
struct Lease<'a> {
    inner: &'a Inner,
    content: &'a Content,
    session: Option<Session>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.inner.contents.give_back(&self.content.id(), session);
        }
    }
}

impl Lease<'_> {
    fn tell(&self, wish: Wish) {
        if let Some(session) = &self.session {
            session.tell(wish);
        }
    }

    async fn next(&mut self) -> Option<Delivery> {
        self.session.as_mut()?.next().await
    }
}

/// A segment's plaintext, and the decoder that made it.
type Decoded = (SegmentIndex, Decoder, Result<Bytes, DecodeError>);

struct Reader<'a> {
    lease: Lease<'a>,
    /// Idle ones; each thread takes one along.
    decoders: Vec<Decoder>,
    decoding: FuturesUnordered<JoinHandle<Decoded>>,
    /// Delivered, and waiting for a thread.
    waiting: BTreeMap<SegmentIndex, Vec<VerifiedShard>>,
    /// Plaintext that waits for its turn.
    decoded: BTreeMap<SegmentIndex, Bytes>,
}

impl Reader<'_> {
    async fn run(
        &mut self,
        range: Range<u64>,
        pace: Pace,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<(), NodeError> {
        let layout = *self.lease.content.layout();
        let slices: Vec<_> = layout.slices(range).collect();
        let (Some(first), Some(last)) = (slices.first(), slices.last()) else { return Ok(()) };
        let wanted = first.segment.0..last.segment.0 + 1;
        let schedule = Schedule::start(self.lease.content, wanted.start, pace, self.now());
        self.want(wanted.clone(), &schedule);
        for slice in &slices {
            let plaintext = self.segment(slice.segment).await?;
            let piece = plaintext.slice(slice.range.clone());
            if pieces.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
            self.lease.tell(Wish::Release(slice.segment));
            if schedule.is_some() {
                self.want(slice.segment.0 + 1..wanted.end, &schedule);
            }
        }
        Ok(())
    }

    fn want(&self, segments: Range<u64>, schedule: &Option<Schedule>) {
        let first_deadline = schedule.map(|it| it.deadline(segments.start, self.now()));
        let segment_duration_ms = schedule.map_or(0, |it| it.segment_duration_ms);
        self.lease.tell(Wish::Want { segments, first_deadline, segment_duration_ms });
    }

    fn now(&self) -> Instant {
        self.lease.inner.clock.now()
    }

    /// The plaintext of one segment, while the following ones arrive and are decoded.
    async fn segment(&mut self, wanted: SegmentIndex) -> Result<Bytes, NodeError> {
        let mut starving: Option<(SegmentIndex, usize, usize)> = None;
        loop {
            if let Some(plaintext) = self.decoded.remove(&wanted) {
                return Ok(plaintext);
            }
            self.start_decoding();
            let patience = async {
                match starving {
                    Some(_) => tokio::time::sleep(STARVING_PATIENCE).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(decoded) = self.decoding.next() => self.on_decoded(decoded)?,
                delivery = self.lease.next() => match delivery {
                    Some(Delivery::Segment { segment, shards }) => {
                        self.waiting.insert(segment, shards);
                        starving = None;
                    }
                    Some(Delivery::Starving { segment, reachable, needed }) => {
                        starving = Some((segment, reachable, needed));
                    }
                    Some(Delivery::Recovered) => starving = None,
                    None => return Err(NodeError::ShuttingDown),
                },
                () = patience => {
                    let content = self.lease.content.id();
                    let (segment, have, need) = starving.unwrap_or((wanted, 0, 0));
                    return Err(NodeError::TooFewHolders { content, segment, have, need });
                }
            }
        }
    }

    fn start_decoding(&mut self) {
        while self.decoding.len() < DECODING_MAX {
            let Some((segment, shards)) = self.waiting.pop_first() else { return };
            // There is always one: the last is cloned before it is taken.
            let Some(mut decoder) = self.decoders.pop() else { return };
            if self.decoders.is_empty() {
                self.decoders.push(decoder.clone());
            }
            self.decoding.push(tokio::task::spawn_blocking(move || {
                let plaintext = decoder.decode(segment, &shards);
                (segment, decoder, plaintext)
            }));
        }
    }

    fn on_decoded(
        &mut self,
        decoded: Result<Decoded, tokio::task::JoinError>,
    ) -> Result<(), NodeError> {
        let failed =
            |error| NodeError::Io { action: "decode", source: std::io::Error::other(error) };
        let (segment, decoder, result) = decoded.map_err(failed)?;
        self.decoders.push(decoder);
        let content = self.lease.content.id();
        match result {
            Ok(plaintext) => {
                self.lease.inner.stats.segment_decoded();
                self.decoded.insert(segment, plaintext);
                Ok(())
            }
            Err(DecodeError::Equivocation(proof)) => {
                let path = self.lease.inner.settings.data_dir.join(crate::evidence::DIRECTORY);
                let proof = crate::evidence::keep(&path, &proof)?;
                Err(NodeError::Equivocation { content, proof })
            }
            Err(error) => {
                tracing::warn!(%content, %segment, %error, "segment does not open");
                Err(NodeError::Undecryptable { content, segment })
            }
        }
    }
}

/// When playback needs which segment, if it goes on from the first one without a pause.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    started: Instant,
    first_segment: u64,
    segment_duration_ms: u64,
}

impl Schedule {
    fn start(content: &Content, first_segment: u64, pace: Pace, now: Instant) -> Option<Self> {
        let segment_duration_ms = segment_duration_ms(content);
        let schedule = Self { started: now, first_segment, segment_duration_ms };
        (pace == Pace::Playback).then_some(schedule)
    }

    /// A reader that runs ahead of playback leaves more and more time; one that paused needs its
    /// next segment as soon as at the start.
    fn deadline(&self, segment: u64, now: Instant) -> Instant {
        let behind = segment.saturating_sub(self.first_segment);
        let scheduled = self.started.after_ms(behind.saturating_mul(self.segment_duration_ms));
        scheduled.max(now).after_ms(FIRST_DEADLINE_MS)
    }
}

/// Playing time of one segment in milliseconds: its share of the whole, or at the assumed pace.
fn segment_duration_ms(content: &Content) -> u64 {
    let manifest = content.manifest();
    let segment = u128::from(content.layout().segment_bytes());
    let duration = match (manifest.duration_ms, manifest.length_bytes) {
        (0, _) | (_, 0) => segment * 8 * 1000 / u128::from(ASSUMED_BIT_S),
        (duration, length) => u128::from(duration) * segment / u128::from(length),
    };
    u64::try_from(duration).unwrap_or(u64::MAX).max(1)
}
