//! How many shards, and what that survives: [`Geometry`] and [`Durability`].

use std::fmt;

use pop_wire::limits::{DATA_SHARDS_MIN, TOTAL_SHARDS_MAX};

use crate::error::GeometryError;
use crate::limits::{
    LOSS_PER_TEN_THOUSAND, LOSS_PROBABILITY_MAX, NODES_MIN, WIDE_DATA_SHARDS, WIDE_TOTAL_SHARDS,
};

/// `n` shards per segment, any `k` of which rebuild it.
///
/// Publisher, holders and viewers agree on it through the signed manifest. A value of this type
/// has 2 <= k < n <= 255; whether it is safe to publish with depends on the network as well, and
/// only [`Geometry::new`] and [`Geometry::for_network`] answer that.
///
/// ```
/// use pop_erasure::Geometry;
///
/// let geometry = Geometry::for_network(27)?;
/// assert_eq!((geometry.k(), geometry.n()), (19, 27));
/// assert!(geometry.durability(27).is_certain());
/// assert!(Geometry::new(26, 27, 27).is_err(), "8 of 27 nodes may go, this survives only 1");
/// # Ok::<(), pop_erasure::GeometryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Geometry {
    k: u16,
    n: u16,
}

impl Geometry {
    /// A chosen geometry for a network of `nodes` masternodes, each keeping at most one column.
    ///
    /// # Errors
    /// The shape is impossible, there are fewer nodes than shards, or neither durability promise
    /// holds ([`GeometryError`] says which, with the numbers).
    pub fn new(k: u16, n: u16, nodes: u32) -> Result<Self, GeometryError> {
        let geometry = Self::danger_without_promise(k, n)?;
        let needed = NODES_MIN.max(u32::from(n));
        if nodes < needed {
            return Err(GeometryError::TooFewNodes { needed, nodes });
        }
        let durability = geometry.durability(nodes);
        if !durability.is_safe() {
            return Err(GeometryError::NotDurable {
                k,
                n,
                nodes,
                lost_nodes: durability.lost_nodes,
                tolerated: durability.tolerated_columns,
                loss_probability: durability.loss_probability,
            });
        }
        Ok(geometry)
    }

    /// The geometry the protocol recommends for a network of `nodes` masternodes.
    ///
    /// As wide as the network, up to 80 columns, with enough parity that *any* loss of 29.57 % is
    /// survived; where that would leave k < 30, (30, 80), which meets the random promise.
    ///
    /// # Errors
    /// [`GeometryError::TooFewNodes`] below three nodes.
    pub fn for_network(nodes: u32) -> Result<Self, GeometryError> {
        if nodes < NODES_MIN {
            return Err(GeometryError::TooFewNodes { needed: NODES_MIN, nodes });
        }
        let wide = u32::from(WIDE_TOTAL_SHARDS);
        let n = u16::try_from(nodes.min(wide)).unwrap_or(WIDE_TOTAL_SHARDS);
        let parity = u16::try_from(lost_nodes(nodes)).unwrap_or(u16::MAX);
        let k = n.saturating_sub(parity);
        if nodes <= wide || k >= WIDE_DATA_SHARDS {
            Self::new(k.max(DATA_SHARDS_MIN), n, nodes)
        } else {
            Self::new(WIDE_DATA_SHARDS, WIDE_TOTAL_SHARDS, nodes)
        }
    }

    /// Any possible shape, safe or not: for reading what somebody else published, and for tests.
    ///
    /// # Errors
    /// k < 2, k >= n or n > 255.
    pub fn danger_without_promise(k: u16, n: u16) -> Result<Self, GeometryError> {
        if n > TOTAL_SHARDS_MAX {
            return Err(GeometryError::TooManyShards { maximum: TOTAL_SHARDS_MAX, n });
        }
        if k < DATA_SHARDS_MIN {
            return Err(GeometryError::TooFewDataShards { minimum: DATA_SHARDS_MIN, k });
        }
        if k > n {
            return Err(GeometryError::MoreDataThanShards { k, n });
        }
        if k == n {
            return Err(GeometryError::NoParity { k });
        }
        Ok(Self { k, n })
    }

    /// Shards needed to rebuild a segment.
    #[must_use]
    pub fn k(self) -> u16 {
        self.k
    }

    /// Shards a segment has.
    #[must_use]
    pub fn n(self) -> u16 {
        self.n
    }

    /// What this geometry survives in a network of `nodes` masternodes with one column per holder.
    #[must_use]
    pub fn durability(self, nodes: u32) -> Durability {
        let lost_nodes = lost_nodes(nodes);
        let tolerated_columns = self.n - self.k;
        Durability {
            geometry: self,
            nodes,
            lost_nodes,
            tolerated_columns,
            loss_probability: loss_probability(nodes, self.n, lost_nodes, tolerated_columns),
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "any {} of {} shards", self.k, self.n)
    }
}

/// Both durability promises of a geometry in a network, computed exactly.
///
/// All columns of a content share one fate: holder `i` keeps shard `i` of every segment, so the
/// probability below is that of losing the whole content, not one segment of many.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Durability {
    /// The geometry judged.
    pub geometry: Geometry,
    /// Masternodes in the network.
    pub nodes: u32,
    /// Masternodes that go at once: `ceil(0.2957 * nodes)`.
    pub lost_nodes: u32,
    /// Columns that may go before the content does: n - k.
    pub tolerated_columns: u16,
    /// Probability that more than `tolerated_columns` of the n holders are among the lost nodes,
    /// when those are drawn at random: the exact hypergeometric tail.
    pub loss_probability: f64,
}

impl Durability {
    /// The deterministic promise: *any* loss of 29.57 % of the nodes is survived.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        u32::from(self.tolerated_columns) >= self.lost_nodes
    }

    /// The random promise: a random loss of 29.57 % of the nodes costs the content with a
    /// probability of at most 1e-9.
    #[must_use]
    pub fn is_improbable(&self) -> bool {
        self.loss_probability <= LOSS_PROBABILITY_MAX
    }

    /// Whether at least one of the two promises holds.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.is_certain() || self.is_improbable()
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { geometry, nodes, lost_nodes, tolerated_columns, loss_probability } = self;
        write!(
            formatter,
            "{geometry} on {nodes} nodes: {tolerated_columns} columns may go; \
             losing any {lost_nodes} nodes (29.57 %) is {}; losing {lost_nodes} at random costs \
             the content with probability {loss_probability:.1e}",
            if self.is_certain() { "survived with certainty" } else { "not always survived" },
        )
    }
}

/// `ceil(0.2957 * nodes)`.
fn lost_nodes(nodes: u32) -> u32 {
    let lost = (u64::from(nodes) * LOSS_PER_TEN_THOUSAND).div_ceil(10_000);
    u32::try_from(lost).unwrap_or(nodes)
}

/// Tail of the hypergeometric distribution: P(more than `tolerated` of `n` holders are among
/// `lost` of `nodes` nodes). Every term is positive and computed in log space, so nothing cancels
/// and tails far below 1e-100 stay exact to about twelve digits.
fn loss_probability(nodes: u32, n: u16, lost: u32, tolerated: u16) -> f64 {
    let n = u32::from(n).min(nodes);
    let kept = nodes - lost.min(nodes);
    let all = ln_binomial(nodes, n);
    let tail: f64 = (u32::from(tolerated) + 1..=n.min(lost))
        .filter(|hit| n - hit <= kept)
        .map(|hit| (ln_binomial(lost, hit) + ln_binomial(kept, n - hit) - all).exp())
        // Not `sum`: that of no terms at all is negative zero.
        .fold(0.0, |sum, term| sum + term);
    tail.min(1.0)
}

/// Natural logarithm of "`total` choose `chosen`", for `chosen` of a few hundred at most.
fn ln_binomial(total: u32, chosen: u32) -> f64 {
    (0..chosen).map(|i| (f64::from(total - i) / f64::from(i + 1)).ln()).sum()
}
