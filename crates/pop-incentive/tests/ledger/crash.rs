//! Crashes at every write: the storage records what the database did to it, and every image that
//! a power cut could have left is opened again.
//!
//! `POP_CRASH_IMAGES=1000000 cargo test --release -p pop-incentive --test ledger crash` for more.

use std::io;
use std::sync::{Arc, Mutex};

use pop_incentive::ledger::{
    Account, Head, HeadAnchor, JournalError, LedgerState, LocalLedger, Operation, SignedOperation,
};
use pop_wire::UnixTime;
use redb::StorageBackend;

use crate::support::*;

/// What happened to the storage, in order; `Anchor` and `Acknowledged` happened beside it.
#[derive(Debug, Clone)]
enum Event {
    Write(usize, Vec<u8>),
    Resize(usize),
    Sync,
    Anchor(Head),
    Acknowledged(u64),
}

#[derive(Debug, Default)]
struct Disk {
    image: Vec<u8>,
    events: Vec<Event>,
}

/// Of the images that are left by a crash, one in so many has its recovery crashed too.
const CRASH_AGAIN_ONE_IN: usize = 16;

type Shared = Arc<Mutex<Disk>>;

#[derive(Debug, Clone)]
struct Recorder(Shared);

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let end = offset.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(disk.image.get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.record(Event::Resize(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.record(Event::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

impl Recorder {
    fn record(&self, event: Event) {
        let mut disk = self.0.lock().unwrap();
        play(&mut disk.image, &event);
        disk.events.push(event);
    }
}

fn play(image: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(offset, data) => {
            let end = offset + data.len();
            image.resize(image.len().max(end), 0);
            image[*offset..end].copy_from_slice(data);
        }
        Event::Resize(length) => image.resize(*length, 0),
        Event::Sync | Event::Anchor(_) | Event::Acknowledged(_) => {}
    }
}

/// An anchor on the same timeline as the storage; storing it is atomic, as a rename is.
#[derive(Debug)]
struct Anchor(Shared, Option<Head>);

impl HeadAnchor for Anchor {
    fn load(&self) -> io::Result<Option<Head>> {
        Ok(self.1)
    }

    fn store(&mut self, head: Head) -> io::Result<()> {
        self.1 = Some(head);
        Recorder(Arc::clone(&self.0)).record(Event::Anchor(head));
        Ok(())
    }
}

/// A disk after a crash.
#[derive(Clone)]
struct Crashed {
    image: Vec<u8>,
    anchor: Option<Head>,
}

fn open(crashed: &Crashed) -> (Shared, Result<LocalLedger, JournalError>) {
    let disk = Disk { image: crashed.image.clone(), events: Vec::new() };
    let shared = Arc::new(Mutex::new(disk));
    let anchor = Box::new(Anchor(Arc::clone(&shared), crashed.anchor));
    let ledger = LocalLedger::open_with(Recorder(Arc::clone(&shared)), anchor, small_ledger());
    (shared, ledger)
}

struct Grid {
    /// The state after so many operations.
    states: Vec<LedgerState>,
    images: u64,
    random: u64,
}

impl Grid {
    /// Open what a crash left: nothing acknowledged is lost, and what is there is a fold of the
    /// first so many operations. Then perhaps crash while opening, at every write, once more.
    fn try_image(&mut self, crashed: &Crashed, acknowledged: u64, depth: u32) {
        self.images += 1;
        let (disk, ledger) = open(crashed);
        let ledger = ledger.unwrap_or_else(|error| {
            panic!("image {} does not open: {error:?}", self.images);
        });
        let there = ledger.state().sequence();
        assert!(there >= acknowledged, "{acknowledged} acknowledged, {there} there");
        assert!(*ledger.state() == self.states[usize::try_from(there).unwrap()]);
        if depth > 0 && self.next_random().is_multiple_of(CRASH_AGAIN_ONE_IN) {
            let events = disk.lock().unwrap().events.clone();
            drop(ledger);
            self.cut(&events, crashed, acknowledged, depth - 1);
        }
    }

    /// Every image that a crash during `events` can leave.
    fn cut(&mut self, events: &[Event], start: &Crashed, acknowledged: u64, depth: u32) {
        let (mut synced, mut acknowledged) = (start.clone(), acknowledged);
        let mut pending: Vec<&Event> = Vec::new();
        for event in events {
            match event {
                Event::Sync => {
                    pending.drain(..).for_each(|event| play(&mut synced.image, event));
                }
                Event::Anchor(head) => synced.anchor = Some(*head),
                Event::Acknowledged(count) => acknowledged = *count,
                Event::Write(..) | Event::Resize(_) => pending.push(event),
            }
            self.pending_images(&synced, &pending, acknowledged, depth);
        }
    }

    fn pending_images(
        &mut self,
        synced: &Crashed,
        pending: &[&Event],
        acknowledged: u64,
        depth: u32,
    ) {
        let with = |chosen: &mut dyn Iterator<Item = &Event>| {
            let mut crashed = synced.clone();
            chosen.for_each(|event| play(&mut crashed.image, event));
            crashed
        };
        // All of it, none of it, each alone, each missing, and in reverse.
        self.try_image(&with(&mut pending.iter().copied()), acknowledged, depth);
        if pending.is_empty() {
            return;
        }
        self.try_image(synced, acknowledged, depth);
        for chosen in 0..pending.len() {
            self.try_image(&with(&mut pending[chosen..=chosen].iter().copied()), acknowledged, 0);
            let others = pending.iter().enumerate().filter(|(index, _)| *index != chosen);
            self.try_image(&with(&mut others.map(|(_, event)| *event)), acknowledged, 0);
        }
        self.try_image(&with(&mut pending.iter().rev().copied()), acknowledged, 0);
        self.torn_and_random(synced, pending, acknowledged);
    }

    fn torn_and_random(&mut self, synced: &Crashed, pending: &[&Event], acknowledged: u64) {
        let (last, before) = pending.split_last().unwrap();
        if let Event::Write(offset, data) = last {
            for sector in 0..data.len().div_ceil(512) {
                let mut crashed = synced.clone();
                before.iter().for_each(|event| play(&mut crashed.image, event));
                let torn = Event::Write(*offset, data[..sector * 512].to_vec());
                play(&mut crashed.image, &torn);
                self.try_image(&crashed, acknowledged, 0);
            }
        }
        for _ in 0..2 {
            // A random part of it in a random order, each write torn with a chance of a quarter.
            let mut crashed = synced.clone();
            let mut left = pending.to_vec();
            while !left.is_empty() {
                let event = left.swap_remove(self.next_random() % left.len());
                match (event, self.next_random() % 4) {
                    (_, 0) => {}
                    (Event::Write(offset, data), 1) => {
                        let sectors = self.next_random() % (data.len().div_ceil(512) + 1);
                        let kept = data[..data.len().min(sectors * 512)].to_vec();
                        play(&mut crashed.image, &Event::Write(*offset, kept));
                    }
                    _ => play(&mut crashed.image, event),
                }
            }
            self.try_image(&crashed, acknowledged, 0);
        }
    }

    fn next_random(&mut self) -> usize {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap()
    }
}

/// Batches of operations with the state after each operation.
fn history(batches: usize, least: u64) -> (Vec<Vec<SignedOperation>>, Vec<LedgerState>) {
    let (mut state, mut states) = (small_ledger(), vec![small_ledger()]);
    let mut list = Vec::new();
    for batch in 0..batches {
        let mut operations = Vec::new();
        for place in 0..=(batch % 3) {
            let to = wallet(&key(20 + u8::try_from(place).unwrap()));
            let nonce = state.nonce(wallet(&operator()));
            let mint = Operation::Mint { to, amount: units(u128::from(least) + batch as u128) };
            let signed = SignedOperation::sign(mint, nonce, &operator(), &domain());
            state.apply(UnixTime(batch as u64), &signed).unwrap();
            states.push(state.clone());
            operations.push(signed);
        }
        list.push(operations);
    }
    (list, states)
}

fn submit_all(ledger: &mut LocalLedger, batches: &[Vec<SignedOperation>], disk: &Recorder) {
    for (index, batch) in batches.iter().enumerate() {
        let now = UnixTime(index as u64);
        ledger.submit_batch(now, batch).unwrap().into_iter().for_each(|result| {
            result.unwrap();
        });
        disk.record(Event::Acknowledged(ledger.state().sequence()));
    }
}

#[test]
fn no_acknowledged_operation_is_lost_in_any_crash() {
    let limit = std::env::var("POP_CRASH_IMAGES")
        .ok()
        .map_or(10_000, |count| count.parse().expect("POP_CRASH_IMAGES is a number"));
    let mut seed = 1;
    let (mut images, mut rounds) = (0, 0);
    while images < limit {
        let (batches, states) = history(52, seed);
        let fresh = Crashed { image: Vec::new(), anchor: None };
        let (disk, ledger) = open(&fresh);
        let mut ledger = ledger.unwrap();
        // The grid begins with an empty ledger whose creation returned.
        let mut created = fresh;
        let creation: Vec<Event> = disk.lock().unwrap().events.drain(..).collect();
        for event in &creation {
            play(&mut created.image, event);
            if let Event::Anchor(head) = event {
                created.anchor = Some(*head);
            }
        }
        submit_all(&mut ledger, &batches, &Recorder(Arc::clone(&disk)));
        drop(ledger);
        let events = disk.lock().unwrap().events.clone();
        let syncs = events.iter().filter(|event| matches!(event, Event::Sync)).count();
        println!("round {rounds}: seed {seed}, {} events, {syncs} syncs", events.len());
        let mut grid = Grid { states, images, random: seed };
        grid.cut(&events, &created, 0, 1);
        (images, seed, rounds) = (grid.images, seed + 1, rounds + 1);
    }
    println!("{images} images, 0 acknowledged operations lost");
    assert!(images >= limit);
}

#[test]
fn an_operation_delivered_again_after_a_crash_has_the_same_receipt() {
    let (batches, states) = history(4, 1);
    let (disk, ledger) = open(&Crashed { image: Vec::new(), anchor: None });
    let mut ledger = ledger.unwrap();
    let mut receipts = Vec::new();
    for batch in &batches {
        receipts.extend(ledger.submit_batch(UnixTime(0), batch).unwrap());
    }
    let anchor = Some(ledger.head());
    let image = disk.lock().unwrap().image.clone();
    let (_, again) = open(&Crashed { image, anchor });
    let mut again = again.unwrap();
    for batch in &batches {
        let repeated = again.submit_batch(UnixTime(99), batch).unwrap();
        assert_eq!(repeated, receipts.drain(..batch.len()).collect::<Vec<_>>());
    }
    assert_eq!(again.state().sequence() as usize, states.len() - 1);
    again.verify().unwrap();
}

#[test]
fn a_failing_disk_stops_the_ledger() {
    #[derive(Debug)]
    struct Broken;
    impl HeadAnchor for Broken {
        fn load(&self) -> io::Result<Option<Head>> {
            Ok(None)
        }
        fn store(&mut self, head: Head) -> io::Result<()> {
            if head.count == 0 { Ok(()) } else { Err(io::Error::other("full")) }
        }
    }
    let disk = Recorder(Shared::default());
    let mut ledger = LocalLedger::open_with(disk, Box::new(Broken), small_ledger()).unwrap();
    let (batches, _) = history(2, 1);
    let failed = ledger.submit_batch(UnixTime(0), &batches[0]);
    assert!(matches!(failed, Err(JournalError::Anchor(_))), "{failed:?}");
    let stopped = ledger.submit_batch(UnixTime(0), &batches[1]);
    assert!(matches!(stopped, Err(JournalError::Stopped)), "{stopped:?}");
}

#[test]
fn the_state_is_the_fold_of_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let (batches, states) = history(5, 1);
    let mut ledger = LocalLedger::open(&path, small_ledger()).unwrap();
    submit_all(&mut ledger, &batches, &Recorder(Shared::default()));
    drop(ledger);
    let ledger = LocalLedger::open(&path, small_ledger()).unwrap();
    assert!(ledger.state() == states.last().unwrap());
    ledger.verify().unwrap();
    assert!(ledger.state().balance(Account::Emission) > units(0));
}

#[test]
fn a_crash_while_a_ledger_is_created_leaves_an_empty_one_or_none() {
    let (disk, ledger) = open(&Crashed { image: Vec::new(), anchor: None });
    drop(ledger.unwrap());
    let events = disk.lock().unwrap().events.clone();
    let (mut opened, mut refused) = (0, 0);
    for cut in 0..=events.len() {
        let mut crashed = Crashed { image: Vec::new(), anchor: None };
        for event in &events[..cut] {
            play(&mut crashed.image, event);
            if let Event::Anchor(head) = event {
                crashed.anchor = Some(*head);
            }
        }
        match open(&crashed).1 {
            Ok(ledger) => {
                assert_eq!(ledger.state().sequence(), 0);
                opened += 1;
            }
            Err(JournalError::Storage(_)) if crashed.anchor.is_none() => refused += 1,
            Err(error) => panic!("cut {cut}: {error:?}"),
        }
    }
    println!("{opened} opened, {refused} to be deleted and created again");
}
