//! What a holder knows of how rare its contents are: counted now and then, so that it can ask what
//! scarcity is worth (`spec/incentive.md` §15.2).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pop_wire::{ColumnSet, ContentId};

use crate::node::Inner;
use crate::serve::Server;

/// Contents that are counted at once; the rest waits for the next time.
const COUNTED_MAX: usize = 64;

/// Count the live columns of what this node holds, again and again, and tell the server.
pub(crate) async fn count_now_and_then(inner: Arc<Inner>, server: Server) {
    let every = Duration::from_secs(inner.settings.scarcity_interval_s);
    let mut last: Option<ContentId> = None;
    loop {
        tokio::time::sleep(every).await;
        let Some(store) = &inner.store else { return };
        let contents = store.contents();
        // Round and round, if there are more than are counted at once.
        let after = |content: &&ContentId| last.is_none_or(|last| **content > last);
        let mut next: Vec<_> = contents.iter().filter(after).take(COUNTED_MAX).copied().collect();
        if next.is_empty() {
            next = contents.into_iter().take(COUNTED_MAX).collect();
        }
        last = next.last().copied();
        let masternodes = inner.live_masternodes().await;
        let mut live = BTreeMap::new();
        for content in next {
            let others = inner.live_holdings(content, &masternodes).await;
            let own = store.holdings(&content);
            let all = others.values().fold(own, |all: ColumnSet, set| all.union(set));
            live.insert(content, u16::try_from(all.len()).unwrap_or(u16::MAX));
        }
        server.counted(live).await;
    }
}
