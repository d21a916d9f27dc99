use std::fs;

use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::Voucher;
use pop_wire::{ContentId, Keypair, PeerId};

use super::*;

fn amount(units: u128) -> Amount {
    Amount::from_base_units(units)
}

fn keypair() -> Keypair {
    Keypair::from_secret_bytes(&[7; 32]).unwrap()
}

fn peer() -> PeerId {
    keypair().peer_id()
}

fn meter() -> Meter {
    let tariff = Tariff { rate: Rate::new(amount(3)).unwrap(), tier: Tier::of_kbps(500).unwrap() };
    Meter::new(tariff)
}

fn promise(units: u128) -> Write {
    Write::Payer(PayerRecord {
        vault: VaultId([1; 32]),
        epoch: 1,
        payee: WalletAddress([2; 20]),
        amount: amount(units),
        bytes: 0,
        conceded: 0,
        forgotten: 0,
        meter: meter(),
    })
}

fn voucher(units: u128) -> Write {
    let domain = LedgerDomain::new(1 << 40, WalletAddress([9; 20]));
    let voucher = Voucher {
        vault: VaultId([1; 32]),
        payee: WalletAddress([2; 20]),
        epoch: 1,
        amount: amount(units),
        bytes: 5,
    };
    let signed = voucher.sign(&domain, &keypair());
    Write::Payee(PayeeRecord { signed, served: 6, meter: meter() })
}

fn earned(bytes: u64) -> Write {
    Write::Earned(Earned { content: ContentId([4; 32]), payer: peer(), bytes, amount: amount(1) })
}

fn vault() -> VaultInfo {
    VaultInfo {
        vault: VaultId([1; 32]),
        owner: WalletAddress([3; 20]),
        epoch: 1,
        funded: amount(100),
        redeemed: amount(5),
        penalty: amount(6),
        closes: None,
    }
}

fn loan() -> LentLoan {
    let mut bytes = vec![1];
    bytes.extend([[2; 20], [3; 20]].concat());
    bytes.extend(10_u128.to_be_bytes());
    [11_u64, 1_000, 1_900_000_000, 12].iter().for_each(|one| bytes.extend(one.to_be_bytes()));
    bytes.extend(3_u128.to_be_bytes());
    bytes.extend(5_u32.to_be_bytes());
    bytes.extend([4, 192, 0, 2, 0, 0, 0, 1, 0]);
    bytes.extend(11_u128.to_be_bytes());
    LentLoan::decode(&bytes).unwrap()
}

fn every_kind() -> Vec<Write> {
    let credit = Credit { borrower: WalletAddress([5; 20]), loan: LoanId([6; 32]), bytes: 7 };
    let paid = Write::LoanPaid { number: 13, amount: amount(u128::MAX) };
    let gone = [Write::LoanGone(13), paid, Write::PayerGone(VaultId([8; 32]))];
    let kept = [promise(1), voucher(2), Write::Vault(vault()), earned(3), Write::Lent(loan())];
    kept.into_iter().chain(gone).chain([Write::Credit(credit)]).collect()
}

fn promised(store: &MoneyStore) -> Option<u128> {
    store.load().unwrap().payers.first().map(|record| record.amount.base_units())
}

fn earned_bytes(store: &MoneyStore) -> u64 {
    store.earnings().unwrap().iter().map(|one| one.bytes).sum()
}

#[test]
fn every_kind_of_record_is_read_back_from_the_log_and_from_the_tables() {
    for entry in every_kind() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(Write::decode(&bytes), Some(entry));
        bytes.push(0);
        assert_eq!(Write::decode(&bytes), None, "longer: {entry:?}");
        bytes.truncate(bytes.len() - 2);
        assert_eq!(Write::decode(&bytes), None, "shorter: {entry:?}");
    }
    let home = tempfile::tempdir().unwrap();
    MoneyStore::open(home.path()).unwrap().write(every_kind().into_iter()).unwrap();
    // The first opening reads the log, the second the tables.
    for _ in 0..2 {
        let store = MoneyStore::open(home.path()).unwrap();
        let loaded = store.load().unwrap();
        let (payers, payees) = (loaded.payers.len(), loaded.payees.len());
        assert_eq!((payers, payees, loaded.vaults.len()), (1, 1, 1));
        assert_eq!(loaded.lent, [loan()]);
        assert_eq!(loaded.credits.len(), 1);
        assert_eq!(earned_bytes(&store), 3);
    }
}

#[test]
fn a_log_cut_or_changed_anywhere_gives_all_records_before_that_and_none_behind() {
    let home = tempfile::tempdir().unwrap();
    let log_path = path_in(home.path()).with_extension("log");
    let mut ends = vec![0];
    {
        let store = MoneyStore::open(home.path()).unwrap();
        for units in 1..=3 {
            store.write([promise(units)].into_iter()).unwrap();
            ends.push(store.recent().log.length_bytes());
        }
    }
    let (tables, log) = (fs::read(path_in(home.path())).unwrap(), fs::read(&log_path).unwrap());
    let whole_before = |at: usize| {
        ends.iter().filter(|end| **end > 0 && usize::try_from(**end).unwrap() <= at).count()
    };
    // Fields are longer than five bytes, but for a length, a kind and a version.
    let fields = (0..13).chain((13..log.len()).step_by(5));
    for at in fields {
        let mut changed = log.clone();
        changed[at] ^= 0x40;
        for (image, what) in [(&log[..at], "cut"), (&changed[..], "changed")] {
            fs::write(path_in(home.path()), &tables).unwrap();
            fs::write(&log_path, image).unwrap();
            let expected = u128::try_from(whole_before(at)).unwrap();
            let store = MoneyStore::open(home.path()).unwrap();
            assert_eq!(promised(&store).unwrap_or(0), expected, "{what} at {at}");
        }
    }
}

#[test]
fn what_lies_behind_a_torn_write_never_follows_what_is_appended_later() {
    let home = tempfile::tempdir().unwrap();
    let log_path = path_in(home.path()).with_extension("log");
    let second = {
        let store = MoneyStore::open(home.path()).unwrap();
        store.write([promise(1)].into_iter()).unwrap();
        let second = usize::try_from(store.recent().log.length_bytes()).unwrap();
        store.write([promise(2)].into_iter()).unwrap();
        second
    };
    // The disk wrote the second of two entries and not the first.
    let mut log = fs::read(&log_path).unwrap();
    log[..second].fill(0);
    fs::write(&log_path, log).unwrap();
    let store = MoneyStore::open(home.path()).unwrap();
    assert_eq!(promised(&store), None);
    store.write([promise(9)].into_iter()).unwrap();
    drop(store);
    assert_eq!(promised(&MoneyStore::open(home.path()).unwrap()), Some(9));
}

#[test]
fn a_crash_between_tables_and_log_counts_nothing_twice() {
    let home = tempfile::tempdir().unwrap();
    let log_path = path_in(home.path()).with_extension("log");
    let store = MoneyStore::open(home.path()).unwrap();
    store.write([earned(10), promise(1)].into_iter()).unwrap();
    let log = fs::read(&log_path).unwrap();
    assert_eq!(earned_bytes(&store), 10, "before the tables have it");
    store.fold(&mut store.recent()).unwrap();
    assert_eq!(earned_bytes(&store), 10, "after");
    store.write([earned(5), promise(2)].into_iter()).unwrap();
    assert_eq!(earned_bytes(&store), 15);
    drop(store);
    assert_eq!(earned_bytes(&MoneyStore::open(home.path()).unwrap()), 15);
    // The tables took everything over, and the log still lies there as it was.
    fs::write(&log_path, log).unwrap();
    let store = MoneyStore::open(home.path()).unwrap();
    assert_eq!((earned_bytes(&store), promised(&store)), (15, Some(2)));
}

#[test]
fn a_long_log_goes_into_the_tables_and_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let store = MoneyStore::open(home.path()).unwrap();
    let batch: Vec<_> = (1..=1_000).map(promise).collect();
    let mut longest = 0;
    for _ in 0..20 {
        store.write(batch.iter().copied()).unwrap();
        longest = longest.max(store.recent().log.length_bytes());
    }
    assert!(longest < LOG_BYTES_MAX);
    let on_disk = fs::metadata(path_in(home.path()).with_extension("log")).unwrap().len();
    assert!(on_disk > LOG_BYTES_MAX / 2 && on_disk < 2 * LOG_BYTES_MAX, "{on_disk}");
    drop(store);
    assert_eq!(promised(&MoneyStore::open(home.path()).unwrap()), Some(1_000));
}

#[test]
fn the_thread_says_what_is_stored_and_leaves_an_empty_log() {
    let home = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(MoneyStore::open(home.path()).unwrap());
    let (writer, thread) = std::sync::Arc::clone(&store).start_writing().unwrap();
    let (told, mut stored) = tokio::sync::mpsc::unbounded_channel();
    let purse = Listener::Purse(told);
    writer.store(earned(4), None);
    writer.store(promise(1), Some(&purse));
    drop((writer, purse));
    thread.join().unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| stored.blocking_recv()).collect();
    assert_eq!(heard, [Stored::Payer(WalletAddress([2; 20]))]);
    assert_eq!(store.recent().log.length_bytes(), 0);
    assert_eq!((promised(&store), earned_bytes(&store)), (Some(1), 4));
}
