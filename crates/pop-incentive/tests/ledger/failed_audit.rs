//! A holder that signs a wrong answer to an audit loses collateral; one that answers rightly, or
//! not at all, can't be made to, whatever is put together from what it and others signed.

use bytes::Bytes;
use pop_erasure::{ContentKey, Encoder, Geometry, Media};
use pop_incentive::audit::{AuditChallenge, FailedAuditEvidence, SignedAnswer};
use pop_incentive::evidence::EvidenceError;
use pop_incentive::ledger::{
    Account, Evidence, LedgerState, Operation, Receipt, Refusal, SignedOperation,
};
use pop_incentive::limits::AUDIT_WINDOW_S;
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{
    ColumnIndex, ColumnSet, Digest, Keypair, Manifest, ProviderRecord, SegmentIndex, Signed,
    UnixTime, Verified, WalletAddress, merkle,
};

use crate::support::*;

const WEEK_S: u64 = 7 * DAY_S;
const NOW: UnixTime = UnixTime(10 * WEEK_S);

/// A content of two segments and six columns: each shard, with its way to the signed root.
struct Film {
    manifest: Verified<Manifest>,
    shards: Vec<Vec<Bytes>>,
    segments: Vec<merkle::MerkleTree>,
    content: merkle::MerkleTree,
}

impl Film {
    fn new(salt: u8) -> Self {
        let shards: Vec<Vec<Bytes>> = (0..2_u8)
            .map(|segment| {
                (0..6).map(|column| Bytes::from(vec![salt ^ (segment * 8 + column); 64])).collect()
            })
            .collect();
        let tree = |shards: &Vec<Bytes>| {
            let leaves = shards.iter().map(|shard| merkle::shard_hash(shard)).collect();
            merkle::MerkleTree::new(leaves)
        };
        let segments: Vec<_> = shards.iter().map(tree).collect();
        let leaves = (0..)
            .zip(&segments)
            .map(|(index, tree)| merkle::segment_leaf(SegmentIndex(index), 64, &tree.root()));
        let content = merkle::MerkleTree::new(leaves.collect());
        let digests = [content.root(), Digest([salt; 32]), Digest([2; 32])];
        let manifest = Manifest::new(key(10).peer_id(), 300, 64, (3, 6), digests);
        let manifest = Verified::sign(manifest, &key(10)).unwrap();
        Self { manifest, shards, segments, content }
    }

    fn challenge(&self, segment: u64, column: u16) -> AuditChallenge {
        AuditChallenge {
            content: self.manifest.content_id(),
            segment: SegmentIndex(segment),
            column: ColumnIndex::new(column).unwrap(),
            nonce: [7; 32],
            asked_at: NOW,
        }
    }

    fn shard(&self, challenge: &AuditChallenge) -> Bytes {
        let segment = usize::try_from(challenge.segment.0).unwrap();
        self.shards[segment][challenge.column.as_usize()].clone()
    }

    fn evidence(
        &self,
        record: &Signed<ProviderRecord>,
        answer: SignedAnswer,
    ) -> FailedAuditEvidence {
        let challenge = answer.answer.challenge;
        let segment = usize::try_from(challenge.segment.0).unwrap();
        FailedAuditEvidence {
            manifest: self.manifest.signed().clone(),
            record: record.clone(),
            answer,
            shard: self.shard(&challenge),
            segment_path: self.segments[segment].path(challenge.column.as_usize()).unwrap(),
            content_path: self.content.path(segment).unwrap(),
        }
    }
}

/// "I hold columns 1 and 4", for two days around now.
fn record(film: &Film, holder: &Keypair) -> ProviderRecord {
    let mut columns = ColumnSet::new();
    columns.insert(ColumnIndex::new(1).unwrap());
    columns.insert(ColumnIndex::new(4).unwrap());
    ProviderRecord {
        peer: holder.peer_id(),
        content: film.manifest.content_id(),
        columns,
        addresses: vec![],
        issued_at: UnixTime(NOW.0 - DAY_S),
        expires_at: UnixTime(NOW.0 + DAY_S),
    }
}

fn signed(record: ProviderRecord, holder: &Keypair) -> Signed<ProviderRecord> {
    Verified::sign(record, holder).unwrap().signed().clone()
}

fn owner() -> Keypair {
    key(11)
}

fn holder() -> Keypair {
    key(12)
}

/// A ledger on which the holder is a masternode with a collateral of 50.
fn registered() -> LedgerState {
    let mut state = funded(&[(&owner(), 100)]);
    let operator = holder().peer_id();
    let register = Operation::RegisterCollateral { operator, amount: units(50) };
    act(&mut state, 0, &owner(), register).unwrap();
    state
}

/// A wrong answer by whoever runs with `holder`.
pub(crate) fn wrong_answer(holder: &Keypair) -> Evidence {
    let film = Film::new(0);
    let record = signed(record(&film, holder), holder);
    let answer = film.challenge(0, 1).answer(&domain(), holder, &[0xee; 64]);
    Evidence::FailedAudit(Box::new(film.evidence(&record, answer)))
}

fn slash(state: &mut LedgerState, evidence: FailedAuditEvidence) -> Result<Receipt, Refusal> {
    let evidence = Evidence::FailedAudit(Box::new(evidence));
    let (owner, operator) = (wallet(&owner()), holder().peer_id());
    act(state, NOW.0, &key(13), Operation::Slash { owner, operator, evidence })
}

fn collateral(state: &LedgerState) -> u128 {
    let (owner, operator) = (wallet(&owner()), holder().peer_id());
    state.balance(Account::Collateral { owner, operator }).base_units()
}

/// The evidence proves nothing, and the ledger knows it.
fn refused(evidence: &FailedAuditEvidence, because: &EvidenceError) {
    assert_eq!(evidence.verify(&domain()).as_ref(), Err(because));
    let mut state = registered();
    assert_eq!(slash(&mut state, evidence.clone()), Err(Refusal::Unproven));
    assert_eq!(collateral(&state), 50);
}

#[test]
fn a_wrong_answer_to_an_audit_costs_collateral_once_an_epoch() {
    let (film, mut state) = (Film::new(0), registered());
    let record = signed(record(&film, &holder()), &holder());
    let guess = |challenge: &AuditChallenge| challenge.answer(&domain(), &holder(), &[0xee; 64]);
    for (segment, column) in [(0, 1), (1, 4)] {
        let answer = guess(&film.challenge(segment, column));
        let evidence = film.evidence(&record, answer);
        assert_eq!(evidence.verify(&domain()), Ok(holder().peer_id()));
        let slashed = slash(&mut state, evidence);
        // The second wrong answer of a week is part of the same wrong.
        let once = if segment == 0 { None } else { Some(Refusal::Exists { what: "offence" }) };
        assert_eq!(slashed.err(), once);
        assert_eq!(collateral(&state), 40);
    }
    let next = UnixTime(NOW.0 + WEEK_S);
    let mut later = self::record(&film, &holder());
    (later.issued_at, later.expires_at) = (next, UnixTime(next.0 + DAY_S));
    let challenge = AuditChallenge { asked_at: next, ..film.challenge(0, 1) };
    slash(&mut state, film.evidence(&signed(later, &holder()), guess(&challenge))).unwrap();
    assert_eq!(collateral(&state), 30);
    assert_eq!(state.record(wallet(&holder())).slashes, 2);
    assert_eq!(held(&state, &key(13)), 2, "a tenth to who proved it");
}

#[test]
fn evidence_is_a_file_that_reads_back_and_nothing_may_follow_it() {
    let evidence = wrong_answer(&holder());
    let mut bytes = evidence.encode();
    assert_eq!(bytes[0], 4);
    assert_eq!(Evidence::decode(&bytes), Ok(evidence));
    assert!(Evidence::decode(&bytes[..bytes.len() - 1]).is_err());
    bytes.push(0);
    assert!(Evidence::decode(&bytes).is_err());
}

#[test]
fn a_right_answer_is_no_evidence_whatever_shard_is_shown_with_it() {
    let film = Film::new(0);
    let record = signed(record(&film, &holder()), &holder());
    let challenge = film.challenge(1, 4);
    let answer = challenge.answer(&domain(), &holder(), &film.shard(&challenge));
    let honest = film.evidence(&record, answer);
    refused(&honest, &EvidenceError::Right);
    let (segment, column) = (challenge.segment, challenge.column);
    let other = EvidenceError::Shard { segment, column };
    refused(&FailedAuditEvidence { shard: vec![9; 64].into(), ..honest.clone() }, &other);
    refused(&FailedAuditEvidence { shard: Bytes::new(), ..honest.clone() }, &other);
    refused(&FailedAuditEvidence { shard: vec![9; 1 << 18].into(), ..honest.clone() }, &other);
    for (segment, column) in (0..2).flat_map(|segment| (0..6).map(move |column| (segment, column)))
    {
        // Another shard of the same content, with its own, true paths.
        let elsewhere = film.challenge(segment, column);
        let there = elsewhere.answer(&domain(), &holder(), &[]);
        let there = film.evidence(&record, there);
        if elsewhere != challenge {
            refused(&FailedAuditEvidence { answer, ..there }, &other);
        }
    }
    // An inner node of the tree is no leaf.
    let mut short = honest.clone();
    short.segment_path.pop();
    refused(&short, &other);
    let mut long = honest;
    long.content_path.push(Digest([0; 32]));
    refused(&long, &other);
}

#[test]
fn forged_failed_audits_against_an_honest_holder_prove_nothing() {
    let (film, other_film) = (Film::new(0), Film::new(32));
    let mine = signed(record(&film, &holder()), &holder());
    let challenge = film.challenge(0, 1);
    let right = challenge.answer(&domain(), &holder(), &film.shard(&challenge));
    let forger = key(14);

    // An answer that somebody else signed, in its own name and in the holder's.
    let guess = challenge.answer(&domain(), &forger, &[0xee; 64]);
    refused(&film.evidence(&mine, guess), &EvidenceError::OtherHolder);
    let mut named = guess;
    named.answer.holder = wallet(&holder());
    let unsigned = film.evidence(&mine, named).verify(&domain());
    assert!(matches!(unsigned, Err(EvidenceError::Signature(_))), "{unsigned:?}");
    assert_eq!(slash(&mut registered(), film.evidence(&mine, named)), Err(Refusal::Unproven));

    // The forger's own wrong answer proves the forger's wrong, not the holder's.
    let theirs = signed(record(&film, &forger), &forger);
    let own = film.evidence(&theirs, guess);
    assert_eq!(own.verify(&domain()), Ok(forger.peer_id()));
    assert_eq!(slash(&mut registered(), own), Err(Refusal::Unproven));
    refused(&film.evidence(&theirs, right), &EvidenceError::OtherHolder);

    // The holder's right answer with anything of it changed isn't the holder's.
    let changes: [fn(&mut SignedAnswer); 5] = [
        |answer| answer.answer.challenge.nonce[0] ^= 1,
        |answer| answer.answer.digest.0[0] ^= 1,
        |answer| answer.answer.challenge.segment = SegmentIndex(1),
        |answer| answer.answer.challenge.column = ColumnIndex::new(4).unwrap(),
        |answer| answer.answer.challenge.asked_at = UnixTime(NOW.0 + 1),
    ];
    for change in changes {
        let mut answer = right;
        change(&mut answer);
        let evidence = film.evidence(&mine, answer);
        let got = evidence.verify(&domain());
        let right = got == Err(EvidenceError::Right);
        assert!(right || matches!(got, Err(EvidenceError::Signature(_))), "{got:?}");
        assert_eq!(slash(&mut registered(), evidence), Err(Refusal::Unproven));
    }

    // Words for another ledger, and an answer about another content.
    let elsewhere = LedgerDomain::new(1, WalletAddress([1; 20]));
    let foreign = challenge.answer(&elsewhere, &holder(), &[0xee; 64]);
    let got = film.evidence(&mine, foreign).verify(&domain());
    assert!(matches!(got, Err(EvidenceError::Signature(_))), "{got:?}");
    let swapped = FailedAuditEvidence {
        manifest: other_film.manifest.signed().clone(),
        ..film.evidence(&mine, right)
    };
    refused(&swapped, &EvidenceError::OtherContent);
    let others = signed(record(&other_film, &holder()), &holder());
    refused(&film.evidence(&others, right), &EvidenceError::OtherContent);
}

#[test]
fn a_holder_that_did_not_claim_the_column_at_that_time_is_not_slashed() {
    let film = Film::new(0);
    let guess = |challenge: AuditChallenge| challenge.answer(&domain(), &holder(), &[0xee; 64]);
    let mine = signed(record(&film, &holder()), &holder());
    refused(&film.evidence(&mine, guess(film.challenge(0, 2))), &EvidenceError::NotClaimed);
    let late = AuditChallenge { asked_at: UnixTime(NOW.0 + DAY_S), ..film.challenge(0, 1) };
    refused(&film.evidence(&mine, guess(late)), &EvidenceError::NotClaimed);
    let early = AuditChallenge { asked_at: UnixTime(NOW.0 - DAY_S - 1), ..film.challenge(0, 1) };
    refused(&film.evidence(&mine, guess(early)), &EvidenceError::NotClaimed);
    // A holder answers only what is asked about now, so it can't be asked about the past.
    assert!(film.challenge(0, 1).is_due(UnixTime(NOW.0 + AUDIT_WINDOW_S)));
    assert!(film.challenge(0, 1).is_due(UnixTime(NOW.0 - AUDIT_WINDOW_S)));
    assert!(!film.challenge(0, 1).is_due(UnixTime(NOW.0 + AUDIT_WINDOW_S + 1)));
    assert!(!early.is_due(NOW) && !late.is_due(NOW));
}

#[test]
fn another_holder_s_answer_is_of_no_use() {
    let film = Film::new(0);
    let challenge = film.challenge(0, 1);
    let shard = film.shard(&challenge);
    let other = challenge.answer(&domain(), &key(14), &shard);
    let copied = challenge.digest(wallet(&holder()), &shard);
    assert_ne!(other.answer.digest, copied, "who copies the digest of another answers wrongly");
    let got = other.verify(&domain(), holder().peer_id(), &challenge);
    assert!(got.is_err(), "{got:?}");
    let right = challenge.answer(&domain(), &holder(), &shard);
    right.verify(&domain(), holder().peer_id(), &challenge).unwrap();
    assert!(right.verify(&domain(), holder().peer_id(), &film.challenge(0, 4)).is_err());
    assert_eq!(AuditChallenge::decode(&challenge.encode()), Ok(challenge));
    assert_eq!(SignedAnswer::decode(&right.encode()), Ok(right));
}

#[test]
fn every_shard_that_pop_erasure_encodes_is_one_that_evidence_can_show() {
    let geometry = Geometry::for_network(5).unwrap();
    let plaintext = vec![0x5a; 100_000];
    let mut encoder =
        Encoder::new(geometry, 4096, ContentKey::from_bytes([1; 32]), [2; 32]).unwrap();
    let (mut rest, mut encoded) = (&plaintext[..], vec![]);
    while !rest.is_empty() {
        rest = &rest[encoder.push(rest).unwrap()..];
        encoded.extend(std::iter::from_fn(|| encoder.poll()));
    }
    encoder.end();
    encoded.extend(std::iter::from_fn(|| encoder.poll()));
    let publication = encoder.finish(&key(10), Media::default()).unwrap();
    let manifest = publication.manifest();
    assert_ne!(encoded[0].shard_bytes(), encoded.last().unwrap().shard_bytes());
    let record = ProviderRecord {
        peer: holder().peer_id(),
        content: manifest.content_id(),
        columns: ColumnSet::all(geometry.n()),
        addresses: vec![],
        issued_at: NOW,
        expires_at: UnixTime(NOW.0 + 1),
    };
    let record = signed(record, &holder());
    for (segment, column) in encoded
        .iter()
        .flat_map(|segment| ColumnIndex::first(geometry.n()).map(move |column| (segment, column)))
    {
        let (content, asked_at) = (manifest.content_id(), NOW);
        let challenge = AuditChallenge {
            content,
            segment: segment.segment(),
            column,
            nonce: [7; 32],
            asked_at,
        };
        let shard = segment.shard(column).unwrap();
        let show = |answered: &[u8]| FailedAuditEvidence {
            manifest: manifest.signed().clone(),
            record: record.clone(),
            answer: challenge.answer(&domain(), &holder(), answered),
            shard: shard.clone(),
            segment_path: segment.segment_path(column).unwrap(),
            content_path: publication.content_path(segment.segment()).unwrap(),
        };
        assert_eq!(show(&shard).verify(&domain()), Err(EvidenceError::Right));
        assert_eq!(show(&shard[1..]).verify(&domain()), Ok(holder().peer_id()));
    }
}

#[test]
fn evidence_survives_the_journal_and_no_flipped_byte_makes_it_another() {
    let film = Film::new(0);
    let record = signed(record(&film, &holder()), &holder());
    let challenge = film.challenge(1, 1);
    let answer = challenge.answer(&domain(), &holder(), &[0xee; 64]);
    let evidence = Evidence::FailedAudit(Box::new(film.evidence(&record, answer)));
    let (owner, operator) = (wallet(&owner()), holder().peer_id());
    let slash = Operation::Slash { owner, operator, evidence };
    let signed = SignedOperation::sign(slash, 0, &key(13), &domain());
    let bytes = signed.encode();
    assert_eq!(SignedOperation::decode(&bytes), Ok(signed.clone()));
    assert!(registered().apply(NOW, &signed).is_ok());

    let (mut unreadable, mut refused) = (0, 0);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        match SignedOperation::decode(&damaged) {
            Ok(operation) => {
                // Also without the reporter's signature, which any change breaks.
                let mut state = registered();
                let actor_or_nonce = at < 20 + 8 + 65;
                assert!(state.apply(NOW, &operation).is_err(), "byte {at}");
                assert!(actor_or_nonce || state.replay(NOW, &operation).is_err(), "byte {at}");
                refused += 1;
            }
            Err(_) => unreadable += 1,
        }
    }
    println!("{} flipped bytes: {unreadable} unreadable, {refused} refused", bytes.len());
    for length in 0..bytes.len() {
        assert!(SignedOperation::decode(&bytes[..length]).is_err());
    }
}
