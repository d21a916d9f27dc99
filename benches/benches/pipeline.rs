//! Publishing and playing beside the sum of their stages, in one run: `cargo bench -p benches
//! --bench pipeline`. Criterion's rows first; then every operation once a round, in turn, so that
//! whatever else the machine does falls on all of them alike, and the ratios of each round.

mod pipeline {
    pub(crate) mod fixture;
    pub(crate) mod stages;
}

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use pipeline::fixture::Fixture;
use pipeline::stages::{self, Stages};

/// Rounds behind each ratio.
const ROUNDS: usize = 21;

type Operation<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    for (k, n, shard_bytes) in [(19, 27, 32 * 1024), (81, 115, 16 * 1024)] {
        let fixture = Fixture::new(k, n, shard_bytes);
        let (mut encoding, mut decoding) = (Stages::new(&fixture), Stages::new(&fixture));
        let mut operations = operations(&fixture, &mut encoding, &mut decoding);
        let mut group = criterion.benchmark_group(format!("pipeline ({k}, {n}) {shard_bytes} B"));
        group.throughput(Throughput::Bytes(fixture.plaintext_bytes()));
        for (name, operation) in &mut operations {
            group.bench_function(*name, |bencher| bencher.iter(&mut *operation));
        }
        group.finish();
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(&mut operations)).collect();
        report(&fixture, &rounds);
    }
    criterion.final_summary();
}

/// What is measured. Stages run on one thread each.
fn operations<'a>(
    fixture: &'a Fixture,
    encoding: &'a mut Stages,
    decoding: &'a mut Stages,
) -> Vec<Operation<'a>> {
    let (encoding, decoding) =
        (std::cell::RefCell::new(encoding), std::cell::RefCell::new(decoding));
    let (encoding, decoding) = (std::rc::Rc::new(encoding), std::rc::Rc::new(decoding));
    let (encode, hash_all) = (encoding.clone(), encoding.clone());
    let (decode, decrypt) = (decoding.clone(), decoding.clone());
    let (peer_encode, peer_decode) = (encoding.clone(), decoding);
    vec![
        ("encrypt", Box::new(move || encoding.borrow_mut().encrypt(fixture))),
        ("encode", Box::new(move || encode.borrow_mut().encode())),
        ("hash n", Box::new(move || hash_all.borrow().hash(fixture.n()))),
        ("publish, 1 thread", Box::new(|| fixture.one_thread(|| fixture.publish()))),
        ("publish, 2 threads", Box::new(|| fixture.two_threads(|| fixture.publish()))),
        ("hash k", Box::new(|| stages::hash_given(&fixture.data))),
        ("hash k, 2 threads", Box::new(|| fixture.two_threads(|| fixture.hash()))),
        ("decrypt", Box::new(move || decrypt.borrow_mut().decrypt(fixture))),
        ("play, nothing lost, 1 thread", Box::new(|| fixture.one_thread(|| fixture.play(false)))),
        ("play, nothing lost, 2 threads", Box::new(|| fixture.two_threads(|| fixture.play(false)))),
        ("decode", Box::new(move || decode.borrow_mut().decode(fixture))),
        ("play, worst loss, 1 thread", Box::new(|| fixture.one_thread(|| fixture.play(true)))),
        ("play, worst loss, 2 threads", Box::new(|| fixture.two_threads(|| fixture.play(true)))),
        ("reed-solomon-simd encode", Box::new(move || peer_encode.borrow_mut().peer_encode())),
        ("reed-solomon-simd decode", Box::new(move || peer_decode.borrow().peer_decode(fixture))),
    ]
}

fn round(operations: &mut [Operation<'_>]) -> BTreeMap<&'static str, f64> {
    let mut seconds = BTreeMap::new();
    for (name, operation) in operations {
        let start = now();
        operation();
        seconds.insert(*name, start.elapsed().as_secs_f64());
    }
    seconds
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn report(fixture: &Fixture, rounds: &[BTreeMap<&'static str, f64>]) {
    println!("\n{}, {ROUNDS} rounds of {} bytes:", fixture.name(), fixture.plaintext_bytes());
    println!("| what | MB/s, median | quartiles |\n|---|---|---|");
    let megabytes = fixture.megabytes();
    for name in rounds[0].keys() {
        let [low, median, high] = quartiles(rounds.iter().map(|it| megabytes / it[name]));
        println!("| {name} | {median:.0} | {low:.0} to {high:.0} |");
    }
    println!("\n| ratio of times | wanted | median | quartiles |\n|---|---|---|---|");
    let ratio = |name: &str, wanted, above: &[&str], below: &[&str]| {
        let sum = |round: &BTreeMap<_, f64>, names: &[&str]| -> f64 {
            names.iter().map(|name| round[name]).sum()
        };
        let [low, median, high] =
            quartiles(rounds.iter().map(|round| sum(round, above) / sum(round, below)));
        println!("| {name} | {wanted} | {median:.2} | {low:.2} to {high:.2} |");
    };
    let lossless = ["play, nothing lost, 1 thread", "play, nothing lost, 2 threads"];
    let worst = ["play, worst loss, 1 thread", "play, worst loss, 2 threads"];
    let publish = ["publish, 1 thread", "publish, 2 threads"];
    let stages = ["encrypt", "encode", "hash n"];
    ratio("publish / (encrypt + encode + hash)", "<= 1.10", &publish[..1], &stages);
    ratio("play / (hash + decrypt)", "<= 1.10", &lossless[..1], &["hash k", "decrypt"]);
    // All n shards are hashed: k as they come, the others to check the publisher.
    let stages = ["hash n", "decode", "decrypt"];
    ratio("play worst / (hash + decode + decrypt)", "<= 1.10", &worst[..1], &stages);
    // Nothing to wait for in it: what the machine gives to a second thread while this runs.
    ratio("hash alone: speed of 2 threads / 1", "", &["hash k"], &["hash k, 2 threads"]);
    for (name, [one, two]) in [("publish", publish), ("play", lossless), ("play worst", worst)] {
        ratio(&format!("{name}: speed of 2 threads / 1"), ">= 1.7", &[one], &[two]);
    }
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}
