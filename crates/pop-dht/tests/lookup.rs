//! The lookup kernel: union over keys, each provider once, the newest record wins.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::BTreeMap;

use pop_dht::lookup::Lookup;
use pop_dht::record::ValidRecord;
use pop_dht::{RecordError, Subject};
use pop_wire::{PeerId, UnixTime, WireError};
use proptest::prelude::*;

use support::{
    LIFE_S, NOW, bundle, content, manifest, masternode, peer, provider, provider_bundle,
};

#[test]
fn each_provider_is_given_out_once_over_all_keys() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    let mut found = Vec::new();
    for key in subject.keys() {
        for number in [1, 2, 1, 3, 2] {
            let answer = lookup.on_answer(key, provider_bundle(number, content(1), NOW), NOW);
            assert_eq!(answer.fault, None);
            found.extend(answer.providers.into_iter().map(|record| record.peer));
        }
    }
    assert_eq!(found, [peer(1), peer(2), peer(3)]);
}

#[test]
fn the_newest_record_of_a_provider_wins_and_older_ones_are_silent() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    let key = subject.keys()[2];
    let mut issued = Vec::new();
    for seconds in [5, 3, 9, 5, 4] {
        let answer = provider_bundle(1, content(1), NOW.after_s(seconds));
        let found = lookup.on_answer(key, answer, NOW);
        issued.extend(found.providers.into_iter().map(|record| record.issued_at));
    }
    assert_eq!(issued, [NOW.after_s(5), NOW.after_s(9)]);
    // Also within one answer.
    let both = [1, 2].map(|s| ValidRecord::Provider(provider(2, content(1), NOW.after_s(s))));
    let found = lookup.on_answer(key, bundle(&both), NOW);
    assert_eq!(found.providers.len(), 1);
    assert_eq!(found.providers[0].issued_at, NOW.after_s(2));
}

#[test]
fn the_manifest_is_given_out_once() {
    let film = manifest(1000, 1);
    let subject = Subject::Content(film.content_id());
    let mut lookup = Lookup::new(subject);
    let answer = bundle(&[ValidRecord::Manifest(film.clone())]);
    let first = lookup.on_answer(subject.keys()[0], answer.clone(), NOW);
    assert_eq!(first.manifest, Some(film));
    assert!(lookup.on_answer(subject.keys()[1], answer, NOW).is_empty());
}

#[test]
fn a_lookup_is_over_when_all_keys_are_and_not_after_any_number_of_providers() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    let [first, second, third] = subject.keys();
    for number in 0..300 {
        let answer = provider_bundle(number, content(1), NOW);
        assert_eq!(lookup.on_answer(first, answer, NOW).providers.len(), 1);
    }
    assert_eq!(lookup.on_key_finished(first, false), None);
    assert_eq!(lookup.on_key_finished(first, false), None);
    assert_eq!(lookup.on_key_finished(third, true), None);
    assert_eq!(lookup.on_key_finished(second, false), Some(true));
}

#[test]
fn the_rest_of_an_answer_with_a_forgery_is_left_aside_but_not_what_came_before() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    let mut forged = provider_bundle(2, content(1), NOW).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let mut answer = provider_bundle(1, content(1), NOW).to_vec();
    answer.extend(forged);
    answer.extend(provider_bundle(3, content(1), NOW));
    let found = lookup.on_answer(subject.keys()[0], answer.into(), NOW);
    assert_eq!(found.fault, Some(RecordError::Wire(WireError::Signature)));
    let found: Vec<_> = found.providers.into_iter().map(|record| record.peer).collect();
    assert_eq!(found, [peer(1)]);
    // The third is found as soon as an honest node has it.
    let honest = provider_bundle(3, content(1), NOW);
    assert_eq!(lookup.on_answer(subject.keys()[0], honest, NOW).providers.len(), 1);
}

#[test]
fn an_expired_record_is_passed_over_and_the_rest_is_taken() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    let old = ValidRecord::Provider(provider(1, content(1), UnixTime(NOW.0 - LIFE_S)));
    let good = ValidRecord::Provider(provider(2, content(1), NOW));
    let found = lookup.on_answer(subject.keys()[0], bundle(&[old, good]), NOW);
    assert_eq!(found.fault, None);
    assert_eq!(found.providers.len(), 1);
}

#[test]
fn true_records_of_another_subject_are_no_answer() {
    let subject = Subject::Masternode(peer(1));
    let mut lookup = Lookup::new(subject);
    let other = bundle(&[ValidRecord::Masternode(masternode(2, NOW))]);
    let found = lookup.on_answer(subject.keys()[0], other, NOW);
    assert_eq!(found.fault, Some(RecordError::WrongKey));
    let right = bundle(&[ValidRecord::Masternode(masternode(1, NOW))]);
    assert!(lookup.on_answer(subject.keys()[0], right, NOW).masternode.is_some());
}

#[test]
fn garbage_is_a_fault_and_no_panic() {
    let subject = Subject::Content(content(1));
    let mut lookup = Lookup::new(subject);
    for garbage in [vec![0xff; 40], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], vec![0; 70_000]] {
        assert!(lookup.on_answer(subject.keys()[0], garbage.into(), NOW).fault.is_some());
    }
    assert!(lookup.on_answer(subject.keys()[0], vec![].into(), NOW).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// In whatever order and under whatever key answers arrive, replaying what was given out
    /// leaves the newest record of every provider.
    #[test]
    fn the_last_record_given_out_of_each_provider_is_its_newest(
        answers in prop::collection::vec((0..3_usize, 0..5_u32, 0..6_u64), 1..40),
    ) {
        let subject = Subject::Content(content(1));
        let mut lookup = Lookup::new(subject);
        let mut given: BTreeMap<PeerId, UnixTime> = BTreeMap::new();
        let mut newest: BTreeMap<PeerId, UnixTime> = BTreeMap::new();
        for (key, number, seconds) in answers {
            let issued_at = NOW.after_s(seconds);
            let answer = provider_bundle(number, content(1), issued_at);
            for record in lookup.on_answer(subject.keys()[key], answer, NOW).providers {
                given.insert(record.peer, record.issued_at);
            }
            let best = newest.entry(peer(number)).or_default();
            *best = issued_at.max(*best);
        }
        prop_assert_eq!(given, newest);
    }
}
