//! Columns to nodes: none twice, nobody reaches k, nodes with none first, then evenly, spread
//! over operators and networks.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use pop_dht::placement::{
    Candidate, PlacementOrder, distinct_columns, place, survivable_losses, worst_case_losses,
};
use pop_dht::{NetworkGroup, PlacementError};
use pop_wire::{ColumnIndex, ColumnSet, PeerId, WalletAddress};
use proptest::prelude::*;

use support::{columns, peer};

fn candidate(number: u32, operator: u8, network: u8) -> Candidate {
    Candidate {
        peer: peer(number),
        operator: WalletAddress([operator; 20]),
        group: NetworkGroup::V4([80, 0, network]),
        held: ColumnSet::new(),
        free_bytes: 1 << 30,
    }
}

fn order(columns: ColumnSet, data_shards: u16) -> PlacementOrder {
    PlacementOrder { columns, column_bytes: 1 << 20, data_shards, seed: [5; 32] }
}

fn counts<K: Ord>(
    candidates: &[Candidate],
    placed: &BTreeMap<ColumnIndex, PeerId>,
    by: impl Fn(&Candidate) -> K,
) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for candidate in candidates {
        let new = placed.values().filter(|peer| **peer == candidate.peer).count();
        *counts.entry(by(candidate)).or_default() += new + candidate.held.len();
    }
    counts
}

#[test]
fn as_many_nodes_as_columns_get_one_each() {
    let nodes: Vec<_> = (0..27).map(|n| candidate(n, 1, 1)).collect();
    let placed = place(&nodes, &order(ColumnSet::all(27), 19)).unwrap();
    assert_eq!(BTreeSet::from_iter(placed.values()).len(), 27);
}

#[test]
fn repair_goes_first_to_nodes_that_hold_none_then_evenly() {
    let mut nodes: Vec<_> = (0..19).map(|n| candidate(n, 1, 1)).collect();
    for (column, node) in (0..17).zip(&mut nodes) {
        node.held = columns([column]);
    }
    let placed = place(&nodes, &order(columns(17..27), 19)).unwrap();
    let load = counts(&nodes, &placed, |it| it.peer);
    assert!(load[&peer(17)] >= 1 && load[&peer(18)] >= 1);
    assert!(load.values().all(|count| (1..=2).contains(count)), "{load:?}");
}

#[test]
fn one_operator_with_many_nodes_gets_no_more_than_it_must() {
    // 40 nodes of one operator, 20 of as many others; 30 columns: each other gets one.
    let mut nodes: Vec<_> = (0..40).map(|n| candidate(n, 0, 9)).collect();
    nodes.extend((40..60_u8).map(|n| candidate(n.into(), n, n)));
    let placed = place(&nodes, &order(ColumnSet::all(30), 20)).unwrap();
    let operators = counts(&nodes, &placed, |it| it.operator);
    assert_eq!(operators[&WalletAddress([0; 20])], 10);
}

#[test]
fn among_operators_alike_the_networks_are_spread() {
    // 12 operators with a node each; four networks of three nodes; 8 columns: two per network.
    let nodes: Vec<_> = (0..12_u8).map(|n| candidate(n.into(), n, n % 4)).collect();
    let placed = place(&nodes, &order(ColumnSet::all(8), 5)).unwrap();
    assert!(counts(&nodes, &placed, |it| it.group).values().all(|count| *count == 2));
}

#[test]
fn nobody_reaches_k_even_if_columns_stay_without_a_place() {
    let nodes: Vec<_> = (0..3).map(|n| candidate(n, 1, 1)).collect();
    let placed = place(&nodes, &order(ColumnSet::all(6), 3)).unwrap();
    assert!(counts(&nodes, &placed, |it| it.peer).values().all(|count| *count == 2));
    let got = place(&nodes, &order(ColumnSet::all(7), 3));
    assert_eq!(got, Err(PlacementError::NotEnoughRoom { columns: 7, room: 6, nodes: 3 }));
    let mut held = nodes.clone();
    held[0].held = columns([100, 101]);
    let got = place(&held, &order(ColumnSet::all(5), 3));
    assert_eq!(got, Err(PlacementError::NotEnoughRoom { columns: 5, room: 4, nodes: 2 }));
}

#[test]
fn a_node_without_space_gets_nothing() {
    let mut nodes: Vec<_> = (0..4).map(|n| candidate(n, 1, 1)).collect();
    nodes[0].free_bytes = (1 << 20) - 1;
    nodes[1].free_bytes = 1 << 20;
    let placed = place(&nodes, &order(ColumnSet::all(7), 8)).unwrap();
    let load = counts(&nodes, &placed, |it| it.peer);
    assert_eq!((load[&peer(0)], load[&peer(1)]), (0, 1));
    // Columns of no bytes fit anywhere.
    let mut nothing = order(ColumnSet::all(4), 8);
    nothing.column_bytes = 0;
    nodes.iter_mut().for_each(|node| node.free_bytes = 0);
    assert_eq!(place(&nodes, &nothing).unwrap().len(), 4);
}

#[test]
fn orders_that_make_no_sense_are_refused_by_name() {
    let nodes = [candidate(1, 1, 1), candidate(2, 1, 1), candidate(1, 1, 1)];
    let got = place(&nodes, &order(ColumnSet::all(2), 2));
    assert_eq!(got, Err(PlacementError::Duplicate { peer: peer(1) }));
    let got = place(&nodes[..2], &order(ColumnSet::all(2), 1));
    assert_eq!(got, Err(PlacementError::DataShards { got: 1 }));
    let got = place(&[], &order(ColumnSet::all(1), 2));
    assert_eq!(got, Err(PlacementError::NotEnoughRoom { columns: 1, room: 0, nodes: 0 }));
    let mut everywhere = nodes[..2].to_vec();
    everywhere.iter_mut().for_each(|node| node.held = columns([0]));
    let got = place(&everywhere, &order(ColumnSet::all(1), 3));
    assert_eq!(got, Err(PlacementError::HeldEverywhere { column: ColumnIndex::new(0).unwrap() }));
    assert_eq!(place(&everywhere, &order(ColumnSet::new(), 3)), Ok(BTreeMap::new()));
}

#[test]
fn the_seed_decides_between_equals_and_nothing_else_does() {
    let nodes: Vec<_> = (0..20).map(|n| candidate(n, 1, 1)).collect();
    let mut reversed = nodes.clone();
    reversed.reverse();
    let first = order(ColumnSet::all(5), 3);
    let second = PlacementOrder { seed: [6; 32], ..first.clone() };
    assert_eq!(place(&nodes, &first), place(&reversed, &first));
    assert_ne!(place(&nodes, &first), place(&nodes, &second));
}

#[test]
fn the_demo_network_survives_what_is_promised() {
    // N = 27, k = 19: 8 may die at once; the repaired placement on 19 nodes again survives some.
    let whole: Vec<_> = (0..27).map(|n| (peer(u32::from(n)), columns([n]))).collect();
    assert_eq!(survivable_losses(&whole, 19, 27), 8);
    let mut nodes: Vec<_> = (8..27).map(|n| candidate(n, 1, 1)).collect();
    for (column, node) in (8..27).zip(&mut nodes) {
        node.held = columns([column]);
    }
    let placed = place(&nodes, &order(columns(0..8), 19)).unwrap();
    let repaired: Vec<_> = nodes
        .iter()
        .map(|node| {
            let new = placed.iter().filter(|(_, peer)| **peer == node.peer);
            (node.peer, node.held.union(&new.map(|(column, _)| *column).collect()))
        })
        .collect();
    assert_eq!(distinct_columns(&repaired, 27), 27);
    // 8 nodes hold two, 11 hold one: the four worst cost 8 columns.
    assert_eq!(survivable_losses(&repaired, 19, 27), 4);
    let dead = worst_case_losses(&repaired, 4);
    let left: Vec<_> = repaired.into_iter().filter(|(peer, _)| !dead.contains(peer)).collect();
    assert_eq!(distinct_columns(&left, 27), 19);
}

#[test]
fn what_is_lost_already_survives_nothing() {
    let few = [(peer(1), columns([0])), (peer(2), columns([1]))];
    assert_eq!(survivable_losses(&few, 3, 6), 0);
    assert_eq!(survivable_losses(&[], 2, 6), 0);
    // Columns from n on don't count.
    let odd = [(peer(1), columns([0, 90])), (peer(2), columns([1, 91])), (peer(3), columns([2]))];
    assert_eq!((distinct_columns(&odd, 6), survivable_losses(&odd, 2, 6)), (3, 1));
}

type Holdings = Vec<(PeerId, ColumnSet)>;

fn remaining(holdings: &[(PeerId, ColumnSet)], dead: u32, n: u16) -> usize {
    let alive = (0_u32..).zip(holdings).filter(|(at, _)| dead & (1 << at) == 0);
    distinct_columns(&alive.map(|(_, node)| *node).collect::<Vec<_>>(), n)
}

/// The truth, by trying every set of nodes.
fn survivable_by_force(holdings: &[(PeerId, ColumnSet)], k: u16, n: u16) -> usize {
    let nodes = u32::try_from(holdings.len()).unwrap();
    let fatal = (0..1_u32 << nodes)
        .filter(|dead| remaining(holdings, *dead, n) < usize::from(k))
        .map(u32::count_ones)
        .min();
    usize::try_from(fatal.map_or(nodes, |count| count.saturating_sub(1))).unwrap()
}

fn disjoint() -> impl Strategy<Value = Holdings> {
    prop::collection::vec(0..8_u32, 24).prop_map(|owners| {
        let of = |owner| (0_u16..).zip(&owners).filter(move |(_, it)| **it == owner);
        (0..8).map(|owner| (peer(owner), columns(of(owner).map(|(column, _)| column)))).collect()
    })
}

fn overlapping() -> impl Strategy<Value = Holdings> {
    prop::collection::vec(prop::collection::btree_set(0..12_u16, 0..6), 1..8).prop_map(|nodes| {
        (0..).zip(nodes).map(|(number, held)| (peer(number), columns(held))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn survivable_losses_are_exact_for_disjoint_columns(nodes in disjoint(), k in 1..26_u16) {
        prop_assert_eq!(survivable_losses(&nodes, k, 24), survivable_by_force(&nodes, k, 24));
    }

    #[test]
    fn survivable_losses_never_promise_too_much(nodes in overlapping(), k in 1..12_u16) {
        prop_assert!(survivable_losses(&nodes, k, 12) <= survivable_by_force(&nodes, k, 12));
    }

    #[test]
    fn the_worst_losses_of_disjoint_columns_are_the_worst(nodes in disjoint(), j in 0..8_usize) {
        let dead = worst_case_losses(&nodes, j);
        prop_assert_eq!(dead.len(), j);
        let left: Holdings = nodes.iter().filter(|it| !dead.contains(&it.0)).copied().collect();
        let worst = (0..1_u32 << nodes.len())
            .filter(|dead| dead.count_ones() == u32::try_from(j).unwrap())
            .map(|dead| remaining(&nodes, dead, 24))
            .min();
        prop_assert_eq!(Some(distinct_columns(&left, 24)), worst);
    }

    /// Any candidates, any columns that nobody holds: everything is placed whenever it fits, and
    /// the result keeps every promise.
    #[test]
    fn every_placement_keeps_every_promise(
        held in prop::collection::vec((0..4_usize, 0..4_u8, 0..4_u8, 0..6_u64), 1..20),
        count in 0..40_u16,
        k in 2..8_u16,
    ) {
        let mut nodes = Vec::new();
        let mut next = 100;
        for (number, (held, operator, network, space)) in (0..).zip(held) {
            let mut node = candidate(number, operator, network);
            node.held = columns((0..held).map(|_| { next += 1; next }));
            node.free_bytes = space << 20;
            nodes.push(node);
        }
        let room = |node: &Candidate| {
            usize::from(k - 1).saturating_sub(node.held.len())
                .min(usize::try_from(node.free_bytes >> 20).unwrap())
        };
        let fits = nodes.iter().map(room).sum::<usize>();
        let result = place(&nodes, &order(ColumnSet::all(count), k));
        if fits < usize::from(count) {
            let with_room = nodes.iter().filter(|node| room(node) > 0).count();
            let columns = usize::from(count);
            prop_assert_eq!(
                result,
                Err(PlacementError::NotEnoughRoom { columns, room: fits, nodes: with_room })
            );
            return Ok(());
        }
        let placed = result.unwrap();
        prop_assert_eq!(placed.len(), usize::from(count));
        let new = |node: &Candidate| placed.values().filter(|it| **it == node.peer).count();
        for node in &nodes {
            prop_assert!(new(node) <= room(node));
            prop_assert!(new(node) == 0 || node.held.len() + new(node) < usize::from(k));
        }
        // Evenly: nobody got one while somebody with room had two fewer.
        let highest = nodes.iter().filter(|it| new(it) > 0).map(|it| it.held.len() + new(it)).max();
        for node in nodes.iter().filter(|it| new(it) < room(it)) {
            prop_assert!(node.held.len() + new(node) + 1 >= highest.unwrap_or(0));
        }
    }
}
