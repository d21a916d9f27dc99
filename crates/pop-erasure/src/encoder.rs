//! From plaintext to shards and a signed manifest: [`Encoder`].

mod running;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pop_wire::{Amount, ColumnIndex, Digest, Keypair, Manifest, SegmentIndex, Verified};

use self::running::Running;
use crate::backend::Code;
use crate::error::EncodeError;
use crate::layout::last_shard_bytes;
use crate::limits::{RUNNING_BYTES_MAX, RUNNING_SEGMENTS_MAX};
use crate::merkle::{MerkleTree, segment_leaf, shard_hash};
use crate::segment::{SegmentSeal, seal};
use crate::{ContentKey, Geometry, Layout};

/// Encrypts and encodes a content of any length as its bytes come, in bounded memory.
///
/// Feed it with [`push`](Self::push), or read straight into [`space`](Self::space) and
/// [`advance`](Self::advance). Whenever it takes nothing more, [`poll`](Self::poll) the encoded
/// segments out. After the last byte call [`end`](Self::end), poll the rest and
/// [`finish`](Self::finish).
///
/// With feature `parallel` the threads of the current rayon pool encrypt and encode meanwhile;
/// without it the calling thread does.
///
/// The same key, salt and bytes give the same shards and the same content id. A publisher may
/// thus encode twice: once for the manifest, and once more, with the manifest in hand, to upload
/// without keeping all shards in between.
///
/// Key and salt must come from a good random source and be used for one content only.
#[derive(Debug)]
pub struct Encoder {
    sealing: Arc<Sealing>,
    /// Plaintext bytes of a full segment.
    segment_bytes: usize,
    /// Bytes of all n shards of a full segment.
    encoded_bytes: usize,
    /// Most segments handed to the threads and not polled yet.
    running_max: usize,
    /// Being filled. Before it, one that is full may stay: a segment can't be sealed before it is
    /// known whether it is the last.
    filling: VecDeque<Filling>,
    /// Being encoded, or encoded and to be polled.
    running: VecDeque<Running>,
    /// Segments handed to the threads so far.
    started: u64,
    /// Segments given out: their memory is taken again when the caller has dropped it.
    lent: VecDeque<Bytes>,
    leaves: Vec<Digest>,
    length_bytes: u64,
    ended: bool,
}

/// What every segment's encoding needs; shared by the threads.
#[derive(Debug)]
struct Sealing {
    geometry: Geometry,
    shard_bytes: u32,
    key: ContentKey,
    salt: Digest,
    code: Code,
}

#[derive(Debug)]
struct Filling {
    buffer: BytesMut,
    plaintext_bytes: usize,
}

impl Encoder {
    /// An encoder. `shard_bytes` is a multiple of 64, best [`recommended_shard_bytes`].
    ///
    /// [`recommended_shard_bytes`]: crate::recommended_shard_bytes
    ///
    /// # Errors
    /// `shard_bytes` is outside the limits.
    pub fn new(
        geometry: Geometry,
        shard_bytes: u32,
        key: ContentKey,
        salt: [u8; 32],
    ) -> Result<Self, EncodeError> {
        let layout = Layout::new(geometry, shard_bytes, 0)?;
        let encoded_bytes = usize::from(geometry.n()) * to_usize(shard_bytes);
        let segment_bytes = usize::try_from(layout.segment_bytes())
            .expect("k shards of 256 KiB at most fit any address space");
        let code = Code::new(geometry);
        Ok(Self {
            sealing: Arc::new(Sealing { geometry, shard_bytes, key, salt: Digest(salt), code }),
            segment_bytes,
            encoded_bytes,
            running_max: running_max(encoded_bytes),
            filling: VecDeque::new(),
            running: VecDeque::new(),
            started: 0,
            lent: VecDeque::new(),
            leaves: Vec::new(),
            length_bytes: 0,
            ended: false,
        })
    }

    /// Copy plaintext in. Returns how many bytes were taken; when not all, segments are to be
    /// [`poll`](Self::poll)ed.
    ///
    /// # Errors
    /// After [`end`](Self::end), or when the content gets longer than the format allows.
    pub fn push(&mut self, mut plaintext: &[u8]) -> Result<usize, EncodeError> {
        let offered = plaintext.len();
        while !plaintext.is_empty() {
            if self.ended {
                return Err(EncodeError::AfterEnd { got: plaintext.len() });
            }
            if self.space().is_empty() {
                break;
            }
            // There is more: what is full is not the last. It need not wait for the copy.
            self.start_full();
            let space = self.space();
            let taken = space.len().min(plaintext.len());
            let (now, later) = plaintext.split_at(taken);
            space[..taken].copy_from_slice(now);
            self.advance(taken)?;
            plaintext = later;
        }
        Ok(offered - plaintext.len())
    }

    /// Room for the next plaintext bytes, to read them straight into; then tell
    /// [`advance`](Self::advance) how many there were. Empty when segments are to be
    /// [`poll`](Self::poll)ed, and after [`end`](Self::end). What it holds before is unspecified.
    pub fn space(&mut self) -> &mut [u8] {
        if !self.has_space() {
            return &mut [];
        }
        if self.is_full() {
            let buffer = self.take_buffer();
            self.filling.push_back(Filling { buffer, plaintext_bytes: 0 });
        }
        let segment_bytes = self.segment_bytes;
        match self.filling.back_mut() {
            Some(filling) => &mut filling.buffer[filling.plaintext_bytes..segment_bytes],
            None => &mut [],
        }
    }

    /// The first `written` bytes of [`space`](Self::space) are plaintext now. A segment is
    /// encoded as soon as it is full and one byte more is there.
    ///
    /// # Errors
    /// More than there was room for, or the content gets longer than the format allows.
    pub fn advance(&mut self, written: usize) -> Result<(), EncodeError> {
        let room = self.space().len();
        if written > room {
            return Err(EncodeError::NoRoom { room, written });
        }
        let Some(filling) = self.filling.back_mut() else { return Ok(()) };
        filling.plaintext_bytes += written;
        self.length_bytes =
            self.length_bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Layout::new(self.sealing.geometry, self.sealing.shard_bytes, self.length_bytes)?;
        if written > 0 {
            self.start_full();
        }
        Ok(())
    }

    /// There is no more plaintext. Encodes what is left; an empty content has one empty segment.
    pub fn end(&mut self) {
        if self.ended {
            return;
        }
        if self.filling.back().is_some_and(|filling| filling.plaintext_bytes == 0) {
            self.filling.pop_back();
        }
        if self.filling.is_empty() {
            let buffer = self.take_buffer();
            self.filling.push_back(Filling { buffer, plaintext_bytes: 0 });
        }
        self.ended = true;
        self.start_front(true);
    }

    /// The next encoded segment, in order. Waits for one only if there is nothing else to do: when
    /// there is no more [`space`](Self::space), and after [`end`](Self::end).
    pub fn poll(&mut self) -> Option<EncodedSegment> {
        let wait = !self.has_space();
        let segment = self.running.front_mut()?.poll(wait)?;
        self.running.pop_front();
        self.leaves.push(segment.leaf());
        self.lent.push_back(segment.shards.clone());
        while self.lent.len() > self.running_max {
            self.lent.pop_front();
        }
        Some(segment)
    }

    /// Sign the manifest.
    ///
    /// # Errors
    /// Before [`end`](Self::end) or with segments not polled; or `media` breaks a limit.
    pub fn finish(self, publisher: &Keypair, media: Media) -> Result<Publication, EncodeError> {
        if !self.ended || !self.running.is_empty() {
            return Err(EncodeError::NotDrained);
        }
        let Sealing { geometry, shard_bytes, ref key, salt, .. } = *self.sealing;
        let tree = MerkleTree::new(self.leaves);
        let mut manifest = Manifest::new(
            publisher.peer_id(),
            self.length_bytes,
            shard_bytes,
            (geometry.k(), geometry.n()),
            [tree.root(), salt, key.commitment(&salt)],
        );
        manifest.price = media.price;
        manifest.media_type = media.media_type;
        manifest.duration_ms = media.duration_ms;
        manifest.key_price = media.key_price;
        Ok(Publication { manifest: Verified::sign(manifest, publisher)?, tree })
    }

    /// Plaintext taken so far, in bytes.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Memory this encoder keeps for segments, in bytes: being filled, to be polled, and given
    /// out but remembered for reuse. Never above [`buffered_bytes_max`](Self::buffered_bytes_max),
    /// whatever the content's length. The tree adds 32 bytes a segment.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let lent: usize = self.lent.iter().map(Bytes::len).sum();
        lent + (self.filling.len() + self.running.len()) * self.encoded_bytes
    }

    /// Bound of [`buffered_bytes`](Self::buffered_bytes).
    #[must_use]
    pub fn buffered_bytes_max(&self) -> usize {
        (2 * self.running_max + 2) * self.encoded_bytes
    }

    /// Memory for one segment, taken from what the caller has dropped if possible: fresh pages
    /// cost as much as encrypting into them.
    fn take_buffer(&mut self) -> BytesMut {
        let free = self.lent.iter().position(Bytes::is_unique);
        free.and_then(|position| self.lent.remove(position))
            .and_then(|bytes| bytes.try_into_mut().ok())
            .filter(|buffer| buffer.len() == self.encoded_bytes)
            .unwrap_or_else(|| BytesMut::zeroed(self.encoded_bytes))
    }

    /// A buffer that is begun may be filled; the next one needs that segments are polled.
    fn has_space(&self) -> bool {
        !self.ended && (!self.is_full() || self.running.len() < self.running_max)
    }

    /// Whether the next plaintext byte needs another buffer.
    fn is_full(&self) -> bool {
        let full = |filling: &Filling| filling.plaintext_bytes == self.segment_bytes;
        self.filling.back().is_none_or(full)
    }

    /// A segment is known not to be the last as soon as one byte follows it.
    fn start_full(&mut self) {
        if self.filling.len() > 1 {
            self.start_front(false);
        }
    }

    fn start_front(&mut self, last: bool) {
        let Some(filling) = self.filling.pop_front() else { return };
        let (sealing, segment) = (Arc::clone(&self.sealing), SegmentIndex(self.started));
        self.started += 1;
        self.running.push_back(Running::start(move || sealing.encode(filling, segment, last)));
    }
}

impl Sealing {
    fn encode(&self, filling: Filling, segment: SegmentIndex, last: bool) -> EncodedSegment {
        let Filling { mut buffer, plaintext_bytes } = filling;
        let (k, n) = (usize::from(self.geometry.k()), usize::from(self.geometry.n()));
        let shard_bytes = if last {
            let plaintext_bytes = u64::try_from(plaintext_bytes).unwrap_or(u64::MAX);
            last_shard_bytes(self.geometry, plaintext_bytes)
        } else {
            self.shard_bytes
        };
        let length = to_usize(shard_bytes);
        buffer.truncate(n * length);
        let parameters = SegmentSeal { key: &self.key, salt: &self.salt, segment, last };
        seal(&parameters, &mut buffer[..k * length], plaintext_bytes);
        self.code.encode(&mut buffer, length);
        let tree = MerkleTree::new(buffer.chunks_exact(length).map(shard_hash).collect());
        EncodedSegment { segment, shard_bytes, shards: buffer.freeze(), tree }
    }
}

/// What the manifest says beside what the bytes say. [`Default`]: free of charge, nothing known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Asked per megabit and tier.
    pub price: Amount,
    /// RFC 6838 media type, such as `video/mp4`; empty if unknown.
    pub media_type: String,
    /// Playing time in milliseconds; zero if unknown.
    pub duration_ms: u64,
    /// Asked for the content key, once; zero if it isn't sold.
    pub key_price: Amount,
}

/// The n shards of one segment, slices of one allocation.
#[derive(Clone, Debug)]
pub struct EncodedSegment {
    segment: SegmentIndex,
    shard_bytes: u32,
    shards: Bytes,
    tree: MerkleTree,
}

impl EncodedSegment {
    /// Which segment.
    #[must_use]
    pub fn segment(&self) -> SegmentIndex {
        self.segment
    }

    /// Length of each shard, in bytes.
    #[must_use]
    pub fn shard_bytes(&self) -> u32 {
        self.shard_bytes
    }

    /// The shard of a column; `None` if there is no such column. Copies nothing; drop it for the
    /// encoder to use the memory again.
    #[must_use]
    pub fn shard(&self, column: ColumnIndex) -> Option<Bytes> {
        let length = to_usize(self.shard_bytes);
        let start = column.as_usize() * length;
        (start < self.shards.len()).then(|| self.shards.slice(start..start + length))
    }

    /// The hashes from a column's shard to the segment's root; `None` if there is no such column.
    #[must_use]
    pub fn segment_path(&self, column: ColumnIndex) -> Option<Vec<Digest>> {
        self.tree.path(column.as_usize())
    }

    /// Root over the n shards.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// This segment's leaf in the content's tree.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        segment_leaf(self.segment, self.shard_bytes, &self.root())
    }
}

/// A published content: its manifest, and the tree that leads from segments to its root.
#[derive(Clone, Debug)]
pub struct Publication {
    manifest: Verified<Manifest>,
    tree: MerkleTree,
}

impl Publication {
    /// What the publisher signed; its content id is the content's name.
    #[must_use]
    pub fn manifest(&self) -> &Verified<Manifest> {
        &self.manifest
    }

    /// The hashes from a segment to the content's root; `None` if there is no such segment.
    #[must_use]
    pub fn content_path(&self, segment: SegmentIndex) -> Option<Vec<Digest>> {
        self.tree.path(usize::try_from(segment.0).ok()?)
    }
}

fn to_usize(bytes: u32) -> usize {
    usize::try_from(bytes).expect("a shard is at most 256 KiB long")
}

/// Two segments for each thread, so that none waits while the caller fills the next, within the
/// memory bound.
fn running_max(encoded_bytes: usize) -> usize {
    #[cfg(feature = "parallel")]
    let wanted = 2 * rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    let wanted = 1;
    wanted.min(RUNNING_SEGMENTS_MAX).min(RUNNING_BYTES_MAX / encoded_bytes).max(1)
}
