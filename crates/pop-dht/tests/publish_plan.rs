//! When what goes out: at once, again soon while it reached too few, then hourly.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::BTreeSet;

use pop_dht::limits::{
    OWN_SUBJECTS_MAX, PUBLICATIONS_IN_FLIGHT_MAX, REPLICATION, REPUBLISH_INTERVAL_S,
    RETRY_INTERVAL_S,
};
use pop_dht::publish::{PlanStep, PublishPlan};
use pop_dht::{DhtKey, Error, Subject};
use pop_wire::{ContentId, UnixTime};
use proptest::prelude::*;

use support::{LIFE_S, NOW, content};

fn subject(number: u32) -> Subject {
    Subject::Content(content(number))
}

fn announce(plan: &mut PublishPlan, number: u32, issued_at: UnixTime) -> Result<(), Error> {
    plan.announce(subject(number), (issued_at, issued_at.after_s(LIFE_S)), issued_at)
}

fn due(plan: &mut PublishPlan, now: UnixTime) -> Vec<DhtKey> {
    core::iter::from_fn(|| plan.start_due(now)).collect()
}

#[test]
fn an_announcement_goes_out_at_once_under_all_three_keys_and_is_reported_once() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    let keys = due(&mut plan, NOW);
    assert_eq!(BTreeSet::from_iter(keys.clone()), BTreeSet::from(subject(1).keys()));
    assert_eq!(plan.finished(keys[0], 20, NOW), None);
    assert_eq!(plan.finished(keys[1], 7, NOW), None);
    assert_eq!(plan.finished(keys[2], 3, NOW), Some((subject(1), 30)));
    // The same keys again later are republications, which are silent.
    let later = NOW.after_s(REPUBLISH_INTERVAL_S);
    for key in due(&mut plan, later) {
        assert_eq!(plan.finished(key, 20, later), None);
    }
}

#[test]
fn a_record_that_reached_all_nodes_goes_out_again_after_an_hour() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    for key in due(&mut plan, NOW) {
        plan.finished(key, REPLICATION, NOW);
    }
    assert_eq!(plan.next_due(), Some(NOW.after_s(REPUBLISH_INTERVAL_S)));
    assert!(due(&mut plan, NOW.after_s(REPUBLISH_INTERVAL_S - 1)).is_empty());
    assert_eq!(due(&mut plan, NOW.after_s(REPUBLISH_INTERVAL_S)).len(), 3);
}

#[test]
fn a_record_that_reached_too_few_goes_out_again_with_doubling_pauses_up_to_an_hour() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        for key in due(&mut plan, now) {
            plan.finished(key, REPLICATION - 1, now);
        }
        let next = plan.next_due().unwrap();
        pauses.push(next.0 - now.0);
        now = next;
    }
    assert_eq!(pauses[..4], [5, 10, 20, 40]);
    assert_eq!(pauses[10..], [REPUBLISH_INTERVAL_S, REPUBLISH_INTERVAL_S]);
    assert_eq!(pauses[0], RETRY_INTERVAL_S);
}

#[test]
fn a_newer_record_goes_out_at_once_also_if_the_older_is_under_way() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    let keys = due(&mut plan, NOW);
    plan.finished(keys[0], 20, NOW);
    // One waits for the next hour, two are under way.
    let now = NOW.after_s(1);
    announce(&mut plan, 1, now).unwrap();
    assert_eq!(due(&mut plan, now), [keys[0]]);
    for key in &keys[1..] {
        assert_eq!(plan.finished(*key, 20, now), None, "that was the older record");
    }
    assert_eq!(BTreeSet::from_iter(due(&mut plan, now)), BTreeSet::from([keys[1], keys[2]]));
    plan.finished(keys[0], 20, now);
    plan.finished(keys[1], 20, now);
    assert_eq!(plan.finished(keys[2], 20, now), Some((subject(1), 60)));
}

#[test]
fn an_announcement_that_is_not_newer_is_refused() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    let stale = Err(Error::Stale { newest: NOW, got: NOW });
    assert_eq!(announce(&mut plan, 1, NOW), stale);
}

#[test]
fn puts_under_way_are_bounded_and_the_others_wait_their_turn() {
    let mut plan = PublishPlan::default();
    for number in 0..50 {
        announce(&mut plan, number, NOW).unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 150 {
        let round = due(&mut plan, NOW);
        assert!(round.len() <= PUBLICATIONS_IN_FLIGHT_MAX);
        assert!(!round.is_empty(), "none is forgotten");
        for key in round {
            assert!(seen.insert(key), "none goes out twice before all did once");
            plan.finished(key, REPLICATION, NOW);
        }
    }
}

#[test]
fn a_record_asks_for_renewal_once_and_leaves_the_plan_when_it_expires() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    assert_eq!(plan.sweep(NOW.after_s(LIFE_S / 2 - 1)), []);
    assert_eq!(plan.sweep(NOW.after_s(LIFE_S / 2)), [PlanStep::RenewalDue(subject(1))]);
    assert_eq!(plan.sweep(NOW.after_s(LIFE_S - 1)), []);
    assert_eq!(plan.sweep(NOW.after_s(LIFE_S)), [PlanStep::Expired(subject(1))]);
    assert!(plan.is_empty());
    assert_eq!(plan.next_due(), None);
}

#[test]
fn what_is_withdrawn_while_under_way_leaves_no_trace() {
    let mut plan = PublishPlan::default();
    announce(&mut plan, 1, NOW).unwrap();
    let keys = due(&mut plan, NOW);
    assert!(plan.withdraw(&subject(1)));
    assert!(!plan.withdraw(&subject(1)));
    assert_eq!(plan.finished(keys[0], 20, NOW), None);
    // The places it had are free again.
    for number in 10..20 {
        announce(&mut plan, number, NOW).unwrap();
    }
    assert_eq!(due(&mut plan, NOW).len(), PUBLICATIONS_IN_FLIGHT_MAX);
}

#[test]
fn announced_subjects_are_bounded() {
    let mut plan = PublishPlan::default();
    for number in 0..u64::try_from(OWN_SUBJECTS_MAX).unwrap() {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        plan.announce(Subject::Content(ContentId(id)), (NOW, NOW.after_s(1)), NOW).unwrap();
    }
    assert_eq!(announce(&mut plan, 1, NOW), Err(Error::TooManyAnnouncements));
    assert_eq!(plan.len(), OWN_SUBJECTS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    /// Whatever happens in whatever order: what is announced is always either under way or
    /// waiting, and never more is under way than may be.
    #[test]
    fn nothing_announced_is_ever_forgotten(
        steps in prop::collection::vec((0..4_u8, 0..6_u32, 0..30_usize), 1..120),
    ) {
        let mut plan = PublishPlan::default();
        let mut under_way: Vec<DhtKey> = Vec::new();
        let mut announced = BTreeSet::new();
        for (second, (step, number, copies)) in (1_u64..).zip(steps) {
            let now = NOW.after_s(second);
            match step {
                0 => {
                    announce(&mut plan, number, now).unwrap();
                    announced.insert(number);
                }
                1 => under_way.extend(plan.start_due(now)),
                2 if !under_way.is_empty() => {
                    let key = under_way.remove(copies % under_way.len());
                    plan.finished(key, copies, now);
                }
                3 if copies > 25 => {
                    plan.withdraw(&subject(number));
                    under_way.retain(|key| !subject(number).keys().contains(key));
                    announced.remove(&number);
                }
                _ => {}
            }
            prop_assert!(under_way.len() <= PUBLICATIONS_IN_FLIGHT_MAX);
            prop_assert_eq!(plan.len(), announced.len());
        }
        // When all that is under way ends, everything announced comes round again.
        let later = NOW.after_s(2 * REPUBLISH_INTERVAL_S);
        for key in under_way.drain(..) {
            plan.finished(key, REPLICATION, NOW);
        }
        let mut seen = BTreeSet::new();
        while let Some(key) = plan.start_due(later) {
            seen.insert(key);
            plan.finished(key, REPLICATION, later);
        }
        let expected = announced.iter().flat_map(|number| subject(*number).keys()).collect();
        prop_assert_eq!(seen, expected);
    }
}
