use std::fs;
use std::path::{Path, PathBuf};

use pop_incentive::ids::LoanId;
use pop_incentive::ledger::{Loan as LedgerLoan, LoanNote, OfferedNote, Operation};
use pop_wire::{Amount, WalletAddress};

use super::facts::{Fact, Facts, report, text};
use super::names::{bad_input, name};
use super::purse::{Purse, in_days};
use super::{Context, earnings};
use crate::disk::{create_private, write_once};
use crate::error::NodeError;
use crate::money::Earnings as Report;
use crate::settings::Layer;

/// Hex digits of a note, with room for white space.
const NOTE_CHARACTERS_MAX: u64 = 1024;

/// Bytes lent, and paid back out of what the borrower earns.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Loan {
    /// Show what this wallet owes, and what it lent
    List(List),
    /// As the borrower: sign what you owe, for the lender to accept
    ///
    /// Nothing is owed before the lender has put it on the ledger; from then on what this wallet
    /// earns goes to the lender first.
    Note(Note),
    /// As the lender: sign a borrower's note too, and put it on the ledger
    ///
    /// Costs nothing now: what is lent are bytes that you served or will serve.
    Accept(Accept),
    /// Pay back a loan or a part of it out of the wallet
    ///
    /// No more is taken than is owed.
    Repay(Repay),
    /// Put on the borrower's record, for ever, that a loan is overdue
    ///
    /// Everybody may, once the loan is due; the debt stays.
    Default(Default),
}

/// Show loans.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Note {
    /// Who lends
    #[arg(long, value_name = "ADDRESS")]
    lender: WalletAddress,
    /// What the bytes are worth, in POP
    #[arg(long, value_name = "POP")]
    principal: Amount,
    /// Verified bytes that were served on credit
    #[arg(long, value_name = "BYTES")]
    bytes: u64,
    /// Interest in 10,000 parts of the principal, owed once: 1000 is 1.1 for 1
    #[arg(long, value_name = "BPS", default_value_t = 1_000)]
    interest_bps: u64,
    /// Days until it is due
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u64,
    /// Number of the note between these two, to tell equal ones apart
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    number: u64,
    /// File for the note; only printed if absent
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Accept {
    /// The note: a file, or its hex digits
    note: String,
    /// Lend to somebody who has not paid before
    #[arg(long)]
    despite_defaults: bool,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Repay {
    /// The loan's id
    #[arg(value_parser = name::<LoanId>)]
    loan: LoanId,
    /// At most so much, in POP; all that is owed if absent
    amount: Option<Amount>,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Default {
    /// The loan's id
    #[arg(value_parser = name::<LoanId>)]
    loan: LoanId,
    #[command(flatten)]
    settings: Layer,
}

impl Loan {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        match self {
            Self::List(verb) => verb.run(context).await,
            Self::Note(verb) => verb.run(context).await,
            Self::Accept(verb) => verb.run(context).await,
            Self::Repay(verb) => verb.run(context).await,
            Self::Default(verb) => verb.run(context).await,
        }
    }
}

fn about(id: LoanId, loan: &LedgerLoan) -> Facts {
    vec![
        ("loan", text(id)),
        ("lender", text(loan.note.lender)),
        ("borrower", text(loan.note.borrower)),
        ("principal", Fact::Amount(loan.note.principal)),
        ("interest_bps", Fact::Number(loan.note.interest_bps)),
        ("outstanding", Fact::Amount(loan.outstanding)),
        ("due", Fact::Time(loan.note.due)),
        ("defaulted", Fact::Flag(loan.defaulted)),
    ]
}

/// Notes that this wallet accepted, by the loan's id: the ledger doesn't list them by lender.
fn lent_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("loans")
}

fn lent(data_dir: &Path) -> Vec<LoanId> {
    let Ok(entries) = fs::read_dir(lent_folder(data_dir)) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.filter_map(|file| name(file.to_str()?).ok()).collect()
}

impl List {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        // What was lent by hand, and what the node lent by itself.
        let mut lent_ids = lent(&settings.data_dir);
        match earnings::report(&settings).await {
            Ok(Report { loans, .. }) => {
                lent_ids.extend(loans.iter().filter_map(|row| name::<LoanId>(&row.loan).ok()));
            }
            Err(error) => eprintln!("what this node lent by itself isn't shown: {error}"),
        }
        let facts = Purse::with(settings, async |purse| {
            let owed = purse.ledger.liens(purse.wallet()).await?;
            let owed = owed.iter().map(|(id, loan)| about(*id, loan)).collect();
            let mut lent_by_us = Vec::new();
            for id in lent_ids {
                lent_by_us.extend(purse.ledger.loan(id).await?.map(|loan| about(id, &loan)));
            }
            Ok(vec![("owed", Fact::List(owed)), ("lent", Fact::List(lent_by_us))])
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

impl Note {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let output = self.output.clone();
        let facts = Purse::with(settings, async |purse| {
            let note = LoanNote {
                lender: self.lender,
                borrower: purse.wallet(),
                principal: self.principal,
                bytes: self.bytes,
                interest_bps: self.interest_bps,
                due: in_days(self.days),
                number: self.number,
            };
            let owed = note.owed().ok_or_else(|| bad_input("principal", "too much"))?;
            let borrower = note.sign(&purse.ledger.domain().await?, &purse.keypair);
            let hex = hex::encode(OfferedNote { note, borrower }.encode());
            if let Some(path) = output {
                let failed = |source| NodeError::Output { path: path.clone(), source };
                fs::write(&path, format!("{hex}\n")).map_err(failed)?;
            }
            Ok(vec![
                ("loan", text(note.id())),
                ("owed", Fact::Amount(owed)),
                ("due", Fact::Time(note.due)),
                ("note", text(hex)),
            ])
        });
        let next = "Give the note to the lender, who runs `pop-node loan accept`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

/// A note as it is given: a file's name, or the digits themselves.
fn read_note(given: &str) -> Result<OfferedNote, NodeError> {
    let path = Path::new(given);
    let digits = match fs::metadata(path) {
        Ok(file) if file.len() > NOTE_CHARACTERS_MAX => {
            return Err(bad_input("note", "the file is too long for one"));
        }
        Ok(_) => fs::read_to_string(path)
            .map_err(|source| NodeError::Input { path: path.to_path_buf(), source })?,
        Err(_) => given.to_owned(),
    };
    let bytes = hex::decode(digits.trim())
        .map_err(|_| bad_input("note", "expected a file, or the hex digits of a note"))?;
    OfferedNote::decode(&bytes).map_err(|error| bad_input("note", error))
}

impl Accept {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let offered = read_note(&self.note)?;
        let facts = Purse::with(settings, async |purse| {
            let note = offered.note;
            if note.lender != purse.wallet() {
                let problem = format!("it is for the lender {}, not this wallet", note.lender);
                return Err(bad_input("note", problem));
            }
            let domain = purse.ledger.domain().await?;
            offered.verify(&domain).map_err(|error| bad_input("note", error))?;
            let record = purse.ledger.record(note.borrower).await?;
            if record.defaults > 0 && !self.despite_defaults {
                let problem = format!(
                    "its borrower has {} defaults on record: --despite-defaults lends anyway",
                    record.defaults
                );
                return Err(bad_input("note", problem));
            }
            let id = note.id();
            let signed = offered.countersign(&domain, &purse.keypair);
            purse.perform(Operation::Lend { note: signed }).await?;
            remember(&purse.settings.data_dir, id, &offered)?;
            let loan = purse.ledger.loan(id).await?;
            let mut facts = loan.map(|loan| about(id, &loan)).unwrap_or_default();
            facts.extend([
                ("borrower_since", Fact::Time(record.since)),
                ("borrower_loans_repaid", Fact::Number(record.loans_repaid)),
                ("borrower_defaults", Fact::Number(record.defaults)),
                ("borrower_slashes", Fact::Number(record.slashes)),
            ]);
            Ok(facts)
        });
        let next = "What the borrower earns goes to this wallet first. If it is not paid back in \
                    time: `pop-node loan default`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

fn remember(data_dir: &Path, id: LoanId, offered: &OfferedNote) -> Result<(), NodeError> {
    let folder = lent_folder(data_dir);
    create_private(&folder)?;
    let path = folder.join(id.to_string());
    match write_once(&path, &offered.encode()) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        written => written.map_err(|source| NodeError::Output { path, source }),
    }
}

/// What a loan is now.
async fn shown(purse: &Purse, id: LoanId) -> Result<Facts, NodeError> {
    let loan = purse.ledger.loan(id).await?;
    loan.map(|loan| about(id, &loan)).ok_or_else(|| bad_input("loan", "the ledger knows none"))
}

impl Repay {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let amount = self.amount.unwrap_or(Amount::from_base_units(u128::MAX));
        let facts = Purse::with(settings, async |purse| {
            purse.perform(Operation::Repay { loan: self.loan, amount }).await?;
            shown(purse, self.loan).await
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

impl Default {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let facts = Purse::with(settings, async |purse| {
            purse.perform(Operation::DeclareDefault { loan: self.loan }).await?;
            shown(purse, self.loan).await
        });
        let next =
            "It stays on the borrower's record, for every lender to see. The debt stays too.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}
