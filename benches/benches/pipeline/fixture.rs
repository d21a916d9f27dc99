//! A published content, and the whole ways: publish and play.

use std::hint::black_box;
use std::iter;

use bytes::Bytes;
use pop_erasure::{
    Content, ContentKey, Decoder, EncodedSegment, Encoder, Geometry, Media, Publication, ShardSet,
};
use pop_wire::{ColumnIndex, Digest, Keypair, SegmentIndex};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::pipeline::stages::hash_given;

pub(crate) const KEY: [u8; 32] = [1; 32];
pub(crate) const SALT: [u8; 32] = [2; 32];
/// A round of a few milliseconds would measure on which core the kernel wakes the second thread, not
/// what two threads do: on two cores, 24 segments gave either 1.0 or 1.8 times one thread's speed.
const SEGMENTS: usize = 96;

/// A shard as it comes from a holder.
pub(crate) type Arrived = (ColumnIndex, Bytes, Vec<Digest>, Vec<Digest>);

pub(crate) struct Fixture {
    pub(crate) content: Content,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) data: Vec<Vec<Arrived>>,
    /// The last k columns: as much parity as can be.
    pub(crate) worst: Vec<Vec<Arrived>>,
    decoder: Decoder,
    pools: [ThreadPool; 2],
}

impl Fixture {
    pub(crate) fn new(k: u16, n: u16, shard_bytes: u32) -> Self {
        let geometry = Geometry::danger_without_promise(k, n).expect("a possible shape");
        let length = usize::from(k) * usize::try_from(shard_bytes).expect("small") - 16;
        let plaintext: Vec<u8> = (0..=250).cycle().take(SEGMENTS * length).collect();
        let (encoded, publication) = encode(geometry, shard_bytes, &plaintext, true);
        let content = Content::new(publication.manifest().clone()).expect("our own");
        let arrived = |skip| -> Vec<Vec<Arrived>> {
            let shard = |segment: &EncodedSegment, column| -> Option<Arrived> {
                // A copy, as off the network: not side by side in memory.
                let payload = Bytes::copy_from_slice(&segment.shard(column)?);
                let on = publication.content_path(segment.segment())?;
                Some((column, payload, segment.segment_path(column)?, on))
            };
            let columns = || content.layout().columns().skip(skip).take(usize::from(k));
            encoded
                .iter()
                .map(|segment| columns().filter_map(|column| shard(segment, column)).collect())
                .collect()
        };
        let (data, worst) = (arrived(0), arrived(usize::from(n - k)));
        let key = ContentKey::from_bytes(KEY);
        let decoder = Decoder::new(content.clone(), key).expect("its key");
        let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = [1, 2].map(|threads| pool(threads).expect("threads"));
        Self { content, plaintext, data, worst, decoder, pools }
    }

    pub(crate) fn n(&self) -> usize {
        self.content.layout().geometry().n().into()
    }

    pub(crate) fn name(&self) -> String {
        format!("{}, {} bytes each", self.content.layout().geometry(), self.shard_bytes())
    }

    pub(crate) fn shard_bytes(&self) -> usize {
        usize::try_from(self.content.manifest().shard_bytes).expect("small")
    }

    pub(crate) fn plaintext_bytes(&self) -> u64 {
        self.content.layout().length_bytes()
    }

    pub(crate) fn megabytes(&self) -> f64 {
        u32::try_from(self.plaintext_bytes()).map_or(f64::NAN, f64::from) / 1e6
    }

    pub(crate) fn one_thread(&self, operation: impl FnOnce() + Send) {
        self.pools[0].install(operation);
    }

    pub(crate) fn two_threads(&self, operation: impl FnOnce() + Send) {
        self.pools[1].install(operation);
    }

    /// Copy in, encrypt, encode, hash, sign.
    pub(crate) fn publish(&self) {
        let geometry = self.content.layout().geometry();
        let shard_bytes = self.content.manifest().shard_bytes;
        black_box(encode(geometry, shard_bytes, &self.plaintext, false));
    }

    /// Nothing but the hash of every data shard.
    pub(crate) fn hash(&self) {
        self.data.par_iter().for_each(|shards| hash_given(std::slice::from_ref(shards)));
    }

    /// Check every shard, decode, decrypt.
    pub(crate) fn play(&self, worst: bool) {
        let arrived = if worst { &self.worst } else { &self.data };
        arrived.par_iter().enumerate().for_each_init(
            || self.decoder.clone(),
            |decoder, (index, shards)| {
                let segment = SegmentIndex(u64::try_from(index).expect("few"));
                let mut set = ShardSet::new(&self.content, segment);
                for (column, payload, up, on) in shards {
                    set.insert(*column, payload.clone(), up.clone(), on.clone()).expect("honest");
                }
                black_box(decoder.decode(segment, &set.into_shards()).expect("honest"));
            },
        );
    }
}

fn encode(
    geometry: Geometry,
    shard_bytes: u32,
    mut plaintext: &[u8],
    keep: bool,
) -> (Vec<EncodedSegment>, Publication) {
    let key = ContentKey::from_bytes(KEY);
    let mut encoder = Encoder::new(geometry, shard_bytes, key, SALT).expect("a possible shape");
    let mut kept = Vec::new();
    while !plaintext.is_empty() {
        plaintext = &plaintext[encoder.push(plaintext).expect("not at its end")..];
        kept.extend(iter::from_fn(|| encoder.poll()).filter(|_| keep));
    }
    encoder.end();
    kept.extend(iter::from_fn(|| encoder.poll()).filter(|_| keep));
    let publisher = Keypair::from_secret_bytes(&[3; 32]).expect("a key");
    (kept, encoder.finish(&publisher, Media::default()).expect("polled to its end"))
}
