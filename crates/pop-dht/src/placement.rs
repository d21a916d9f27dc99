//! Which node keeps which column (`spec/dht.md` §9), for publishing and for repair, and how many
//! nodes a placement may lose.

use std::collections::{BTreeMap, BTreeSet};

use pop_wire::{ColumnIndex, ColumnSet, PeerId, WalletAddress};

use crate::{NetworkGroup, PlacementError};

/// A node that could take columns of one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub peer: PeerId,
    /// Who owns it.
    pub operator: WalletAddress,
    /// The network it is in.
    pub group: NetworkGroup,
    /// Columns of this content that it holds already.
    pub held: ColumnSet,
    /// Bytes it will still take.
    pub free_bytes: u64,
}

/// What is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementOrder {
    /// The columns.
    pub columns: ColumnSet,
    /// Bytes of one column on a node's disk.
    pub column_bytes: u64,
    /// Shards that rebuild a segment: k. No node ever gets that many columns.
    pub data_shards: u16,
    /// Decides between nodes that are otherwise equal. Random per content, so that contents
    /// don't all start with the same nodes.
    pub seed: [u8; 32],
}

/// Assign every column of `order` to a node: first nodes that hold none, then evenly; among
/// equally loaded nodes the operator with the fewest columns of this content, then the network
/// group with the fewest. No node reaches k columns.
///
/// For columns that no candidate holds, which is the case in publishing and in repair, it finds
/// an assignment whenever there is one.
///
/// # Errors
/// [`PlacementError`], with the numbers.
pub fn place(
    candidates: &[Candidate],
    order: &PlacementOrder,
) -> Result<BTreeMap<ColumnIndex, PeerId>, PlacementError> {
    if order.data_shards < 2 {
        return Err(PlacementError::DataShards { got: order.data_shards });
    }
    let mut peers = BTreeSet::new();
    if let Some(twice) = candidates.iter().find(|it| !peers.insert(it.peer)) {
        return Err(PlacementError::Duplicate { peer: twice.peer });
    }
    let mut nodes: Vec<Node> = candidates.iter().map(|it| Node::new(it, order)).collect();
    check_room(&nodes, order.columns.len())?;
    let mut loads = Loads::of(candidates);
    let mut placed = BTreeMap::new();
    for column in order.columns.iter() {
        let best = nodes
            .iter_mut()
            .filter(|node| node.room > 0 && !node.candidate.held.contains(column))
            .min_by_key(|node| {
                let candidate = node.candidate;
                let operator = loads.of_operator(&candidate.operator);
                let group = loads.of_group(&candidate.group);
                (node.load, operator, group, node.lot, candidate.peer)
            })
            .ok_or(PlacementError::HeldEverywhere { column })?;
        best.room -= 1;
        best.load += 1;
        loads.add(best.candidate, 1);
        placed.insert(column, best.candidate.peer);
    }
    Ok(placed)
}

fn check_room(nodes: &[Node<'_>], columns: usize) -> Result<(), PlacementError> {
    let room = nodes.iter().fold(0_usize, |sum, node| sum.saturating_add(node.room));
    if room >= columns {
        return Ok(());
    }
    let nodes = nodes.iter().filter(|node| node.room > 0).count();
    Err(PlacementError::NotEnoughRoom { columns, room, nodes })
}

/// A candidate while columns are handed out.
struct Node<'a> {
    candidate: &'a Candidate,
    /// Columns it has, old and new.
    load: usize,
    /// Columns it may still get.
    room: usize,
    /// Drawn by the seed.
    lot: [u8; 32],
}

impl<'a> Node<'a> {
    fn new(candidate: &'a Candidate, order: &PlacementOrder) -> Self {
        let load = candidate.held.len();
        // spec/dht.md §9: no node may reach k columns.
        let below_k = usize::from(order.data_shards).saturating_sub(1).saturating_sub(load);
        let on_disk = candidate
            .free_bytes
            .checked_div(order.column_bytes)
            .map_or(usize::MAX, |fits| usize::try_from(fits).unwrap_or(usize::MAX));
        let lot = blake3::keyed_hash(&order.seed, candidate.peer.public_key());
        Self { candidate, load, room: below_k.min(on_disk), lot: *lot.as_bytes() }
    }
}

/// Columns of this content per operator and per network group.
struct Loads {
    operators: BTreeMap<WalletAddress, usize>,
    groups: BTreeMap<NetworkGroup, usize>,
}

impl Loads {
    fn of(candidates: &[Candidate]) -> Self {
        let mut loads = Self { operators: BTreeMap::new(), groups: BTreeMap::new() };
        candidates.iter().for_each(|candidate| loads.add(candidate, candidate.held.len()));
        loads
    }

    fn add(&mut self, candidate: &Candidate, columns: usize) {
        *self.operators.entry(candidate.operator).or_default() += columns;
        *self.groups.entry(candidate.group).or_default() += columns;
    }

    fn of_operator(&self, operator: &WalletAddress) -> usize {
        self.operators.get(operator).copied().unwrap_or_default()
    }

    fn of_group(&self, group: &NetworkGroup) -> usize {
        self.groups.get(group).copied().unwrap_or_default()
    }
}

/// Different columns below `n` that are held at all.
pub fn distinct_columns(holdings: &[(PeerId, ColumnSet)], n: u16) -> usize {
    let all = holdings.iter().fold(ColumnSet::new(), |all, (_, held)| all.union(held));
    all.iter().filter(|column| column.get() < n).count()
}

/// The largest j such that *any* j of these nodes may die and at least `k` of the `n` columns
/// remain. Zero also if fewer than `k` are there to begin with: see [`distinct_columns`].
///
/// Exact if no column is held twice. Otherwise a lower bound, never more than the truth: a
/// column on c nodes is counted as lost by 1/c for each of them that dies, though it is lost
/// only once all of them are dead.
pub fn survivable_losses(holdings: &[(PeerId, ColumnSet)], k: u16, n: u16) -> usize {
    let copies = copies(holdings, n);
    let total = u64::try_from(copies.len()).unwrap_or(u64::MAX);
    let Some(spare) = total.checked_sub(u64::from(k)) else { return 0 };
    let mut weights: Vec<u64> = holdings.iter().map(|(_, held)| weight(held, &copies)).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let mut lost = 0_u64;
    let survived = weights.iter().take_while(|weight| {
        lost = lost.saturating_add(**weight);
        lost / WHOLE <= spare
    });
    survived.count()
}

/// The `j` nodes whose death hurts most: those without which the most columns are gone, and
/// among equals those with the most copies of rare ones. Exact if no column is held twice,
/// otherwise the greedy choice.
pub fn worst_case_losses(holdings: &[(PeerId, ColumnSet)], j: usize) -> Vec<PeerId> {
    let mut alive: Vec<(PeerId, ColumnSet)> = holdings.to_vec();
    let mut dead = Vec::new();
    while dead.len() < j && !alive.is_empty() {
        let copies = copies(&alive, u16::MAX);
        let worst = (0..alive.len()).max_by_key(|at| {
            let (peer, held) = &alive[*at];
            let last = held.iter().filter(|column| copies.get(column) == Some(&1)).count();
            (last, weight(held, &copies), core::cmp::Reverse(*peer))
        });
        dead.extend(worst.map(|at| alive.swap_remove(at).0));
    }
    dead
}

/// One column in the fixed-point numbers of [`weight`].
const WHOLE: u64 = 1 << 32;

/// How many nodes hold each column below `n`.
fn copies(holdings: &[(PeerId, ColumnSet)], n: u16) -> BTreeMap<ColumnIndex, u64> {
    let mut copies = BTreeMap::new();
    for column in holdings.iter().flat_map(|(_, held)| held.iter()) {
        if column.get() < n {
            *copies.entry(column).or_default() += 1;
        }
    }
    copies
}

/// A node's part in the columns it holds: 1/c of each, c nodes holding it, rounded up.
fn weight(held: &ColumnSet, copies: &BTreeMap<ColumnIndex, u64>) -> u64 {
    held.iter().filter_map(|column| copies.get(&column)).map(|c| WHOLE.div_ceil(*c)).sum()
}
