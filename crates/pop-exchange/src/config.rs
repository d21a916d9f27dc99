//! Settings of the machines: start from the default, set fields.

use pop_wire::limits::AGENT_BYTES_MAX;
use pop_wire::{Bound, MasternodeRecord, Signed};

use crate::Error;
use crate::limits::SHARD_MAX;

/// How one side of a link introduces itself in its hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Name and version of the program, for logs; at most 64 bytes.
    pub agent: String,
    /// Its own signed record, if it is a masternode. Not verified when it comes from a peer.
    pub masternode: Option<Signed<MasternodeRecord>>,
}

impl Default for Introduction {
    /// The name of this crate, and no masternode.
    fn default() -> Self {
        let agent = concat!("pop-exchange/", env!("CARGO_PKG_VERSION")).to_owned();
        Self { agent, masternode: None }
    }
}

/// Settings of a [`Provider`](crate::provider::Provider).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// What is said in the hello.
    pub introduction: Introduction,
    /// Payload read from the store and not yet flushed to the network, over all links, in bytes.
    /// The bound holds whatever number of peers ask.
    pub payload_bytes_max: u64,
    /// The same for one link, in bytes. With many busy links each gets its fair share of the
    /// total, if that is less.
    pub payload_bytes_per_link_max: u64,
    /// Links open at once; further ones are closed at once.
    pub links_max: usize,
    /// Links of one peer open at once.
    pub links_per_peer_max: usize,
    /// Shard requests queued over all links; further ones are refused as busy.
    pub requests_max: usize,
    /// Uploads open over all links; further ones are refused as busy.
    pub uploads_max: usize,
    /// Lookups of holders under way over all links; further ones are refused as busy.
    pub lookups_max: usize,
    /// Credit of one upload, in bytes: what its sender may have on the way.
    pub upload_window_bytes: u64,
    /// Payload that a peer may take before the shell grants more with
    /// [`Input::Allowance`](crate::provider::Input::Allowance), in bytes; `u64::MAX` for free.
    pub allowance_bytes: u64,
    /// How long requests wait for allowance before they are refused as *payment due*, in
    /// milliseconds, and how long a peer is then to wait. Long enough for a payment on its way.
    pub payment_wait_ms_max: u64,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            introduction: Introduction::default(),
            payload_bytes_max: 64 * 1024 * 1024,
            payload_bytes_per_link_max: 4 * 1024 * 1024,
            links_max: 2048,
            links_per_peer_max: 32,
            requests_max: 65_536,
            uploads_max: 64,
            lookups_max: 64,
            upload_window_bytes: 1024 * 1024,
            allowance_bytes: u64::MAX,
            payment_wait_ms_max: 2_000,
        }
    }
}

impl ProviderConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_introduction(&self.introduction)?;
        at_least("payload_bytes_max", SHARD_MAX, self.payload_bytes_max)?;
        at_least("payload_bytes_per_link_max", SHARD_MAX, self.payload_bytes_per_link_max)?;
        at_least("upload_window_bytes", SHARD_MAX, self.upload_window_bytes)
    }
}

/// How many shards beyond k are asked for inside the urgent window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraShards {
    /// `max(1, floor((n - o) k / o))` with `o = floor(8 n / 11)`: Storj's rule and proportions.
    Auto,
    /// This many; zero asks for k and relies on hedging.
    Fixed(u16),
}

/// Settings of a [`Fetcher`](crate::fetcher::Fetcher).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetcherConfig {
    /// What is said in the hello.
    pub introduction: Introduction,
    /// Shards held and on their way together, in bytes, until the shell releases their segment.
    /// At least two segments.
    pub window_bytes_max: u64,
    /// A segment whose deadline is nearer than this is urgent, in milliseconds.
    pub urgent_window_ms: u64,
    /// While there are viewers among the sources, a segment whose deadline is further than this
    /// is *far*, in milliseconds: it is asked of viewers alone, and of masternodes only where
    /// chance picks it, once a second with a probability of 1 / (viewers + 1), so that viewers
    /// have something to offer each other. More is near while masternodes answer slowly
    /// ([`Fetcher::near_ms`](crate::fetcher::Fetcher::near_ms)). `u64::MAX` asks for everything in
    /// order at once.
    /// Without deadlines nothing is far.
    pub far_window_ms: u64,
    /// Shards asked beyond k for segments whose deadline is nearer than `extra_window_ms`.
    pub extra_shards: ExtraShards,
    /// See `extra_shards`, in milliseconds. What is asked beyond k mostly comes in vain, so
    /// where bytes count this is less than `urgent_window_ms`.
    pub extra_window_ms: u64,
    /// Work queued at one source, in milliseconds of its measured throughput.
    pub queue_ms_max: u64,
    /// A request is never hedged before this age, in milliseconds.
    pub hedge_floor_ms: u64,
    /// Time without progress that counts as a strike against a masternode, in milliseconds.
    pub masternode_no_progress_ms: u64,
    /// Time without progress that counts as a strike against a viewer, in milliseconds.
    pub viewer_no_progress_ms: u64,
    /// Strikes in a row after which a source is left alone.
    pub strikes_max: u64,
    /// How long a source is left alone, in milliseconds.
    pub rest_ms: u64,
    /// Say what is asked for ([`Output::Asked`](crate::fetcher::Output::Asked)) and what came
    /// ([`Output::Received`](crate::fetcher::Output::Received)), for whoever pays. Shards that
    /// come too late are verified then too, which costs their hashing.
    pub accounts: bool,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            introduction: Introduction::default(),
            window_bytes_max: 32 * 1024 * 1024,
            urgent_window_ms: 15_000,
            far_window_ms: 30_000,
            extra_shards: ExtraShards::Auto,
            extra_window_ms: 15_000,
            queue_ms_max: 2_000,
            hedge_floor_ms: 300,
            masternode_no_progress_ms: 3_000,
            viewer_no_progress_ms: 2_000,
            strikes_max: 3,
            rest_ms: 60_000,
            accounts: false,
        }
    }
}

/// Settings of an [`Uploader`](crate::uploader::Uploader).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UploaderConfig {
    /// What is said in the hello.
    pub introduction: Introduction,
    /// Shards asked from the shell and not yet sent, a column.
    pub shards_ahead_max: u64,
    /// Time without any sign of progress from the holder after which it has failed, in
    /// milliseconds.
    pub stall_ms_max: u64,
    /// Times a busy holder is asked again, a column.
    pub busy_tries_max: u32,
}

impl Default for UploaderConfig {
    fn default() -> Self {
        Self {
            introduction: Introduction::default(),
            shards_ahead_max: 8,
            stall_ms_max: 20_000,
            busy_tries_max: 20,
        }
    }
}

pub(crate) fn at_least(field: &'static str, min: u64, got: u64) -> Result<(), Error> {
    let expected = Bound { min, max: u64::MAX };
    if got < min { Err(Error::Setting { field, expected, got }) } else { Ok(()) }
}

/// The hello has room for so much.
pub(crate) fn check_introduction(introduction: &Introduction) -> Result<(), Error> {
    let to_u64 = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let expected = Bound::at_most(to_u64(AGENT_BYTES_MAX));
    let got = to_u64(introduction.agent.len());
    if got > expected.max {
        return Err(Error::Setting { field: "bytes of agent", expected, got });
    }
    Ok(())
}
