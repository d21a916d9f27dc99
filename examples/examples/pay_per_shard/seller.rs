//! Serves what is paid for, and a step beyond it; redeems what is on its disk.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::path::Path;

use pop_erasure::{ContentKey, EncodedSegment, Encoder, Geometry, Media, Publication};
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ledger::{Ledger as _, LocalLedger, Operation, SignedOperation};
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::quote::Quote;
use pop_incentive::rate::{Meter, Rate, Tariff};
use pop_incentive::record::PayeeRecord;
use pop_wire::message::{GetShard, ManifestReply, Shard};
use pop_wire::{Amount, ContentId, Message, RequestId, SegmentIndex};

use crate::link::{Link, Word};
use crate::{Failure, domain, film, now, store, vault_id};

/// The content key, which the buyer has from the link that it was given.
pub(crate) const KEY: [u8; 32] = [4; 32];
/// A film of 5 Mbit/s.
const PEAK_KBPS: u32 = 5_000;
/// Seconds for which the quote is good.
const QUOTE_LIFE_S: u64 = 3_600;

/// A published film with all its shards.
struct Film {
    publication: Publication,
    segments: BTreeMap<SegmentIndex, EncodedSegment>,
}

struct Seller<'a> {
    folder: &'a Path,
    link: Link,
    payee: Payee,
    tariff: Tariff,
    /// Bytes that may be served in all, and the requests that wait for more.
    allowance: u64,
    requests: VecDeque<GetShard>,
}

/// Serve one buyer.
pub(crate) fn serve(folder: &Path, mebibytes: usize) -> Result<(), Failure> {
    let film = Film::publish(&film(mebibytes))?;
    let mut ledger = store::open_ledger(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (socket, _) = listener.accept()?;
    let mut link = Link::new(socket)?;

    let manifest = film.publication.manifest().signed().clone();
    let reply = ManifestReply { id: RequestId(0), manifest };
    link.send(&Word::Exchange(Message::ManifestReply(reply)))?;
    let quote = quote(film.publication.manifest().content_id())?;
    let tariff = quote.tariff().ok_or("a tier")?;
    link.send(&Word::Quote(Box::new(quote.sign(&domain(), &crate::seller()))))?;

    // The only look at the ledger before the money is redeemed.
    let vault = ledger.vault(vault_id())?.ok_or("the buyer has a vault")?;
    let unredeemed_max = vault.balance();
    let policy = PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max };
    let mut payee = Payee::new(domain(), quote.payee, policy, [])?;
    payee.handle(PayeeInput::Vault(vault))?;
    let requests = VecDeque::new();
    let mut seller = Seller { folder, link, payee, tariff, allowance: 0, requests };
    while seller.hear(&film)? {}
    redeem(folder, &mut ledger)
}

fn quote(content: ContentId) -> Result<Quote, Failure> {
    let now = now();
    Ok(Quote {
        content,
        payee: crate::seller().peer_id().wallet_address(),
        rate: Rate::new(Amount::from_base_units(10_u128.pow(16))).ok_or("more than zero")?,
        peak_kbps: PEAK_KBPS,
        serial: 1,
        valid_from: now,
        valid_until: now.after_s(QUOTE_LIFE_S),
    })
}

/// Have the voucher on the disk paid.
fn redeem(folder: &Path, ledger: &mut LocalLedger) -> Result<(), Failure> {
    let record = store::read(folder, store::PAYEE)?.ok_or("a voucher was stored")?;
    let voucher = PayeeRecord::decode(&record)?.signed;
    let (amount, bytes) = (voucher.voucher.amount, voucher.voucher.bytes);
    let operation = Operation::Redeem { vouchers: vec![voucher] };
    let seller = crate::seller();
    let nonce = ledger.nonce(seller.peer_id().wallet_address())?;
    let signed = SignedOperation::sign(operation, nonce, &seller, &domain());
    let receipt = ledger.submit(now(), &signed)?;
    println!(
        "seller: a voucher of {amount} for {bytes} bytes, redeemed in {} entry",
        receipt.entries.len()
    );
    Ok(())
}

impl Seller<'_> {
    /// Take in one word; false after the last.
    fn hear(&mut self, film: &Film) -> Result<bool, Failure> {
        let vault = vault_id();
        match self.link.receive()? {
            Word::Terms { position } => {
                // By our own quote, from the first byte on: this buyer never came before.
                let (meter, prefix) = (Meter::new(self.tariff), IpPrefix::from(self.link.peer()?));
                self.tell(PayeeInput::Open { vault, meter, position, prefix })?;
                let bytes = self.payee.served_bytes(vault);
                self.link.send(&Word::Served { bytes })?;
            }
            Word::Voucher(voucher) => self.tell(PayeeInput::Voucher(*voucher))?,
            Word::Exchange(Message::GetShard(get)) => self.requests.push_back(get),
            Word::Goodbye => return Ok(false),
            _ => return Err("expected a request".into()),
        }
        self.serve_allowed(film)?;
        Ok(true)
    }

    fn serve_allowed(&mut self, film: &Film) -> Result<(), Failure> {
        let vault = vault_id();
        while let Some(get) = self.requests.front() {
            let shard = film.shard(get).ok_or("a shard of this film")?;
            let bytes = u64::try_from(shard.payload.len())?;
            if self.payee.served_bytes(vault) + bytes > self.allowance {
                break;
            }
            self.tell(PayeeInput::Served { vault, bytes })?;
            self.link.send(&Word::Exchange(Message::Shard(shard)))?;
            self.requests.pop_front();
        }
        Ok(())
    }

    fn tell(&mut self, input: PayeeInput) -> Result<(), Failure> {
        self.payee.handle(input)?;
        while let Some(output) = self.payee.poll() {
            match output {
                PayeeOutput::Persist(record) => {
                    store::write(self.folder, store::PAYEE, &record.encode())?;
                    self.payee.handle(PayeeInput::Persisted { vault: vault_id() })?;
                }
                PayeeOutput::Allowance { bytes, .. } => self.allowance = bytes,
                // A seller of many films would redeem now; this one does when all is sold.
                PayeeOutput::Redeem(_) => {}
                other => return Err(format!("the buyer is not honest: {other:?}").into()),
            }
        }
        Ok(())
    }
}

impl Film {
    fn publish(plaintext: &[u8]) -> Result<Self, Failure> {
        let key = ContentKey::from_bytes(KEY);
        let mut encoder = Encoder::new(Geometry::for_network(27)?, 32 * 1024, key, [5; 32])?;
        let (mut rest, mut segments) = (plaintext, BTreeMap::new());
        while !rest.is_empty() {
            rest = &rest[encoder.push(rest)?..];
            segments.extend(std::iter::from_fn(|| encoder.poll()).map(|it| (it.segment(), it)));
        }
        encoder.end();
        segments.extend(std::iter::from_fn(|| encoder.poll()).map(|it| (it.segment(), it)));
        let publication = encoder.finish(&crate::seller(), Media::default())?;
        Ok(Self { publication, segments })
    }

    fn shard(&self, get: &GetShard) -> Option<Shard> {
        let encoded = self.segments.get(&get.segment)?;
        Some(Shard {
            id: get.id,
            segment_path: encoded.segment_path(get.column)?,
            content_path: self.publication.content_path(get.segment)?,
            payload: encoded.shard(get.column)?,
        })
    }
}
