//! Group `transfer`: one holder beside a raw stream, the time to the first byte, and a holder's
//! memory under a crowd. The crowd of processes is in `fetch_27.py` beside this.
//!
//! ```text
//! cargo bench -p benches --bench transfer
//! ```

mod transfer {
    pub(crate) mod crowd;
    pub(crate) mod first_byte;
    pub(crate) mod one_holder;
}

use benches::Error;
use criterion::Criterion;

/// The other process of every benchmark here.
const PEER: &str = env!("CARGO_BIN_EXE_transfer_peer");

fn main() -> Result<(), Error> {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|it| it == "--test") {
        return Ok(());
    }
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Runtime::new()?;
    transfer::one_holder::run(&mut criterion, &runtime)?;
    transfer::first_byte::run(&mut criterion, &runtime)?;
    criterion.final_summary();
    runtime.block_on(transfer::crowd::run())
}
