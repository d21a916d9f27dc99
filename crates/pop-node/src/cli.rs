//! The command line: verbs, what they print, and exit codes that mean something.

mod audit;
mod bounty;
mod completions;
mod demo;
mod earnings;
mod facts;
mod get;
mod init;
mod ledger;
mod loan;
mod names;
mod outlook;
mod output;
mod payer;
mod plan;
mod pool;
mod publish;
mod purse;
mod repair;
mod report;
mod run;
mod secret;
mod stake;
mod status;
mod wallet;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::error::NodeError;
use crate::settings::{Layer, LogFormat, Settings};

/// POP: a decentralised CDN for streaming media.
#[derive(Debug, Parser)]
#[command(name = "pop-node", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    verb: Verb,
    /// Settings file in TOML [default: pop-node/config.toml in the XDG configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print machine-readable JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Say more on standard error: -v for what happens, -vv for every message
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create this node's identity, which is also its wallet
    Init(init::Init),
    /// Run a masternode
    Run(run::Run),
    /// Encrypt, encode and scatter a file; print its link
    Publish(publish::Publish),
    /// Fetch a content, or a range of it
    Get(get::Get),
    /// Show what a running node is doing
    Status(status::Status),
    /// Show what this node earned, by content and by peer
    Earnings(earnings::Earnings),
    /// Restore every missing column of a content onto live nodes
    Repair(repair::Repair),
    /// Ask holders of a content to prove that they have what they say
    Audit(audit::Audit),
    /// Keys, and the money that they can move
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// Lock collateral for this node, which makes it a masternode
    ///
    /// It comes back after `unstake` and the ledger's unbonding delay, less what proven wrongs
    /// cost.
    Stake(stake::Stake),
    /// Stop being a masternode, and have the collateral back
    ///
    /// Once to leave, and again after the delay to have the collateral back.
    Unstake(stake::Unstake),
    /// Hand in the proof that a publisher or a holder cheated, which costs it collateral
    Report(report::Report),
    /// Bytes lent, and paid back out of what the borrower earns
    #[command(subcommand)]
    Loan(loan::Loan),
    /// Money that members share by the bytes that they served
    #[command(subcommand)]
    Pool(pool::Pool),
    /// Rewards for content that somebody wants
    #[command(subcommand)]
    Bounty(bounty::Bounty),
    /// Show which contents would be worth their place on this node's disk
    ///
    /// Fetches nothing, costs nothing. Beside the contents that are named, those count that this
    /// node holds, if it isn't running.
    Plan(plan::Plan),
    /// Found a ledger, make its first money, look through its journal
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Start a network on this machine, play a film, kill nodes, keep playing
    Demo(demo::Demo),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// As a shell reports a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 internal error; 2 bad usage; 65 bad input (link, key, range, file);
66 input cannot be read; 69 content or nodes not available; 73 output or disk full;
74 disk error; 75 another process pays from this wallet; 76 the publisher or a peer broke the
protocol; 77 the ledger refuses, no collateral, wrong passphrase; 78 bad settings, or no ledger
named; 130 interrupted.
Every setting is also an environment variable: --http-listen is POP_HTTP_LISTEN.";

/// Run one verb to its end and turn what came of it into an exit code.
pub fn run(cli: Cli) -> ExitCode {
    let json = cli.json;
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, json);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, NodeError> {
    let context = Context { config: cli.config, json: cli.json, verbose: cli.verbose };
    match cli.verb {
        Verb::Init(verb) => verb.run(&context)?,
        Verb::Completions(verb) => verb.run(),
        Verb::Run(verb) => block_on(verb.run(&context))?,
        Verb::Publish(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Get(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Status(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Earnings(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Repair(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Audit(verb) => return block_on(or_interrupted(verb.run(&context))),
        Verb::Wallet(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Stake(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Unstake(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Report(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Loan(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Pool(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Bounty(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Plan(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Ledger(verb) => return block_on(or_interrupt(verb.run(&context))),
        Verb::Demo(verb) => return block_on(verb.run(&context)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Work until it is done or a signal comes. What is dropped then cleans up behind itself, which
/// the signal alone would not let it do.
async fn or_interrupt(
    work: impl Future<Output = Result<(), NodeError>>,
) -> Result<ExitCode, NodeError> {
    or_interrupted(async { work.await.map(|()| ExitCode::SUCCESS) }).await
}

/// The same for a verb that has more than one way to end well.
async fn or_interrupted(
    work: impl Future<Output = Result<ExitCode, NodeError>>,
) -> Result<ExitCode, NodeError> {
    tokio::select! {
        done = work => done,
        signal = run::wait_for_signal() => signal.map(|()| ExitCode::from(INTERRUPTED)),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| NodeError::Io { action: "start the runtime", source })?;
    let result = runtime.block_on(work);
    // Whatever still blocks on a disk must not keep a finished command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// What every verb needs to know of the command line.
struct Context {
    config: Option<PathBuf>,
    json: bool,
    verbose: u8,
}

impl Context {
    /// Resolve the settings under this verb's flags, and start logging as they say.
    fn settings(&self, flags: &Layer) -> Result<Settings, NodeError> {
        let settings = Settings::load(flags, self.config.as_deref())?.settings;
        let default = match self.verbose {
            0 => "warn",
            1 => "info,pop_node=debug",
            _ => "debug,pop_node=trace",
        };
        let filter = EnvFilter::try_from_env("POP_LOG").unwrap_or_else(|_| default.into());
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second call (the demo's own node after the command's) keeps the first subscriber.
        let _already_set = match settings.log_format {
            LogFormat::Text => logs.try_init(),
            LogFormat::Json => logs.json().try_init(),
        };
        Ok(settings)
    }
}
