//! Two programs, a TCP socket, and money: one serves shards, the other pays for each of them by
//! vouchers, and a ledger settles. Run with `cargo run -p examples --example pay_per_shard`, or
//! give a number of MiB.
//!
//! ```text
//!            this program                               the program that it starts
//!  ledger:  mint, open a vault                          serves a film, 64 KiB of it on credit
//!  buyer:   requests, shards, a voucher a step  <--->   stores each voucher, then serves on
//!  ledger:  check every sum                             redeems the last voucher
//! ```
//!
//! Constants stand for keys and salts here: real ones come from a random source.
#![expect(clippy::disallowed_methods, reason = "a program reads the clock that its machines lack")]

mod buyer;
mod link;
mod seller;
mod store;

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::{Account, Ledger as _, Operation, SignedOperation, names};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

pub(crate) type Failure = Box<dyn Error>;

/// What the vault holds at first.
const DEPOSIT_POP: u128 = 500;

/// Which ledger all signatures here are for.
pub(crate) fn domain() -> LedgerDomain {
    LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]))
}

/// The ledger's operator, who makes the first money.
pub(crate) fn operator() -> Keypair {
    Keypair::from_secret_bytes(&[1; 32]).expect("a valid key")
}

/// Pays.
pub(crate) fn buyer() -> Keypair {
    Keypair::from_secret_bytes(&[2; 32]).expect("a valid key")
}

/// Is paid.
pub(crate) fn seller() -> Keypair {
    Keypair::from_secret_bytes(&[3; 32]).expect("a valid key")
}

pub(crate) fn vault_id() -> VaultId {
    names::vault_id(&domain(), buyer().peer_id().wallet_address(), 0)
}

pub(crate) fn film(mebibytes: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(mebibytes * 1024 * 1024).collect()
}

pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", folder, mebibytes] => seller::serve(Path::new(folder), mebibytes.parse()?),
        [mebibytes] => trade(mebibytes),
        _ => trade("4"),
    }
}

fn trade(mebibytes: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let vault = open_vault(folder.path())?;
    println!("ledger: a vault with {DEPOSIT_POP} POP");
    let mut seller = Seller::start(folder.path(), mebibytes)?;
    let bought = buyer::buy(folder.path(), seller.connect()?, vault)?;
    assert!(bought.plaintext == film(mebibytes.parse()?), "every byte is the film's");
    seller.wait()?;

    // Everything that anybody holds, to the base unit.
    let ledger = store::open_ledger(folder.path())?;
    let earned = ledger.balance(Account::Wallet(crate::seller().peer_id().wallet_address()))?;
    let left = ledger.balance(Account::Vault(vault.vault))?;
    println!("buyer:  {} bytes of shards for {}", bought.payload_bytes, bought.promised);
    println!("ledger: the seller has {earned}, the vault {left}");
    let price = bought.tariff.price(bought.payload_bytes).ok_or("a price that fits")?;
    assert_eq!(bought.promised, price, "no byte was promised for twice, none is unpaid");
    assert_eq!(earned, price, "what was promised was redeemed");
    assert_eq!(earned.checked_add(left), Some(vault.funded), "nothing was lost on the way");
    ledger.verify()?;
    println!("the sums fit: {price} is the price of {} bytes", bought.payload_bytes);
    Ok(())
}

/// Make money, give it to the buyer, and let it open a vault.
fn open_vault(folder: &Path) -> Result<VaultInfo, Failure> {
    let mut ledger = store::open_ledger(folder)?;
    let (buyer, domain) = (buyer(), domain());
    let deposit = Amount::ONE_POP.checked_mul(DEPOSIT_POP).ok_or("a small amount")?;
    let to = buyer.peer_id().wallet_address();
    let mint = Operation::Mint { to, amount: deposit };
    ledger.submit(now(), &SignedOperation::sign(mint, 0, &operator(), &domain))?;
    let open = Operation::OpenVault { index: 0, deposit, penalty: Amount::ZERO };
    ledger.submit(now(), &SignedOperation::sign(open, 0, &buyer, &domain))?;
    Ok(ledger.vault(vault_id())?.ok_or("it was opened")?)
}

/// The other program. It ends with this one, whatever happens.
struct Seller {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Seller {
    fn start(folder: &Path, mebibytes: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve".as_ref(), folder.as_os_str(), mebibytes.as_ref()])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("it was asked for")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    /// The first line is the address.
    fn connect(&mut self) -> Result<TcpStream, Failure> {
        let mut address = String::new();
        self.output.read_line(&mut address)?;
        Ok(TcpStream::connect(address.trim())?)
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        print!("{rest}");
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("the seller failed: {status}").into()),
        }
    }
}

impl Drop for Seller {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
