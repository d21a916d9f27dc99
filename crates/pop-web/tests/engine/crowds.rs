//! More of everything than is kept track of: what is beyond the bound waits or is let go, and
//! playing goes on.

use std::rc::Rc;

use bytes::Bytes;
use pop_web::engine::limits::{
    CACHE_LOADS_MAX, DIALS_MAX, EARLY_CANDIDATES_MAX, HOLDERS_MAX, MASTERNODES_MAX,
};
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Keypair, MasternodeRecord, ProviderRecord, Signed, Verified,
};

use crate::masternode::{Published, WALL};
use crate::world::{World, seed};

const NODES: usize = 9;

/// Records in one answer: fewer than there may be.
const ANSWER_RECORDS: usize = 60;

/// A megabit a second.
const PACE: u64 = 125_000;

/// 24 s of film, a third of which fits into the window.
fn film() -> Rc<Published> {
    Published::new(5, 3_000_000, (6, 9), 8 * 1024)
}

/// A node of which there is nothing but what is said of it.
struct Phantom {
    keypair: Keypair,
    address: Bytes,
}

impl Phantom {
    fn new(number: usize) -> Self {
        let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
        let mut secret = [3; 32];
        secret[30..].copy_from_slice(&[high, low]);
        let keypair = Keypair::from_secret_bytes(&secret).unwrap();
        let address = [4, 10, 9, high, low, 6, 0x12, 0xae, 0xdd, 0x03];
        Self { keypair, address: Bytes::copy_from_slice(&address) }
    }

    fn holds(&self, content: ContentId) -> Signed<ProviderRecord> {
        let columns: ColumnSet = [ColumnIndex::new(8).unwrap()].into_iter().collect();
        let record = ProviderRecord {
            peer: self.keypair.peer_id(),
            content,
            columns,
            addresses: vec![self.address.clone()],
            issued_at: WALL,
            expires_at: WALL.after_s(3_600),
        };
        Verified::sign(record, &self.keypair).unwrap().signed().clone()
    }

    fn is_masternode(&self) -> Signed<MasternodeRecord> {
        let record = MasternodeRecord {
            peer: self.keypair.peer_id(),
            addresses: vec![self.address.clone()],
            seal_key: None,
            collateral: Bytes::new(),
            operator: self.keypair.peer_id().wallet_address(),
            capacity_bytes: 0,
            issued_at: WALL,
            expires_at: WALL.after_s(3_600),
        };
        Verified::sign(record, &self.keypair).unwrap().signed().clone()
    }
}

/// Somebody who plays, and looks for holders again and again: too few of them are alive.
fn starving(world: &mut World, film: &Rc<Published>) -> (usize, u64) {
    let viewer = world.viewer(|config| config.webrtc = false);
    world.viewers[viewer].open(0, film);
    let read = world.viewers[viewer].read(0, film, 0..u64::MAX, Some(PACE));
    assert!(world.run(20_000, |world| world.viewers[viewer].reads[&read].got > 0));
    (3..NODES).for_each(|node| world.kill(node));
    (viewer, read)
}

/// Enough of them are back: it plays to the end.
#[track_caller]
fn assert_goes_on(world: &mut World, (viewer, read): (usize, u64)) {
    (0..NODES).for_each(|node| world.revive(node));
    assert!(world.run(120_000, |world| world.viewers[viewer].reads[&read].is_over));
}

#[test]
fn of_too_many_holders_the_first_are_remembered() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let watching = starving(&mut world, &film);
    let phantoms: Vec<_> =
        (0..HOLDERS_MAX + 40).map(|number| Phantom::new(number).holds(film.id())).collect();
    for some in phantoms.chunks(ANSWER_RECORDS) {
        world.nodes[..3].iter_mut().for_each(|node| node.known = some.to_vec());
        world.run(6_000, |_| false);
    }
    world.run(30_000, |_| false);
    assert_eq!(world.dialled_in_vain.len(), HOLDERS_MAX - NODES);
    assert_goes_on(&mut world, watching);
}

#[test]
fn of_too_many_masternodes_the_first_are_remembered() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let watching = starving(&mut world, &film);
    let phantoms: Vec<_> =
        (0..MASTERNODES_MAX + 40).map(|number| Phantom::new(number).is_masternode()).collect();
    for some in phantoms.chunks(ANSWER_RECORDS) {
        world.nodes[..3].iter_mut().for_each(|node| node.known_masternodes = some.to_vec());
        world.run(6_000, |_| false);
    }
    // Nobody is left who could be asked, so all that are known are tried.
    (0..3).for_each(|node| world.kill(node));
    world.run(30_000, |_| false);
    assert_eq!(world.dialled_in_vain.len(), MASTERNODES_MAX - NODES);
    assert_goes_on(&mut world, watching);
}

#[test]
fn no_more_links_are_dialled_at_once_than_the_limit_says() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    world.swallows_dials = true;
    let phantoms: Vec<_> = (0..50).map(|number| Phantom::new(number).holds(film.id())).collect();
    world.nodes.iter_mut().for_each(|node| node.known.extend(phantoms.iter().cloned()));
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(PACE));
    let mut most = 0;
    let over = world.run(200_000, |world| {
        most = most.max(world.dialling_in_vain.len());
        world.viewers[viewer].reads[&read].is_over
    });
    assert!(over);
    assert_eq!(most, DIALS_MAX);
    // Who doesn't answer makes room for the next.
    assert!(world.run(90_000, |world| world.dialled_in_vain.len() == phantoms.len()));
}

#[test]
fn no_more_of_the_cache_is_loaded_at_once_than_the_limit_says() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let first = world.viewer(|_| {});
    world.viewers[first].open(0, &film);
    let read = world.viewers[first].read(0, &film, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| world.viewers[first].reads[&read].is_over));
    let stored = world.viewers[first].stored.clone();
    world.leave(first);
    let again = world.viewer(|config| {
        let size = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap();
        config.cached = stored.iter().map(|(key, bytes)| (*key, size(bytes))).collect();
    });
    world.viewers[again].stored = stored;
    world.viewers[again].held_loads = Some(Vec::new());
    let now = world.now;
    world.viewers[again].open(now, &film);
    let segment_bytes = 6 * 8 * 1024;
    let reads: Vec<u64> = (0..u64::try_from(CACHE_LOADS_MAX).unwrap() + 8)
        .map(|at| {
            let range = 2 * at * segment_bytes..2 * at * segment_bytes + 1_000;
            world.viewers[again].read(now, &film, range, None)
        })
        .collect();
    let mut most = 0;
    loop {
        world.run(500, |_| false);
        let loads = world.viewers[again].held_loads.as_ref().map_or(0, Vec::len);
        most = most.max(loads);
        if loads == 0 && world.viewers[again].opened_at.is_some() {
            break;
        }
        let now = world.now;
        world.viewers[again].answer_loads(now);
    }
    assert_eq!(most, CACHE_LOADS_MAX);
    assert!(reads.iter().all(|read| world.viewers[again].reads[read].is_over));
}

#[test]
fn of_too_many_candidates_before_the_other_is_known_the_first_are_told() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    world.early_candidates = EARLY_CANDIDATES_MAX + 8;
    let viewers = [world.viewer(|_| {}), world.viewer(|_| {})];
    for viewer in viewers {
        world.viewers[viewer].open(0, &film);
    }
    let linked = |world: &World| {
        viewers.iter().all(|viewer| world.viewers[*viewer].engine.stats().viewers_up == 1)
    };
    assert!(world.run(20_000, linked));
    world.run(2_000, |_| false);
    for viewer in viewers {
        assert_eq!(world.candidates_told[&viewer], EARLY_CANDIDATES_MAX);
    }
}
