//! Group `incentive`: vouchers beside bare k256, and a durable ledger beside bare redb, one thread.
//! Criterion's rows first; then every operation once a round, in turn, so that whatever else the
//! machine does falls on all of them alike, and the ratios of each round.
//!
//! ```text
//! cargo bench -p benches --no-default-features --bench incentive
//! ```

mod incentive {
    pub(crate) mod ledger;
    pub(crate) mod vouchers;
}

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

/// Something that is measured: what `prepare` does doesn't count.
pub(crate) struct Operation<'a> {
    pub(crate) name: &'static str,
    /// How many of it one `run` does.
    pub(crate) count: u32,
    pub(crate) prepare: Box<dyn FnMut() + 'a>,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

impl Operation<'_> {
    fn time(&mut self) -> Duration {
        (self.prepare)();
        let start = now();
        (self.run)();
        start.elapsed()
    }
}

/// A ratio that is reported: the speed of one operation, as a part of another's.
pub(crate) struct Ratio {
    pub(crate) of: &'static str,
    pub(crate) to: &'static str,
    pub(crate) wanted: &'static str,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    incentive::vouchers::run(&mut criterion);
    incentive::ledger::run(&mut criterion);
    criterion.final_summary();
}

/// Criterion's rows, then the rounds.
pub(crate) fn measure(
    criterion: &mut Criterion,
    rounds: usize,
    operations: &mut [Operation<'_>],
    ratios: &[Ratio],
) {
    let mut group = criterion.benchmark_group("incentive");
    for operation in &mut *operations {
        group.throughput(Throughput::Elements(operation.count.into()));
        group.bench_function(operation.name, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| operation.time()).sum());
        });
    }
    group.finish();
    // `cargo test --benches` only wants to know that it builds and starts.
    let rounds = if std::env::args().any(|it| it == "--test") { 1 } else { rounds };
    let seconds: Vec<Vec<f64>> =
        (0..rounds).map(|_| operations.iter_mut().map(seconds_per_operation).collect()).collect();
    report(operations, &seconds, ratios);
}

fn seconds_per_operation(operation: &mut Operation<'_>) -> f64 {
    operation.time().as_secs_f64() / f64::from(operation.count)
}

fn report(operations: &[Operation<'_>], rounds: &[Vec<f64>], ratios: &[Ratio]) {
    println!("\n{} rounds:", rounds.len());
    println!("| what | at a time | per second, median | quartiles |\n|---|---|---|---|");
    for (index, operation) in operations.iter().enumerate() {
        let [low, median, high] = quartiles(rounds.iter().map(|round| 1.0 / round[index]));
        let (name, count) = (operation.name, operation.count);
        println!("| {name} | {count} | {median:.0} | {low:.0} to {high:.0} |");
    }
    println!("\n| speed | wanted | median | quartiles |\n|---|---|---|---|");
    let index = |name: &str| operations.iter().position(|it| it.name == name).expect("is measured");
    for Ratio { of, to, wanted } in ratios {
        let (above, below) = (index(to), index(of));
        let [low, median, high] = quartiles(rounds.iter().map(|round| round[above] / round[below]));
        println!("| {of} / {to} | {wanted} | {median:.3} | {low:.3} to {high:.3} |");
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}
