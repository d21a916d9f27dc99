use std::iter;

use pop_erasure::{ContentKey, Encoder, Geometry, Media};
use pop_wire::ContentId;
use rayon::ThreadPoolBuilder;

use crate::support::{Film, KEY, SALT, column, publisher};

const SHAPE: (u16, u16) = (3, 5);
const LENGTH: usize = 20_000;

fn encoder() -> Encoder {
    let geometry = Geometry::danger_without_promise(SHAPE.0, SHAPE.1).unwrap();
    Encoder::new(geometry, 64, ContentKey::from_bytes(KEY), SALT).unwrap()
}

/// Encode, polling `polls` times at most whenever the encoder takes no more.
fn publish(plaintext: &[u8], polls: usize) -> ContentId {
    let (mut encoder, mut rest, mut segment) = (encoder(), plaintext, 0);
    let mut count = |polled: Option<pop_erasure::EncodedSegment>| {
        assert!(polled.as_ref().is_none_or(|it| it.segment().0 == segment), "in order");
        segment += u64::from(polled.is_some());
        polled.is_some()
    };
    while !rest.is_empty() {
        let taken = encoder.push(rest).unwrap();
        rest = &rest[taken..];
        let polled = iter::from_fn(|| count(encoder.poll()).then_some(())).take(polls).count();
        assert!(polled > 0 || rest.is_empty(), "whoever polls gets on");
    }
    encoder.end();
    while count(encoder.poll()) {}
    encoder.finish(&publisher(), Media::default()).unwrap().manifest().content_id()
}

#[test]
fn any_number_of_threads_makes_the_same_content() {
    let film = Film::new(SHAPE, 64, LENGTH);
    for polls in [1, 2, usize::MAX] {
        for threads in [1, 2, 3, 40] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let publish = || publish(&film.plaintext, polls);
            assert_eq!(pool.install(publish), film.content.id(), "{threads} threads");
        }
        // The caller is none of the pool's threads.
        assert_eq!(publish(&film.plaintext, polls), film.content.id());
    }
}

#[test]
fn what_is_taken_before_a_poll_depends_on_no_clock() {
    let film = Film::new(SHAPE, 64, LENGTH);
    let segment_bytes = usize::try_from(film.content.layout().segment_bytes()).unwrap();
    for threads in [1, 2, 3] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut encoder = encoder();
            // Two under way for each thread, and one that may be the last.
            let taken = encoder.push(&film.plaintext).unwrap();
            assert_eq!(taken, (2 * threads + 1) * segment_bytes);
            assert!(encoder.space().is_empty());
            assert_eq!(encoder.push(&film.plaintext[taken..]).unwrap(), 0);
            assert_eq!(encoder.poll().unwrap().segment().0, 0, "waited for");
            assert_eq!(encoder.space().len(), segment_bytes);
        });
    }
}

#[test]
fn threads_of_one_pool_may_publish_side_by_side() {
    let film = Film::new(SHAPE, 64, LENGTH);
    let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let publish = |_| assert_eq!(publish(&film.plaintext, 1), film.content.id());
    pool.scope(|scope| (0..8).for_each(|number| scope.spawn(move |_| publish(number))));
}

#[test]
fn an_encoder_may_be_dropped_with_segments_under_way() {
    let film = Film::new(SHAPE, 64, LENGTH);
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let kept = pool.install(|| {
            let mut encoder = encoder();
            encoder.push(&film.plaintext).unwrap();
            encoder.poll().unwrap()
        });
        assert_eq!(kept.shard(column(4)), film.encoded[0].shard(column(4)));
    }
}
