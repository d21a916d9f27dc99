//! A publisher that signs shards which are no codeword, and puts them on honest holders.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use futures::AsyncReadExt as _;
use pop_erasure::merkle::{MerkleTree, segment_leaf, shard_hash};
use pop_erasure::{Content, ContentKey, ContentLink, EncodedSegment, Encoder, Geometry};
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_exchange::uploader::{Event, Input, Output, Uploader, UploaderConfig};
use pop_exchange::{LinkId, ShardWithProof};
use pop_node::clock::Clock;
use pop_wire::{ColumnIndex, ColumnSet, Keypair, Manifest, SegmentIndex, Verified};

use super::stranger::Stranger;

/// Bytes of a shard in the contents made here.
const SHARD_BYTES: u32 = 1024;

/// A content with every shard and proof at hand.
pub(crate) struct Inconsistent {
    pub(crate) content: Content,
    pub(crate) link: ContentLink,
    shards: BTreeMap<(SegmentIndex, ColumnIndex), ShardWithProof>,
}

impl Inconsistent {
    /// Encode `plaintext` as an honest publisher would, then change one bit of the first shard of
    /// segment `forged` and commit to that.
    pub(crate) fn new(plaintext: &[u8], geometry: Geometry, forged: SegmentIndex) -> Self {
        let (key, salt) = (ContentKey::from_bytes([7; 32]), [9; 32]);
        let segments = encode(plaintext, geometry, &key, salt);
        let shards: Vec<Vec<Bytes>> = segments
            .iter()
            .map(|segment| {
                let columns = ColumnIndex::first(geometry.n());
                let mut shards: Vec<Bytes> =
                    columns.map(|column| segment.shard(column).unwrap()).collect();
                if segment.segment() == forged {
                    let mut first = shards[0].to_vec();
                    first[0] ^= 1;
                    shards[0] = first.into();
                }
                shards
            })
            .collect();
        let trees: Vec<MerkleTree> = shards
            .iter()
            .map(|of| MerkleTree::new(of.iter().map(|shard| shard_hash(shard)).collect()))
            .collect();
        let leaves = segments.iter().zip(&trees);
        let leaves =
            leaves.map(|(it, tree)| segment_leaf(it.segment(), it.shard_bytes(), &tree.root()));
        let whole = MerkleTree::new(leaves.collect());
        let publisher = Keypair::from_secret_bytes(&[3; 32]).unwrap();
        let salt = pop_wire::Digest(salt);
        let manifest = Manifest::new(
            publisher.peer_id(),
            u64::try_from(plaintext.len()).unwrap(),
            SHARD_BYTES,
            (geometry.k(), geometry.n()),
            [whole.root(), salt, key.commitment(&salt)],
        );
        let manifest = Verified::sign(manifest, &publisher).unwrap();
        let content = Content::new(manifest).unwrap();
        let mut proven = BTreeMap::new();
        for (index, (of, tree)) in shards.into_iter().zip(&trees).enumerate() {
            for (column, payload) in ColumnIndex::first(geometry.n()).zip(of) {
                let segment_path = tree.path(column.as_usize()).unwrap();
                let content_path = whole.path(index).unwrap();
                let shard = ShardWithProof { payload, segment_path, content_path };
                let segment = SegmentIndex(u64::try_from(index).unwrap());
                proven.insert((segment, column), shard);
            }
        }
        let link = ContentLink { content: content.id(), key: Some(key) };
        Self { content, link, shards: proven }
    }

    /// Put one column on each of `holders`.
    pub(crate) async fn upload(&self, holders: &[String]) {
        let stranger = Stranger::new();
        for (column, holder) in ColumnIndex::first(u16::MAX).zip(holders) {
            self.upload_column(&stranger, holder, column).await;
        }
    }

    async fn upload_column(&self, stranger: &Stranger, holder: &str, column: ColumnIndex) {
        let (read_half, write_half) = stranger.open(holder).await.split();
        let mut reader = MessageReader::new(read_half);
        let mut writer = MessageWriter::new(write_half);
        let columns: ColumnSet = [column].into_iter().collect();
        let config = UploaderConfig::default();
        let mut machine = Uploader::new(self.content.clone(), columns, config).unwrap();
        let clock = Clock::start();
        let (link, peer) = (LinkId(0), self.content.manifest().publisher);
        machine.handle(clock.now(), Input::LinkUp { link, peer }).unwrap();
        let mut messages = VecDeque::new();
        loop {
            while let Some(output) = machine.poll() {
                match output {
                    Output::Send { message, .. } => drop(writer.push(&message).unwrap()),
                    Output::NeedShard { column, segment } => {
                        let shard = self.shards[&(segment, column)].clone();
                        let input = Input::Shard { column, segment, shard };
                        machine.handle(clock.now(), input).unwrap();
                    }
                    Output::Event(Event::ColumnFailed { failure, .. }) => panic!("{failure}"),
                    _ => {}
                }
            }
            writer.flush().await.unwrap();
            if machine.is_finished() {
                return;
            }
            assert!(reader.read(&mut messages).await.unwrap(), "the holder hung up");
            for message in messages.drain(..) {
                machine.handle(clock.now(), Input::Message { link, message }).unwrap();
            }
        }
    }
}

fn encode(
    plaintext: &[u8],
    geometry: Geometry,
    key: &ContentKey,
    salt: [u8; 32],
) -> Vec<EncodedSegment> {
    let mut encoder = Encoder::new(geometry, SHARD_BYTES, key.clone(), salt).unwrap();
    let mut segments = Vec::new();
    let mut rest = plaintext;
    while !rest.is_empty() {
        rest = &rest[encoder.push(rest).unwrap()..];
        segments.extend(std::iter::from_fn(|| encoder.poll()));
    }
    encoder.end();
    segments.extend(std::iter::from_fn(|| encoder.poll()));
    segments
}
