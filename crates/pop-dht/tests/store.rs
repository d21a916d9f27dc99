//! The record store under attack, and every limit it has.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::BTreeSet;

use pop_dht::limits::{PROVIDERS_PER_KEY_AND_GROUP_MAX, PROVIDERS_PER_KEY_MAX, PUT_BYTES_MAX};
use pop_dht::record::ValidRecord;
use pop_dht::store::{Accepted, Origin, Store, StoreConfig};
use pop_dht::{DhtKey, DiversityConfig, NetworkGroup, RecordError, Refusal, Subject};
use pop_wire::limits::BUNDLE_BYTES_MAX;
use pop_wire::{ContentId, RecordBundle, RecordEntry, UnixTime};
use proptest::prelude::*;

use support::{
    LIFE_S, NOW, bundle, content, manifest, masternode, origin, peer, provider, provider_bundle,
    providers_in, store,
};

fn key(content: ContentId) -> DhtKey {
    Subject::Content(content).keys()[0]
}

/// The defaults, but for what `change` changes.
fn limits(change: impl FnOnce(&mut StoreConfig)) -> StoreConfig {
    let mut config = StoreConfig::default();
    change(&mut config);
    config
}

/// Peer `number`, in the /24 `network`, puts its record for content `of`.
fn put(store: &mut Store, number: u32, network: u16, of: u32) -> Result<Accepted, Refusal> {
    let content = content(of);
    let bundle = provider_bundle(number, content, NOW);
    store.put_foreign(key(content), bundle, origin(number, network))
}

fn announce_own(store: &mut Store) -> ContentId {
    let manifest = manifest(1000, 1);
    let content = manifest.content_id();
    let record = provider(1, content, NOW);
    let records = [ValidRecord::Provider(record), ValidRecord::Manifest(manifest)];
    store.put_own(&records, Subject::Content(content)).unwrap();
    content
}

fn assert_own_is_given_out(store: &Store, content: ContentId) {
    let entries = RecordBundle::decode(store.bundle(&key(content)).unwrap()).unwrap().entries;
    assert!(matches!(&entries[0], RecordEntry::Provider(it)
        if it.clone().verify().unwrap().peer == peer(1)));
    assert!(matches!(entries[1], RecordEntry::Manifest(_)));
}

/// The stock store takes 1,024 expired foreign provider records and then refuses our own. Ours
/// takes none of ten times as many, and ours goes in.
#[test]
fn ten_thousand_expired_foreign_records_do_not_lock_out_our_own_announcement() {
    let mut store = store(StoreConfig::default());
    let expired = UnixTime(NOW.0 - LIFE_S);
    for number in 0..10_240 {
        let content = content(number);
        let record = provider_bundle(7, content, expired);
        let got = store.put_foreign(key(content), record, origin(7, 7));
        assert_eq!(got, Err(RecordError::Expired { expires_at: NOW, now: NOW }.into()));
    }
    assert_eq!((store.foreign_len(), store.foreign_bytes()), (0, 0));
    let ours = announce_own(&mut store);
    assert_own_is_given_out(&store, ours);
}

/// The same with records that are alive when they come, from peers all over the net, and expire
/// later: nothing has to look a key up for them to go.
#[test]
fn ten_thousand_living_foreign_records_neither_lock_out_our_own_nor_outlive_a_sweep() {
    let mut store = store(limits(|it| it.records_max = 1_024));
    for number in 0..10_240 {
        let network = u16::try_from(number % 500).unwrap();
        let _ = put(&mut store, number, network, number);
    }
    assert_eq!(store.foreign_len(), 1_024);
    let ours = announce_own(&mut store);
    assert_own_is_given_out(&store, ours);

    store.set_time(NOW.after_s(LIFE_S));
    store.sweep();
    assert_eq!((store.foreign_len(), store.foreign_bytes()), (0, 0));
    let later = provider_bundle(5, content(5), NOW.after_s(LIFE_S));
    assert_eq!(store.put_foreign(key(content(5)), later, origin(5, 5)), Ok(Accepted::New));
}

/// The stock store drops the 21st provider of a key and says it is fine. Ours keeps and gives
/// out ten times as many.
#[test]
fn the_21st_provider_of_a_content_and_ten_times_as_many_are_kept_and_given_out() {
    let mut store = store(StoreConfig::default());
    for number in 0..210 {
        let network = u16::try_from(number / 10).unwrap();
        assert_eq!(put(&mut store, number, network, 1), Ok(Accepted::New));
        if number == 20 {
            assert!(providers_in(&store, content(1)).contains(&peer(20)), "the 21st is missing");
        }
    }
    let expected: BTreeSet<_> = (0..210).map(peer).collect();
    let got = providers_in(&store, content(1));
    assert_eq!(got.len(), 210);
    assert_eq!(BTreeSet::from_iter(got), expected);
}

#[test]
fn a_refused_provider_is_told_so_and_never_dropped_silently() {
    let mut store = store(limits(|it| it.per_key_max = 20));
    for number in 0..20 {
        put(&mut store, number, u16::try_from(number).unwrap(), 1).unwrap();
    }
    assert_eq!(put(&mut store, 20, 99, 1), Err(Refusal::KeyFull { max: 20 }));
}

#[test]
fn own_records_are_in_every_bundle_of_a_key_full_of_foreign_ones() {
    let mut store = store(StoreConfig::default());
    let ours = announce_own(&mut store);
    let full = u32::try_from(PROVIDERS_PER_KEY_MAX).unwrap();
    for number in 2..full + 2 {
        let record = provider_bundle(number, ours, NOW);
        let network = u16::try_from(number).unwrap();
        store.put_foreign(key(ours), record, origin(number, network)).unwrap();
    }
    for _ in 0..20 {
        assert_own_is_given_out(&store, ours);
    }
}

#[test]
fn a_bundle_that_does_not_hold_all_is_another_fair_sample_each_time() {
    let mut store = store(StoreConfig::default());
    let mut expected = BTreeSet::new();
    // Records with long addresses, so that about half of them fit.
    for number in 0..256 {
        let mut record = provider(number, content(1), NOW).into_value();
        record.addresses = vec![vec![1; 100].into(); 3];
        let record = pop_wire::Verified::sign(record, &support::keypair(number)).unwrap();
        let record = bundle(&[ValidRecord::Provider(record)]);
        let network = u16::try_from(number).unwrap();
        store.put_foreign(key(content(1)), record, origin(number, network)).unwrap();
        expected.insert(peer(number));
    }
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let bytes = store.bundle(&key(content(1))).unwrap();
        assert!(bytes.len() <= BUNDLE_BYTES_MAX);
        assert!(bytes.len() > BUNDLE_BYTES_MAX - 1_000, "the packet is well used");
        let sample = providers_in(&store, content(1));
        assert!((80..200).contains(&sample.len()), "{}", sample.len());
        seen.extend(sample);
    }
    // One lookup gets about 60 answers: 20 nodes under each of three keys.
    assert_eq!(seen, expected);
}

#[test]
fn a_peer_gets_its_quota_and_no_more() {
    let mut store = store(limits(|it| it.per_peer_max = 50));
    for of in 0..50 {
        assert_eq!(put(&mut store, 1, 1, of), Ok(Accepted::New));
    }
    assert_eq!(put(&mut store, 1, 1, 50), Err(Refusal::PeerFull { max: 50 }));
    assert_eq!(put(&mut store, 2, 1, 50), Ok(Accepted::New));
    assert_eq!(put(&mut store, 1, 1, 3), Ok(Accepted::Known));
}

#[test]
fn a_peer_over_quota_costs_no_check_of_a_signature() {
    let mut store = store(limits(|it| it.per_peer_max = 1));
    put(&mut store, 1, 1, 0).unwrap();
    // What it sends isn't even looked at.
    let got = store.put_foreign(key(content(1)), vec![0xff; 100].into(), origin(1, 1));
    assert_eq!(got, Err(Refusal::PeerFull { max: 1 }));
}

#[test]
fn a_network_gets_its_quota_and_no_more() {
    let mut store = store(limits(|it| it.per_group_max = 50));
    for number in 0..50 {
        assert_eq!(put(&mut store, number, 1, number), Ok(Accepted::New));
    }
    assert_eq!(put(&mut store, 50, 1, 50), Err(Refusal::GroupFull { max: 50 }));
    assert_eq!(put(&mut store, 50, 2, 50), Ok(Accepted::New));
    // A renewal out of the full network is no way around, if the record came out of another.
    let renewal = provider_bundle(50, content(50), NOW.after_s(1));
    let got = store.put_foreign(key(content(50)), renewal, origin(50, 1));
    assert_eq!(got, Err(Refusal::GroupFull { max: 50 }));
}

#[test]
fn a_network_gets_its_share_of_one_key_and_no_more() {
    let mut store = store(StoreConfig::default());
    let max = PROVIDERS_PER_KEY_AND_GROUP_MAX;
    for number in 0..u32::try_from(max).unwrap() {
        assert_eq!(put(&mut store, number, 1, 1), Ok(Accepted::New));
    }
    assert_eq!(put(&mut store, 999, 1, 1), Err(Refusal::KeyGroupFull { max }));
    assert_eq!(put(&mut store, 999, 2, 1), Ok(Accepted::New));
}

#[test]
fn a_key_full_of_few_networks_makes_room_for_others() {
    let mut store = store(limits(|it| it.per_key_max = 40));
    for number in 0..40 {
        put(&mut store, number, u16::try_from(number % 2).unwrap(), 1).unwrap();
    }
    // 38 other networks get in until each has its equal part; the two never lose their last.
    for number in 40..78 {
        let network = u16::try_from(number).unwrap();
        assert_eq!(put(&mut store, number, network, 1), Ok(Accepted::New));
    }
    assert_eq!(put(&mut store, 78, 78, 1), Err(Refusal::KeyFull { max: 40 }));
    let left = providers_in(&store, content(1));
    assert_eq!(left.len(), 40);
    let old = |parity| (0..40).filter(|n| n % 2 == parity && left.contains(&peer(*n))).count();
    assert_eq!((old(0), old(1)), (1, 1));
}

#[test]
fn a_store_full_of_few_networks_makes_room_for_others() {
    let mut store = store(limits(|it| it.records_max = 100));
    for number in 0..1_000 {
        let _ = put(&mut store, number, u16::try_from(number % 2).unwrap(), number);
    }
    assert_eq!(store.foreign_len(), 100);
    for number in 1_000..1_098 {
        let network = u16::try_from(number).unwrap();
        assert_eq!(put(&mut store, number, network, number), Ok(Accepted::New));
    }
    let got = put(&mut store, 2_000, 2_000, 2_000);
    assert!(matches!(got, Err(Refusal::StoreFull { records: 100, .. })), "{got:?}");
    assert_eq!(store.foreign_len(), 100);
}

#[test]
fn the_bytes_of_all_records_are_bounded() {
    let mut store = store(limits(|it| it.bytes_max = 20_000));
    for number in 0..1_000 {
        let _ = put(&mut store, number, u16::try_from(number).unwrap(), number);
        assert!(store.foreign_bytes() <= 20_000);
    }
    assert!(store.foreign_bytes() > 19_000);
    // Ours isn't in that sum.
    let ours = announce_own(&mut store);
    assert_own_is_given_out(&store, ours);
}

#[test]
fn where_local_networks_are_exempt_each_peer_stands_for_itself() {
    let mut exempt = DiversityConfig::default();
    exempt.loopback_exempt = true;
    let config = limits(|it| {
        it.per_group_max = 3;
        it.per_key_and_group_max = 3;
    });
    let local = |number| Origin { peer: peer(number), group: NetworkGroup::Local };
    for (diversity, expected) in [(exempt, 30), (DiversityConfig::default(), 3)] {
        let mut store = Store::new(NOW, [0; 32], config.clone(), diversity);
        for number in 0..30 {
            let record = provider_bundle(number, content(1), NOW);
            let _ = store.put_foreign(key(content(1)), record, local(number));
        }
        assert_eq!(store.foreign_len(), expected);
    }
}

#[test]
fn the_newer_record_of_a_peer_replaces_the_older_and_never_the_other_way_round() {
    let mut store = store(StoreConfig::default());
    let at = |seconds| provider_bundle(1, content(1), NOW.after_s(seconds));
    let mut put = |record| store.put_foreign(key(content(1)), record, origin(1, 1));
    assert_eq!(put(at(10)), Ok(Accepted::New));
    assert_eq!(put(at(10)), Ok(Accepted::Known));
    assert_eq!(put(at(20)), Ok(Accepted::Renewed));
    let stale = Refusal::Stale { newest: NOW.after_s(20), got: NOW.after_s(10) };
    assert_eq!(put(at(10)), Err(stale.clone()));
    assert!(!stale.is_peer_fault());
    assert_eq!(store.foreign_len(), 1);
}

#[test]
fn two_different_records_of_one_second_do_not_replace_each_other() {
    let mut store = store(StoreConfig::default());
    let first = provider(1, content(1), NOW);
    let mut second = first.clone().into_value();
    second.columns = support::columns([1, 2]);
    let second = pop_wire::Verified::sign(second, &support::keypair(1)).unwrap();
    for (record, expected) in
        [(first, Ok(Accepted::New)), (second, Err(Refusal::Stale { newest: NOW, got: NOW }))]
    {
        let record = bundle(&[ValidRecord::Provider(record)]);
        assert_eq!(store.put_foreign(key(content(1)), record, origin(1, 1)), expected);
    }
}

#[test]
fn a_put_has_one_or_two_entries_and_not_too_many_bytes() {
    let mut store = store(StoreConfig::default());
    let film = manifest(1000, 1);
    let content = film.content_id();
    let record = ValidRecord::Provider(provider(1, content, NOW));
    let film = ValidRecord::Manifest(film);
    let mut put = |bytes: Vec<u8>| store.put_foreign(key(content), bytes.into(), origin(1, 1));

    assert_eq!(put(vec![]), Err(Refusal::PutEntries { got: 0 }));
    let three = bundle(&[film.clone(), record.clone(), record.clone()]);
    assert_eq!(put(three.to_vec()), Err(Refusal::PutEntries { got: 3 }));
    let got = PUT_BYTES_MAX + 1;
    assert_eq!(put(vec![0; got]), Err(Refusal::PutBytes { got }));
    assert_eq!(put(bundle(std::slice::from_ref(&film)).to_vec()), Err(Refusal::ManifestAlone));
    assert_eq!(put(bundle(&[film, record]).to_vec()), Ok(Accepted::New));
}

#[test]
fn a_manifest_stays_only_as_long_as_a_provider() {
    let mut store = store(StoreConfig::default());
    let film = manifest(1000, 1);
    let content = film.content_id();
    let record = ValidRecord::Provider(provider(1, content, NOW));
    let put = bundle(&[record, ValidRecord::Manifest(film)]);
    store.put_foreign(key(content), put, origin(1, 1)).unwrap();
    let later = provider_bundle(2, content, NOW.after_s(100));
    store.put_foreign(key(content), later, origin(2, 2)).unwrap();

    let has_manifest = |store: &Store| {
        let bytes = store.bundle(&key(content))?;
        let entries = RecordBundle::decode(bytes).unwrap().entries;
        Some(entries.iter().any(|entry| matches!(entry, RecordEntry::Manifest(_))))
    };
    assert_eq!(has_manifest(&store), Some(true));
    store.set_time(NOW.after_s(LIFE_S + 50));
    store.sweep();
    assert_eq!(has_manifest(&store), Some(true));
    store.set_time(NOW.after_s(LIFE_S + 100));
    assert_eq!(has_manifest(&store), None, "expired records are not given out, swept or not");
    store.sweep();
    assert_eq!((store.foreign_len(), store.foreign_bytes()), (0, 0));
}

#[test]
fn only_its_signer_may_put_a_record() {
    let mut store = store(StoreConfig::default());
    let record = provider_bundle(1, content(1), NOW);
    let got = store.put_foreign(key(content(1)), record, origin(2, 2));
    assert_eq!(got, Err(Refusal::NotItsSigner { signer: peer(1) }));
}

#[test]
fn a_record_is_refused_under_every_key_but_its_own_three() {
    let mut store = store(StoreConfig::default());
    let record = |number| bundle(&[ValidRecord::Masternode(masternode(number, NOW))]);
    for key in Subject::Masternode(peer(1)).keys() {
        assert_eq!(store.put_foreign(key, record(1), origin(1, 1)), Ok(Accepted::New));
    }
    for key in Subject::Masternode(peer(2)).keys().into_iter().chain([key(content(1))]) {
        let got = store.put_foreign(key, record(1), origin(1, 1));
        assert_eq!(got, Err(RecordError::WrongKey.into()));
    }
    // A film's manifest under the keys of another content.
    let put = bundle(&[
        ValidRecord::Provider(provider(1, content(1), NOW)),
        ValidRecord::Manifest(manifest(1000, 1)),
    ]);
    let got = store.put_foreign(key(content(1)), put, origin(1, 1));
    assert_eq!(got, Err(RecordError::WrongKey.into()));
}

#[test]
fn a_forged_record_is_refused_wherever_the_bit_is_flipped() {
    let mut store = store(StoreConfig::default());
    let good = provider_bundle(1, content(1), NOW);
    for at in 0..good.len() {
        for bit in [0, 3, 7] {
            let mut forged = good.to_vec();
            forged[at] ^= 1 << bit;
            let got = store.put_foreign(key(content(1)), forged.into(), origin(1, 1));
            assert!(got.is_err(), "byte {at}, bit {bit}: {got:?}");
        }
    }
    assert_eq!(store.foreign_len(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Put { number: u32, network: u16, of: u32, after_s: u64, with_manifest: bool },
    Sweep { after_s: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0..12_u32, 0..4_u16, 0..4_u32, 0..200_u64, any::<bool>()).prop_map(
        |(number, network, of, after_s, with_manifest)| Step::Put {
            number,
            network,
            of,
            after_s,
            with_manifest,
        },
    );
    let sweep = (0..200_u64).prop_map(|after_s| Step::Sweep { after_s });
    prop::collection::vec(prop_oneof![8 => put, 1 => sweep], 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    /// Whatever comes in whatever order: no limit is passed, the counts are those of what is
    /// there, and when all is expired nothing is left.
    #[test]
    fn no_sequence_of_puts_and_sweeps_breaks_a_limit_or_a_count(steps in steps()) {
        let config = limits(|it| {
            it.records_max = 16;
            it.bytes_max = 6_000;
            it.per_peer_max = 3;
            it.per_group_max = 9;
            it.per_key_max = 5;
            it.per_key_and_group_max = 3;
        });
        let mut store = store(config);
        let films: Vec<_> = (0..4).map(|salt| manifest(1000, salt)).collect();
        for step in steps {
            match step {
                Step::Put { number, network, of, after_s, with_manifest } => {
                    let film = &films[usize::try_from(of).unwrap()];
                    let issued_at = NOW.after_s(after_s);
                    let record = provider(number, film.content_id(), issued_at);
                    let mut records = vec![ValidRecord::Provider(record)];
                    if with_manifest {
                        records.push(ValidRecord::Manifest(film.clone()));
                    }
                    let key = key(film.content_id());
                    let _ = store.put_foreign(key, bundle(&records), origin(number, network));
                }
                Step::Sweep { after_s } => {
                    store.set_time(NOW.after_s(after_s));
                    store.sweep();
                }
            }
            prop_assert!(store.foreign_len() <= 16);
            prop_assert!(store.foreign_bytes() <= 6_000);
            let kept = films.iter().map(|film| providers_in(&store, film.content_id()));
            let kept: Vec<_> = kept.collect();
            prop_assert!(kept.iter().all(|peers| peers.len() <= 5));
            let counted = kept.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(counted, store.foreign_len());
            for number in 0..12 {
                let of_peer = kept.iter().flatten().filter(|it| **it == peer(number)).count();
                prop_assert!(of_peer <= 3);
            }
        }
        store.set_time(NOW.after_s(LIFE_S + 200));
        store.sweep();
        prop_assert_eq!((store.foreign_len(), store.foreign_bytes()), (0, 0));
    }
}
