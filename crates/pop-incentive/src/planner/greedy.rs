//! Filling a disk column by column.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use pop_wire::{Amount, ContentId};

use crate::ledger::portion;
use crate::planner::{Candidate, NodeBudget, Pick, PlanError, StoragePlan, earnings};

/// Of what there is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scarce {
    Disk,
    Upload,
    Both,
}

impl Scarce {
    pub(super) const ALL: [Self; 3] = [Self::Disk, Self::Upload, Self::Both];

    /// The part of what the node has that something takes, in 2^-32; at least one of these.
    fn part(self, budget: &NodeBudget, step: &Step) -> u128 {
        let part = |taken: u64, of: u64| (u128::from(taken) << 32) / u128::from(of.max(1));
        let disk = part(step.bytes, budget.quota_bytes);
        let upload = part(step.served_bytes, budget.upload_bytes);
        let part = match self {
            Self::Disk => disk,
            Self::Upload => upload,
            Self::Both => disk + upload,
        };
        part.max(1)
    }
}

/// Some more columns of one content.
struct Step {
    columns: u16,
    bytes: u64,
    served_bytes: u64,
    revenue: Amount,
    cost: Amount,
}

impl Step {
    fn profit(&self) -> Option<Amount> {
        self.revenue.checked_sub(self.cost).filter(|profit| *profit > Amount::ZERO)
    }
}

/// Place in the queue: profit for what is scarce, then fewest spare columns, then a name.
type Rank = (Amount, Reverse<u16>, Reverse<ContentId>, Reverse<usize>, bool);

struct Filling<'a> {
    candidates: &'a [Candidate],
    budget: &'a NodeBudget,
    scarce: Scarce,
    queue: BinaryHeap<Rank>,
    picks: BTreeMap<usize, Pick>,
    plan: StoragePlan,
}

pub(super) fn fill(
    candidates: &[Candidate],
    budget: &NodeBudget,
    scarce: Scarce,
) -> Result<StoragePlan, PlanError> {
    let (queue, picks, plan) = (BinaryHeap::new(), BTreeMap::new(), StoragePlan::default());
    let mut filling = Filling { candidates, budget, scarce, queue, picks, plan };
    for index in 0..candidates.len() {
        filling.offer(index, false)?;
    }
    while let Some((rank, _, _, Reverse(index), again)) = filling.queue.pop() {
        let Some((step, now)) = filling.next_step(index)? else { continue };
        // What is left of the upload may have shrunk since it was ranked: it gets one more chance.
        if now < rank && !again {
            filling.offer(index, true)?;
        } else if step.profit().is_some() {
            filling.take(index, &step)?;
            filling.offer(index, false)?;
        }
    }
    let mut plan = filling.plan;
    plan.picks = filling.picks.into_values().collect();
    plan.picks.sort_by_key(|pick| pick.content);
    Ok(plan)
}

impl Filling<'_> {
    /// Rank what could come next of a content.
    fn offer(&mut self, index: usize, again: bool) -> Result<(), PlanError> {
        if let Some((_, rank)) = self.next_step(index)? {
            let candidate = &self.candidates[index];
            let spare = Reverse(candidate.supply.spare());
            let name = Reverse(candidate.content);
            self.queue.push((rank, spare, name, Reverse(index), again));
        }
        Ok(())
    }

    /// The next column of a content, or as many as it takes for the content not to be lost, if
    /// that fits on the disk and is worth it.
    fn next_step(&self, index: usize) -> Result<Option<(Step, Amount)>, PlanError> {
        let candidate = &self.candidates[index];
        let supply = candidate.supply;
        let before = self.picks.get(&index).map_or(0, |pick| pick.columns);
        let missing = supply.k().saturating_sub(supply.live()).max(1);
        let columns = if before == 0 { missing } else { 1 };
        let after = before.saturating_add(columns);
        // No holder has k columns, and what nobody has can't be got.
        let obtainable = if supply.is_lost() { candidate.held } else { u16::MAX };
        if after >= supply.k().max(2) || after > supply.n() || after > obtainable {
            return Ok(None);
        }
        let Some(step) = self.step(candidate, before, after).ok_or(PlanError::Overflow)? else {
            return Ok(None);
        };
        let Some(profit) = step.profit() else { return Ok(None) };
        let part = self.scarce.part(self.budget, &step);
        let rank = portion(profit, 1 << 32, part).unwrap_or(Amount::from_base_units(u128::MAX));
        Ok(Some((step, rank)))
    }

    /// `None` on overflow; `Some(None)` if it doesn't fit on the disk.
    fn step(&self, candidate: &Candidate, before: u16, after: u16) -> Option<Option<Step>> {
        let columns = after - before;
        let Some(bytes) = candidate.column_bytes.checked_mul(columns.into()) else {
            return Some(None);
        };
        if bytes > self.budget.quota_bytes.saturating_sub(self.plan.bytes) {
            return Some(None);
        }
        let (served_before, revenue_before) = earnings(candidate, before)?;
        let (served_after, revenue_after) = earnings(candidate, after)?;
        let mut served_bytes = served_after.saturating_sub(served_before);
        // More columns can make all of them cheaper by more than they bring.
        let mut revenue = revenue_after.checked_sub(revenue_before).unwrap_or(Amount::ZERO);
        let left = self.budget.upload_bytes.saturating_sub(self.plan.served_bytes);
        if served_bytes > left {
            revenue = portion(revenue, left.into(), served_bytes.into())?;
            served_bytes = left;
        }
        let new = after.saturating_sub(before.max(candidate.held));
        let disk = self.budget.storage.of(bytes, self.budget.horizon_s)?;
        let cost = disk.checked_add(candidate.acquire.checked_mul(new.into())?)?;
        Some(Some(Step { columns, bytes, served_bytes, revenue, cost }))
    }

    fn take(&mut self, index: usize, step: &Step) -> Result<(), PlanError> {
        let content = self.candidates[index].content;
        let pick = self.picks.entry(index).or_insert(Pick {
            content,
            columns: 0,
            served_bytes: 0,
            revenue: Amount::ZERO,
            cost: Amount::ZERO,
        });
        let add = |sum: Amount, more| sum.checked_add(more).ok_or(PlanError::Overflow);
        pick.columns += step.columns;
        pick.served_bytes += step.served_bytes;
        pick.revenue = add(pick.revenue, step.revenue)?;
        pick.cost = add(pick.cost, step.cost)?;
        let plan = &mut self.plan;
        plan.bytes += step.bytes;
        plan.served_bytes += step.served_bytes;
        plan.revenue = add(plan.revenue, step.revenue)?;
        plan.cost = add(plan.cost, step.cost)?;
        Ok(())
    }
}
