//! 1 GiB from one holder process over loopback TCP, beside nothing but bytes on the same stream.
//!
//! Included in `verified`: requests, frames, credit, BLAKE3 of every shard and its proof up to the
//! signed root. `decrypted` adds decoding (no shard is lost) and AES-256-GCM. Not included:
//! lookup, the holder's disk. `raw` is a stream of libp2p as it comes (Noise, Yamux), the measure
//! of the goal; `raw_pop` one over the transport of `pop-node`, which the other two use.

use std::time::Duration;

use benches::network::{self, Stack};
use benches::process::Peer;
use benches::{Error, raw, shards};
use criterion::{Criterion, SamplingMode, Throughput};
use libp2p::{Multiaddr, Swarm};
use pop_erasure::Content;
use pop_exchange::libp2p::Behaviour;
use pop_node::clock;
use shards::Then;
use tokio::runtime::Runtime;

/// Bytes fetched in one go.
const BYTES: u64 = 1 << 30;

/// Rounds of all cases one after the other, for the ratio.
const ROUNDS: usize = 7;

struct Cases {
    raw: Multiaddr,
    raw_pop: Multiaddr,
    shards: Multiaddr,
    content: Content,
}

/// One fetch over a connection of its own; the time from the opened stream to the last byte.
async fn fetch(cases: &Cases, case: &str) -> Result<Duration, Error> {
    let (stack, address) = match case {
        "raw" => (Stack::Stock, &cases.raw),
        "raw_pop" => (Stack::Pop, &cases.raw_pop),
        _ => (Stack::Pop, &cases.shards),
    };
    let mut swarm: Swarm<Behaviour> = network::swarm(clock::random_bytes()?, stack)?;
    let (peer, stream) = network::open(&mut swarm, address).await?;
    let running = network::spawn(swarm);
    let started = clock::monotonic_now();
    // In a task of its own, as in a node: not on the thread that waits for the result.
    let content = cases.content.clone();
    let case = case.to_owned();
    let fetching = tokio::spawn(async move {
        match case.as_str() {
            "raw" | "raw_pop" => raw::fetch(stream, BYTES).await,
            "verified" => shards::fetch(&content, peer, stream, Then::Drop).await.map(drop),
            _ => shards::fetch(&content, peer, stream, Then::Decrypt).await.map(drop),
        }
    });
    fetching.await??;
    let elapsed = started.elapsed();
    running.abort();
    Ok(elapsed)
}

/// The criterion cases, and the ratio from rounds that take turns.
pub(crate) fn run(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), Error> {
    let raw = Peer::start(crate::PEER, &["raw"])?;
    let raw_pop = Peer::start(crate::PEER, &["raw-pop"])?;
    let holder = Peer::start(crate::PEER, &["shards", &BYTES.to_string()])?;
    let (address, manifest) = holder.ready().split_once(' ').ok_or("expected a manifest")?;
    let cases = Cases {
        raw: raw.ready().parse()?,
        raw_pop: raw_pop.ready().parse()?,
        shards: address.parse()?,
        content: shards::content(manifest)?,
    };
    let names = ["raw", "raw_pop", "verified", "decrypted"];
    let mut group = criterion.benchmark_group("transfer/one_holder");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(BYTES));
    for name in names {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let once = |_| runtime.block_on(fetch(&cases, name)).expect("the holder is up");
                (0..iterations).map(once).sum()
            });
        });
    }
    group.finish();

    let mut ratios = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let base = runtime.block_on(fetch(&cases, "raw"))?.as_secs_f64();
        for (name, ratios) in names.iter().zip(&mut ratios).skip(1) {
            ratios.push(base / runtime.block_on(fetch(&cases, name))?.as_secs_f64());
        }
    }
    for (name, ratios) in names.iter().zip(&mut ratios).skip(1) {
        ratios.sort_by(f64::total_cmp);
        let (least, middle, most) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
        println!(
            "transfer/one_holder: {name} / raw = {middle:.2} ({least:.2}..{most:.2}), \
             n = {ROUNDS}, goal of verified and decrypted 0.70"
        );
    }
    Ok(())
}
