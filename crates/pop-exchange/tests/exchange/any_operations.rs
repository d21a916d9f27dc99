//! Whatever happens in whatever order: no panic, and every bound holds.

use std::sync::LazyLock;

use bytes::Bytes;
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult, Token};
use pop_exchange::{LinkId, ShardWithProof};
use pop_wire::message::{
    Available, Cancel, Credit, GetHolders, GetHoldings, GetPeers, GetShard, Hello, OpenColumn,
    PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{ColumnSet, Instant, Message, RequestId, SegmentIndex, SegmentRanges, VersionRange};
use proptest::prelude::*;

use crate::film::{Film, column, peer};

static FILM: LazyLock<Film> = LazyLock::new(|| Film::new(2, 4, 1024, 8, 1));

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    LinkUp(u8, u8),
    LinkDown(u8),
    Message(u8, Message),
    Flushed(u8, u8),
    /// The `i`-th open store operation ends: well, or with a refusal.
    Stored(u8, bool),
    /// Fetcher only: answer the `i`-th request honestly, wrongly, or with a refusal.
    Answer(u8, u8),
    Want(u8, u8, Option<u16>),
    Release(u8),
    /// Provider only.
    Announce(u8, u8),
    Allowance(u8, u16),
    Pass(u16),
}

fn message() -> impl Strategy<Value = Message> {
    let shard = |segment: u8, index: u8| {
        let segment = SegmentIndex(u64::from(segment) % FILM.segments());
        FILM.shard(segment, column(u16::from(index) % 4)).unwrap().clone()
    };
    let hello = Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 5_000,
        agent: String::new(),
        masternode: None,
    };
    let id = (0_u64..6).prop_map(RequestId);
    prop_oneof![
        3 => Just(Message::Hello(hello)),
        2 => (1_u64..1 << 30).prop_map(|bytes| Message::Credit(Credit { bytes })),
        6 => (id.clone(), 0_u64..9, 0_u16..5, any::<u32>()).prop_map(
            |(id, segment, index, deadline_ms)| Message::GetShard(GetShard {
                id,
                content: FILM.content.id(),
                segment: SegmentIndex(segment),
                column: column(index),
                deadline_ms,
            })
        ),
        2 => id.clone().prop_map(|id| Message::Cancel(Cancel { id })),
        1 => id.clone().prop_map(|id| Message::GetPeers(GetPeers { id })),
        1 => id.clone().prop_map(|id| {
            Message::GetHoldings(GetHoldings { id, content: FILM.content.id() })
        }),
        2 => (id.clone(), 0_u16..5).prop_map(|(id, index)| {
            let manifest = FILM.content.manifest().signed().clone();
            Message::OpenColumn(OpenColumn { id, manifest, column: column(index) })
        }),
        4 => (id.clone(), 0_u8..9, 0_u8..4).prop_map(move |(id, segment, index)| {
            let ShardWithProof { payload, segment_path, content_path } = shard(segment, index);
            let segment = SegmentIndex(u64::from(segment));
            Message::PutShard(PutShard { id, segment, segment_path, content_path, payload })
        }),
        1 => id.clone().prop_map(|id| Message::SealColumn(SealColumn { id })),
        1 => id.clone().prop_map(|id| {
            Message::GetHolders(GetHolders { id, content: FILM.content.id() })
        }),
        6 => (0_u64..10, 0_u64..10).prop_map(|(from, count)| {
            let segments = SegmentRanges::covering([from..(from + count).min(9)]);
            Message::Available(Available { content: FILM.content.id(), segments })
        }),
        1 => (id, any::<u32>()).prop_map(|(id, retry_after_ms)| {
            Message::Refusal(Refusal { id, reason: RefusalReason::Busy, retry_after_ms })
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u8..5, 0_u8..3).prop_map(|(link, peer)| Step::LinkUp(link, peer)),
        1 => (0_u8..5).prop_map(Step::LinkDown),
        12 => (0_u8..5, message()).prop_map(|(link, message)| Step::Message(link, message)),
        3 => (0_u8..5, 0_u8..4).prop_map(|(link, count)| Step::Flushed(link, count)),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(which, well)| Step::Stored(which, well)),
        12 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Step::Answer(which, how)),
        2 => (0_u8..10, 0_u8..10, any::<Option<u16>>())
            .prop_map(|(from, count, deadline)| Step::Want(from, count, deadline)),
        3 => (0_u8..9).prop_map(Step::Release),
        1 => (0_u8..9, 0_u8..4).prop_map(|(from, count)| Step::Announce(from, count)),
        1 => (0_u8..3, any::<u16>()).prop_map(|(peer, bytes)| Step::Allowance(peer, bytes)),
        3 => any::<u16>().prop_map(Step::Pass),
    ]
}

fn result(operation: &StoreOperation, well: bool) -> Option<StoreResult> {
    let refused = StoreResult::Refused { reason: RefusalReason::Full, retry_after_ms: 0 };
    Some(match operation {
        StoreOperation::LeaveColumn { .. } => return None,
        _ if !well => refused,
        StoreOperation::ReadShard { segment, column, .. } => {
            FILM.shard(*segment, *column).map_or(refused, |s| StoreResult::Shard(s.clone()))
        }
        StoreOperation::ReadHoldings { .. } => StoreResult::Holdings(ColumnSet::all(4)),
        StoreOperation::FindHolders { .. } => {
            StoreResult::Holders { providers: Vec::new(), masternodes: Vec::new() }
        }
        StoreOperation::OpenColumn { .. } => {
            StoreResult::ColumnOpened { next_segment: SegmentIndex(0) }
        }
        StoreOperation::WriteShard { .. } => StoreResult::Written,
        StoreOperation::SealColumn { .. } => StoreResult::ColumnStored,
        _ => refused,
    })
}

fn check_provider(steps: Vec<Step>) {
    let mut config = ProviderConfig::default();
    config.payload_bytes_max = 300 * 1024;
    config.requests_max = 6;
    config.uploads_max = 2;
    config.links_max = 4;
    let mut provider = Provider::new(config).unwrap();
    let mut open: Vec<(Token, StoreOperation)> = Vec::new();
    let mut now = Instant(0);
    for step in steps {
        let link = |link: u8| LinkId(u64::from(link));
        let input = match step {
            Step::LinkUp(at, who) => {
                provider::Input::LinkUp { link: link(at), peer: peer(u64::from(who)) }
            }
            Step::LinkDown(at) => provider::Input::LinkDown { link: link(at) },
            Step::Message(at, message) => provider::Input::Message { link: link(at), message },
            Step::Flushed(at, count) => {
                provider::Input::Flushed { link: link(at), messages: usize::from(count) }
            }
            Step::Stored(which, well) => {
                if open.is_empty() {
                    continue;
                }
                let (token, operation) = open.swap_remove(usize::from(which) % open.len());
                let Some(result) = result(&operation, well) else { continue };
                provider::Input::Store { token, result }
            }
            Step::Allowance(who, bytes) => {
                provider::Input::Allowance { peer: peer(u64::from(who)), bytes: u64::from(bytes) }
            }
            Step::Pass(ms) => {
                now = now.after_ms(u64::from(ms));
                provider::Input::Tick
            }
            Step::Announce(from, count) => {
                let (from, count) = (u64::from(from), u64::from(count));
                let segments = SegmentRanges::covering([from..from + count]);
                provider::Input::Available { content: FILM.content.id(), segments }
            }
            Step::Answer(..) | Step::Want(..) | Step::Release(_) => continue,
        };
        // Misuse by the shell is refused, and changes nothing.
        let _misuse = provider.handle(now, input);
        while let Some(output) = provider.poll() {
            if let provider::Output::Store { token, operation } = output {
                open.push((token, operation));
            }
        }
        assert!(provider.payload_bytes() <= 300 * 1024);
        assert!(provider.queued_requests() <= 6);
        assert!(provider.open_uploads() <= 2);
        assert!(provider.links() <= 4);
    }
}

/// How a request is answered: mostly well.
fn answer(get: &GetShard, how: u8) -> Message {
    let right = FILM.shard(get.segment, get.column).unwrap().clone();
    let ShardWithProof { mut payload, segment_path, content_path } = right;
    let mut id = get.id;
    match how % 16 {
        0 => payload = Bytes::from(vec![0; payload.len()]),
        1 => id = RequestId(id.0 + 1),
        2 => payload = payload.slice(1..),
        3..=5 => {
            let reason = if how < 128 { RefusalReason::NotFound } else { RefusalReason::Busy };
            return Message::Refusal(Refusal { id, reason, retry_after_ms: u32::from(how) });
        }
        _ => {}
    }
    Message::Shard(Shard { id, segment_path, content_path, payload })
}

fn check_fetcher(steps: Vec<Step>) {
    let mut config = FetcherConfig::default();
    config.window_bytes_max = 3 * 2 * 1024;
    config.far_window_ms = 20_000;
    let mut fetcher = Fetcher::new(FILM.content.clone(), config, [1; 32]).unwrap();
    let mut asked: Vec<(LinkId, GetShard)> = Vec::new();
    let mut now = Instant(0);
    for step in steps {
        let link = |link: u8| LinkId(u64::from(link));
        let input = match step {
            Step::LinkUp(at, who) => fetcher::Input::LinkUp {
                link: link(at),
                peer: peer(u64::from(who)),
                columns: ColumnSet::all(u16::from(at) + 1),
                kind: [SourceKind::Viewer, SourceKind::Masternode][usize::from(who) % 2],
            },
            Step::LinkDown(at) => fetcher::Input::LinkDown { link: link(at) },
            Step::Message(at, message) => fetcher::Input::Message { link: link(at), message },
            Step::Answer(which, how) => {
                if asked.is_empty() {
                    continue;
                }
                let (link, get) = asked.swap_remove(usize::from(which) % asked.len());
                fetcher::Input::Message { link, message: answer(&get, how) }
            }
            Step::Want(from, count, deadline) => fetcher::Input::Want {
                segments: u64::from(from)..u64::from(from) + u64::from(count),
                first_deadline: deadline.map(|ms| now.after_ms(u64::from(ms))),
                segment_duration_ms: u64::from(count) << 60,
            },
            Step::Release(segment) => {
                fetcher::Input::Release { segment: SegmentIndex(u64::from(segment)) }
            }
            Step::Pass(ms) => {
                now = now.after_ms(u64::from(ms));
                fetcher::Input::Tick
            }
            Step::Flushed(segment, _) => {
                fetcher::Input::Again { segment: SegmentIndex(u64::from(segment)) }
            }
            Step::Stored(..) | Step::Allowance(..) | Step::Announce(..) => continue,
        };
        let _misuse = fetcher.handle(now, input);
        while let Some(output) = fetcher.poll() {
            match output {
                fetcher::Output::Send { link, message: Message::GetShard(get) } => {
                    asked.push((link, get));
                }
                fetcher::Output::Segment { segment, shards } => {
                    assert_eq!(shards.len(), 2);
                    assert!(shards.iter().all(|shard| shard.segment() == segment));
                }
                _ => {}
            }
            assert!(fetcher.charged_bytes() <= 3 * 2 * 1024, "{}", fetcher.charged_bytes());
        }
    }
}

proptest! {
    #[test]
    fn a_provider_keeps_its_bounds(steps in prop::collection::vec(step(), 0..120)) {
        check_provider(steps);
    }

    #[test]
    fn a_fetcher_keeps_its_bounds(steps in prop::collection::vec(step(), 0..120)) {
        check_fetcher(steps);
    }
}
