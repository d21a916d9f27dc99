//! Serves what is paid for, and a step beyond it; redeems what is on its disk.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::path::Path;

use pop_erasure::{ContentKey, EncodedSegment, Encoder, Geometry, Media, Publication};
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ledger::{Ledger as _, LocalLedger, Operation, SignedOperation};
use pop_incentive::message::Objection;
use pop_incentive::payee::PayeePolicy;
use pop_incentive::rate::Rate;
use pop_incentive::record::PayeeRecord;
use pop_incentive::till::{Till, TillInput, TillOutput};
use pop_wire::message::{GetShard, ManifestReply, Shard};
use pop_wire::{Amount, ContentId, Message, RequestId, SegmentIndex, WalletAddress};

use crate::link::{LINE, Link, Word};
use crate::{Failure, domain, film, now, store};

/// The content key, which the buyer has from the link that it was given.
pub(crate) const KEY: [u8; 32] = [4; 32];
/// A film of 5 Mbit/s.
const PEAK_KBPS: u32 = 5_000;

/// A published film with all its shards.
struct Film {
    publication: Publication,
    segments: BTreeMap<SegmentIndex, EncodedSegment>,
}

struct Seller<'a> {
    folder: &'a Path,
    link: Link,
    till: Till,
    ledger: LocalLedger,
    content: ContentId,
    rate: Rate,
    /// Requests that wait until more may be served.
    requests: VecDeque<GetShard>,
}

/// Serve one buyer.
pub(crate) fn serve(folder: &Path, mebibytes: usize) -> Result<(), Failure> {
    let film = Film::publish(&film(mebibytes))?;
    let ledger = store::open_ledger(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (socket, _) = listener.accept()?;
    let mut link = Link::new(socket)?;

    let manifest = film.publication.manifest().signed().clone();
    let reply = ManifestReply { id: RequestId(0), manifest };
    link.send(&Word::Exchange(Message::ManifestReply(reply)))?;

    // One buyer may owe us all that it has in its vault.
    let unredeemed_max = Amount::from_base_units(u128::MAX);
    let policy = PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max };
    let till = Till::new(crate::seller(), policy, Vec::new());
    let rate = Rate::new(Amount::from_base_units(10_u128.pow(16))).ok_or("more than zero")?;
    let content = film.publication.manifest().content_id();
    let requests = VecDeque::new();
    let mut seller = Seller { folder, link, till, ledger, content, rate, requests };
    let prefix = IpPrefix::from(seller.link.peer()?);
    seller.tell(TillInput::Ledger { domain: domain(), serial: 1 })?;
    seller.tell(TillInput::LineUp { line: LINE, customer: buyer(), prefix })?;
    while seller.hear(&film)? {}
    redeem(folder, &mut seller.ledger)
}

/// Who is at the other end: a real transport proves it.
fn buyer() -> WalletAddress {
    crate::buyer().peer_id().wallet_address()
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
        match self.link.receive()? {
            Word::Money(message) => {
                self.tell(TillInput::Heard { line: LINE, message: *message })?;
            }
            Word::Exchange(Message::GetShard(get)) => self.requests.push_back(get),
            Word::Goodbye => return Ok(false),
            _ => return Err("expected a request".into()),
        }
        self.serve_allowed(film)?;
        Ok(true)
    }

    fn serve_allowed(&mut self, film: &Film) -> Result<(), Failure> {
        while let Some(get) = self.requests.front() {
            let shard = film.shard(get).ok_or("a shard of this film")?;
            let bytes = u64::try_from(shard.payload.len())?;
            if bytes > self.till.allowed(buyer()) {
                break;
            }
            self.tell(TillInput::Served { customer: buyer(), bytes })?;
            self.link.send(&Word::Exchange(Message::Shard(shard)))?;
            self.requests.pop_front();
        }
        Ok(())
    }

    fn tell(&mut self, input: TillInput) -> Result<(), Failure> {
        self.till.handle(now(), input)?;
        while let Some(output) = self.till.poll() {
            match output {
                TillOutput::Say { message, .. } => {
                    self.link.send(&Word::Money(Box::new(message)))?;
                }
                TillOutput::Asked { line, demand, .. } => {
                    let objection = Objection::NotForSale;
                    let answer = match demand.content == self.content {
                        true => {
                            TillInput::Sell { line, demand, rate: self.rate, peak_kbps: PEAK_KBPS }
                        }
                        false => TillInput::Refuse { line, objection },
                    };
                    self.till.handle(now(), answer)?;
                }
                TillOutput::LookUp { vault } => {
                    let answer = match self.ledger.vault(vault)? {
                        // Nothing of this buyer was ever redeemed.
                        Some(info) => TillInput::Vault { info, redeemed: Amount::ZERO },
                        None => TillInput::NoVault { vault },
                    };
                    self.till.handle(now(), answer)?;
                }
                TillOutput::Persist(record) => {
                    store::write(self.folder, store::PAYEE, &record.encode())?;
                    let vault = record.signed.voucher.vault;
                    self.till.handle(now(), TillInput::Persisted { vault })?;
                }
                // A seller of many films would redeem now; this one does when all is sold.
                TillOutput::Redeem | TillOutput::Allow { .. } | TillOutput::Opened { .. } => {}
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
