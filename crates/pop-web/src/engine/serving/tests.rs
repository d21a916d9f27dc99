//! What other viewers can take of memory and time, whatever they ask for.

use pop_erasure::{ContentKey, Encoder, Geometry, Media};
use pop_wire::limits::SHARD_BYTES_MAX;
use pop_wire::message::{Credit, GetShard, Hello};
use pop_wire::{Keypair, RequestId, VersionRange};

use super::*;
use crate::engine::EngineConfig;

const SHARD_BYTES: u64 = 64 * 1024;

/// Segments of two shards and a parity.
const SEGMENTS: u64 = 20;

/// A viewer that has a whole content in memory, and serves it.
struct Shop {
    hub: Hub,
    serving: Serving,
    content: Content,
    next_id: u64,
}

impl Shop {
    fn new() -> Self {
        let geometry = Geometry::danger_without_promise(2, 3).unwrap();
        let key = ContentKey::from_bytes([7; 32]);
        let shard_bytes = u32::try_from(SHARD_BYTES).unwrap();
        let mut encoder = Encoder::new(geometry, shard_bytes, key, [9; 32]).unwrap();
        let bytes = usize::try_from(SEGMENTS * (2 * SHARD_BYTES - 16)).unwrap();
        let plaintext = vec![5; bytes];
        let (mut rest, mut segments) = (&plaintext[..], Vec::new());
        while !rest.is_empty() {
            let taken = encoder.push(rest).unwrap();
            rest = &rest[taken..];
            segments.extend(core::iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        segments.extend(core::iter::from_fn(|| encoder.poll()));
        let publisher = keypair(77);
        let publication = encoder.finish(&publisher, Media::default()).unwrap();
        let content = Content::new(publication.manifest().clone()).unwrap();
        let config = EngineConfig::new([1; 32], [2; 32]);
        let mut hub = Hub::new(config, keypair(1));
        for (index, encoded) in (0..).zip(&segments) {
            let segment = SegmentIndex(index);
            let path = publication.content_path(segment).unwrap();
            let shards = [0, 1].map(|column| {
                let column = ColumnIndex::new(column).unwrap();
                let (payload, own) =
                    (encoded.shard(column).unwrap(), encoded.segment_path(column).unwrap());
                content.verify_shard(segment, column, payload, own, path.clone()).unwrap()
            });
            hub.keep(CacheKey { content: content.id(), segment: index }, &shards);
        }
        let mut serving = Serving::new(false).unwrap();
        serving.open(&mut hub, &content);
        Self { hub, serving, content, next_id: 0 }
    }

    /// A viewer comes over a link, and may be sent so much.
    fn greet(&mut self, link: u64, peer: u16, credit_bytes: u64) {
        let link = LinkId(link);
        self.serving.link_up(&mut self.hub, link, keypair(peer).peer_id());
        let hello = Hello {
            versions: VersionRange::SUPPORTED,
            credit_bytes,
            agent: String::new(),
            masternode: None,
        };
        self.serving.message(&self.hub, link, Message::Hello(hello));
    }

    fn ask(&mut self, link: u64, count: u64) {
        for at in 0..count {
            self.next_id += 1;
            let get = GetShard {
                id: RequestId(self.next_id),
                content: self.content.id(),
                segment: SegmentIndex(at / 2 % SEGMENTS),
                column: ColumnIndex::new(u16::try_from(at % 2).unwrap()).unwrap(),
                deadline_ms: 0,
            };
            self.serving.message(&self.hub, LinkId(link), Message::GetShard(get));
        }
    }

    fn closed(&mut self) -> Vec<u64> {
        let closed = self.serving.settle(&mut self.hub);
        closed.into_iter().map(|link| link.0).collect()
    }

    fn sent_bytes(&mut self, link: u64) -> u64 {
        assert!(self.closed().is_empty());
        self.serving.sent_bytes(LinkId(link))
    }
}

fn keypair(number: u16) -> Keypair {
    let mut secret = [3; 32];
    secret[30..].copy_from_slice(&number.to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap()
}

#[test]
fn links_beyond_the_limits_are_closed_and_those_that_are_there_stay() {
    let mut shop = Shop::new();
    let (max, of_one) = (SERVE_LINKS_MAX as u64, SERVE_LINKS_PER_PEER_MAX as u64);
    (0..=of_one).for_each(|link| shop.greet(link, 1, 0));
    assert_eq!(shop.closed(), [of_one], "another one of the same viewer");
    // Others come until it is full, and one more.
    (of_one + 1..=max + 1).for_each(|link| shop.greet(link, u16::try_from(link).unwrap(), 0));
    assert_eq!(shop.closed(), [max + 1]);
    shop.serving.link_down(&mut shop.hub, LinkId(0));
    shop.greet(99, 99, u64::from(u32::MAX));
    shop.ask(99, 1);
    assert_eq!(shop.sent_bytes(99), SHARD_BYTES, "there is room again");
}

#[test]
fn who_does_not_read_has_one_link_s_part_of_memory_and_all_together_theirs() {
    let mut shop = Shop::new();
    let part = SERVE_PAYLOAD_PER_LINK_BYTES_MAX;
    shop.greet(0, 0, 1 << 30);
    shop.ask(0, 2 * SEGMENTS);
    assert!(2 * SEGMENTS * SHARD_BYTES > part);
    // What the store may give at most is charged before it is asked.
    let largest = u64::try_from(SHARD_BYTES_MAX).unwrap();
    let sent_bytes = shop.sent_bytes(0);
    assert!(sent_bytes <= part && sent_bytes > part - largest, "{sent_bytes}");
    for link in 1..16 {
        shop.greet(link, u16::try_from(link).unwrap(), 1 << 30);
        shop.ask(link, 2 * SEGMENTS);
    }
    assert!(shop.closed().is_empty());
    let up_bytes = shop.serving.up_bytes();
    assert!(up_bytes <= SERVE_PAYLOAD_BYTES_MAX, "{up_bytes}");
    let payload_bytes = shop.serving.provider.payload_bytes();
    assert!(payload_bytes > SERVE_PAYLOAD_BYTES_MAX - 16 * largest, "{payload_bytes}");
    // All read on, and get more.
    for link in 0..16 {
        let sent = shop.sent_bytes(link) / SHARD_BYTES;
        // The hello, what it was told of the content, and shards.
        let messages = usize::try_from(sent).unwrap() + 2;
        shop.serving.flushed(&shop.hub, LinkId(link), messages);
    }
    assert!(shop.closed().is_empty() && shop.serving.up_bytes() > up_bytes);
}

#[test]
fn requests_beyond_the_limit_are_refused_and_those_before_are_answered() {
    let mut shop = Shop::new();
    let of_link = 256;
    let max = SERVE_REQUESTS_MAX as u64;
    let links = max / of_link;
    for link in 0..=links {
        shop.greet(link, u16::try_from(link).unwrap(), 0);
        shop.ask(link, of_link);
    }
    assert!(shop.closed().is_empty());
    assert_eq!(shop.serving.provider.queued_requests(), SERVE_REQUESTS_MAX);
    assert_eq!(shop.serving.up_bytes(), 0, "nobody granted credit");
    shop.serving.message(&shop.hub, LinkId(0), Message::Credit(Credit { bytes: 4 * SHARD_BYTES }));
    assert_eq!(shop.sent_bytes(0), 4 * SHARD_BYTES);
    // Whoever was refused asks again.
    shop.ask(links, 4);
    assert_eq!(shop.serving.provider.queued_requests(), SERVE_REQUESTS_MAX);
}
