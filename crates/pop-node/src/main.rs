//! `pop-node`: the reference node of POP.

use std::process::ExitCode;

use clap::Parser as _;
use pop_node::cli::Cli;

fn main() -> ExitCode {
    pop_node::cli::run(Cli::parse())
}
