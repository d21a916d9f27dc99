//! The other process of the transfer benchmarks.
//!
//! ```text
//! transfer_peer raw                      serve any number of bytes on every stream
//! transfer_peer raw-pop                  the same over TLS and large frames, as pop-node does
//! transfer_peer fetch-raw ADDRESS BYTES  fetch so many from `raw`, print the seconds
//! transfer_peer shards BYTES             serve a content of so many bytes; prints its manifest
//! transfer_peer node …                   pop-node, with its own arguments
//! ```

use std::process::ExitCode;
use std::sync::Arc;

use benches::network::{self, Stack};
use benches::{Error, process, raw, shards};
use clap::Parser as _;
use pop_node::clock;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|it| it == "node") {
        return pop_node::cli::run(pop_node::cli::Cli::parse_from(arguments));
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new()?;
    match words {
        ["raw"] => runtime.block_on(serve_raw(Stack::Stock)),
        ["raw-pop"] => runtime.block_on(serve_raw(Stack::Pop)),
        ["shards", bytes] => runtime.block_on(serve_shards(bytes.parse()?)),
        ["fetch-raw", address, bytes] => runtime.block_on(fetch_raw(address, bytes.parse()?)),
        _ => Err("expected raw, raw-pop, shards, fetch-raw or node".into()),
    }
}

async fn serve_raw(stack: Stack) -> Result<(), Error> {
    process::end_with_standard_input();
    let mut swarm = network::swarm(clock::random_bytes()?, stack)?;
    println!("{}", network::listen(&mut swarm).await?);
    loop {
        let (_, stream) = network::accept(&mut swarm).await?;
        tokio::spawn(raw::serve(stream));
    }
}

async fn serve_shards(bytes: u64) -> Result<(), Error> {
    process::end_with_standard_input();
    let film = Arc::new(shards::Film::new(bytes)?);
    let mut swarm = network::swarm(clock::random_bytes()?, Stack::Pop)?;
    println!("{} {}", network::listen(&mut swarm).await?, film.manifest());
    loop {
        let (peer, stream) = network::accept(&mut swarm).await?;
        let film = Arc::clone(&film);
        tokio::spawn(async move { film.serve(peer, stream).await });
    }
}

async fn fetch_raw(address: &str, bytes: u64) -> Result<(), Error> {
    let mut swarm = network::swarm(clock::random_bytes()?, Stack::Stock)?;
    let started = clock::monotonic_now();
    let (_, stream) = network::open(&mut swarm, &address.parse()?).await?;
    let running = network::spawn(swarm);
    raw::fetch(stream, bytes).await?;
    println!("{}", started.elapsed().as_secs_f64());
    running.abort();
    Ok(())
}
