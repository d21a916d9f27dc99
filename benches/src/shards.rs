//! One holder of all data columns in memory, and one fetcher: the machines of `pop-exchange` over
//! one stream. Policy forbids such a holder; it shows what the protocol itself costs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use pop_erasure::{Content, ContentKey, Decoder, Encoder, Geometry, Media};
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult};
use pop_exchange::{LinkId, ShardWithProof};
use pop_node::clock::Clock;
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ColumnSet, Keypair, PeerId, SegmentIndex, Signed};

use crate::Error;

const LINK: LinkId = LinkId(1);
const KEY: [u8; 32] = [1; 32];
const SHARD_BYTES: u32 = 32 * 1024;

/// A content with the data columns of every segment.
#[derive(Debug)]
pub struct Film {
    /// The content.
    pub content: Content,
    shards: BTreeMap<(SegmentIndex, ColumnIndex), ShardWithProof>,
}

impl Film {
    /// `bytes` of plaintext, encoded 19 of 27.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        let geometry = Geometry::new(19, 27, 27)?;
        let mut encoder =
            Encoder::new(geometry, SHARD_BYTES, ContentKey::from_bytes(KEY), [3; 32])?;
        let plaintext: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        let (mut left, mut encoded) = (bytes, Vec::new());
        while left > 0 {
            let wanted = plaintext.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= u64::try_from(encoder.push(&plaintext[..wanted])?)?;
            encoded.extend(std::iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        encoded.extend(std::iter::from_fn(|| encoder.poll()));
        let publisher = Keypair::from_secret_bytes(&[2; 32])?;
        let publication = encoder.finish(&publisher, Media::default())?;
        let mut shards = BTreeMap::new();
        for segment in &encoded {
            let index = segment.segment();
            let content_path = publication.content_path(index).ok_or("no such segment")?;
            for column in ColumnIndex::first(geometry.k()) {
                let shard = ShardWithProof {
                    payload: segment.shard(column).ok_or("no such column")?,
                    segment_path: segment.segment_path(column).ok_or("no such column")?,
                    content_path: content_path.clone(),
                };
                shards.insert((index, column), shard);
            }
        }
        Ok(Self { content: Content::new(publication.manifest().clone())?, shards })
    }

    /// The signed manifest, for a line of text.
    #[must_use]
    pub fn manifest(&self) -> String {
        hex::encode(self.content.manifest().signed().encode())
    }

    /// Serve one link until it ends.
    pub async fn serve(
        &self,
        peer: PeerId,
        stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(), Error> {
        let (reader, writer) = stream.split();
        let (mut reader, mut writer) = (MessageReader::new(reader), MessageWriter::new(writer));
        let (mut provider, clock) = (Provider::new(ProviderConfig::default())?, Clock::start());
        provider.handle(clock.now(), provider::Input::LinkUp { link: LINK, peer })?;
        let mut messages = VecDeque::new();
        loop {
            while let Some(output) = provider.poll() {
                match output {
                    provider::Output::Send { message, .. } => {
                        let room = writer.push(&message)?;
                        if !room {
                            let flushed = writer.flush().await?;
                            let input = provider::Input::Flushed { link: LINK, messages: flushed };
                            provider.handle(clock.now(), input)?;
                        }
                    }
                    provider::Output::Store { token, operation } => {
                        let result = self.look_up(&operation);
                        let input = provider::Input::Store { token, result };
                        provider.handle(clock.now(), input)?;
                    }
                    provider::Output::Close { .. } => return Ok(()),
                    _ => {}
                }
            }
            let flushed = writer.flush().await?;
            if flushed > 0 {
                let input = provider::Input::Flushed { link: LINK, messages: flushed };
                provider.handle(clock.now(), input)?;
                continue;
            }
            if !reader.read(&mut messages).await? {
                return Ok(());
            }
            for message in messages.drain(..) {
                provider.handle(clock.now(), provider::Input::Message { link: LINK, message })?;
            }
        }
    }

    fn look_up(&self, operation: &StoreOperation) -> StoreResult {
        let shard = match operation {
            StoreOperation::ReadShard { segment, column, .. } => {
                self.shards.get(&(*segment, *column))
            }
            _ => None,
        };
        match shard {
            Some(shard) => StoreResult::Shard(shard.clone()),
            None => StoreResult::Refused { reason: RefusalReason::NotFound, retry_after_ms: 0 },
        }
    }
}

/// The content of a [`Film::manifest`].
pub fn content(manifest: &str) -> Result<Content, Error> {
    let signed: Signed<pop_wire::Manifest> = Signed::decode(hex::decode(manifest)?.into())?;
    Ok(Content::new(signed.verify()?)?)
}

/// What is done with a segment that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: its shards are verified against the signed manifest.
    Drop,
    /// Decoded and decrypted, on another thread, while the next ones arrive.
    Decrypt,
}

/// Fetch the whole content from one source; returns the bytes of plaintext that it stands for.
pub async fn fetch(
    content: &Content,
    peer: PeerId,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    then: Then,
) -> Result<u64, Error> {
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (MessageReader::new(reader), MessageWriter::new(writer));
    let (mut fetcher, clock) =
        (Fetcher::new(content.clone(), FetcherConfig::default(), [4; 32])?, Clock::start());
    let layout = content.layout();
    let (columns, kind) = (ColumnSet::all(layout.geometry().k()), SourceKind::Masternode);
    fetcher.handle(clock.now(), fetcher::Input::LinkUp { link: LINK, peer, columns, kind })?;
    let want = fetcher::Input::Want {
        segments: 0..layout.segment_count(),
        first_deadline: None,
        segment_duration_ms: 0,
    };
    fetcher.handle(clock.now(), want)?;
    let decoder = Decoder::new(content.clone(), ContentKey::from_bytes(KEY))?;
    let mut decoding = tokio::task::JoinSet::new();
    let (mut segments, mut bytes, mut messages) = (0, 0, VecDeque::new());
    loop {
        while let Some(output) = fetcher.poll() {
            match output {
                fetcher::Output::Send { message, .. } => {
                    writer.push(&message)?;
                }
                fetcher::Output::Segment { segment, shards } if then == Then::Decrypt => {
                    let mut decoder = decoder.clone();
                    decoding.spawn_blocking(move || (segment, decoder.decode(segment, &shards)));
                }
                fetcher::Output::Segment { segment, .. } => {
                    let range = layout.plaintext_range(segment).unwrap_or_default();
                    (segments, bytes) = (segments + 1, bytes + (range.end - range.start));
                    fetcher.handle(clock.now(), fetcher::Input::Release { segment })?;
                }
                fetcher::Output::Close { .. } => return Err("the source was closed".into()),
                _ => {}
            }
        }
        writer.flush().await?;
        if segments == layout.segment_count() {
            return Ok(bytes);
        }
        let tick = Duration::from_millis(100);
        tokio::select! {
            more = reader.read(&mut messages) => if !more? {
                return Err("the source hung up".into());
            },
            Some(decoded) = decoding.join_next() => {
                let (segment, plaintext): (_, Result<Bytes, _>) = decoded?;
                (segments, bytes) = (segments + 1, bytes + u64::try_from(plaintext?.len())?);
                fetcher.handle(clock.now(), fetcher::Input::Release { segment })?;
            }
            () = tokio::time::sleep(tick) => fetcher.handle(clock.now(), fetcher::Input::Tick)?,
        }
        for message in messages.drain(..) {
            fetcher.handle(clock.now(), fetcher::Input::Message { link: LINK, message })?;
        }
    }
}
