//! Asks for shards, verifies each, and pays a step ahead of what came.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;

use pop_erasure::{Content, ContentKey, Decoder, VerifiedShard};
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::purse::{Purse, PurseInput, PurseOutput, Traffic, Wanted};
use pop_incentive::quote::Demand;
use pop_incentive::rate::{Rate, Tariff};
use pop_incentive::record::PayerRecord;
use pop_incentive::voucher::VaultInfo;
use pop_wire::message::{GetShard, Shard};
use pop_wire::{Amount, ColumnIndex, Message, RequestId, SegmentIndex, WalletAddress};

use crate::link::{LINE, Link, Word};
use crate::seller::KEY;
use crate::{Failure, domain, now, store};

/// What came of it.
pub(crate) struct Bought {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) payload_bytes: u64,
    pub(crate) promised: Amount,
    pub(crate) tariff: Tariff,
}

struct Buyer<'a> {
    folder: &'a Path,
    link: Link,
    purse: Purse,
    vault: VaultInfo,
}

pub(crate) fn buy(folder: &Path, socket: TcpStream, vault: VaultInfo) -> Result<Bought, Failure> {
    let mut link = Link::new(socket)?;
    let Word::Exchange(Message::ManifestReply(reply)) = link.receive()? else {
        return Err("expected the manifest first".into());
    };
    let content = Content::new(reply.manifest.verify()?)?;
    let rate_max = Rate::new(Amount::ONE_POP).ok_or("more than zero")?;
    let demand = Demand { content: content.id(), rate_max, peak_min_kbps: 2_000 };
    let wanted = wanted(&content);
    let payload_bytes = wanted.iter().map(|(_, _, bytes)| u64::from(*bytes)).sum();
    let shard_bytes = content.manifest().shard_bytes.into();

    let stored = store::read(folder, store::PAYER)?;
    let stored = stored.map(|bytes| PayerRecord::decode(&bytes)).transpose()?;
    let limits = ExposureLimits::default();
    let purse = Purse::new(crate::buyer(), limits, stored.into_iter().collect());
    let mut buyer = Buyer { folder, link, purse, vault };
    let (seller, prefix) = (seller(), IpPrefix::from(buyer.link.peer()?));
    buyer.tell(PurseInput::Ledger(domain()))?;
    let wanted_of_seller = Wanted { demand, shard_bytes };
    buyer.tell(PurseInput::LineUp { line: LINE, seller, prefix, wanted: wanted_of_seller })?;
    let traffic = Traffic { asked: payload_bytes, ..Traffic::default() };
    buyer.tell(PurseInput::Traffic { seller, traffic })?;
    for (number, (segment, column, _)) in (0..).zip(&wanted) {
        let (id, content) = (RequestId(number), content.id());
        let (segment, column) = (*segment, *column);
        let get = GetShard { id, content, segment, column, deadline_ms: 0 };
        buyer.link.send(&Word::Exchange(Message::GetShard(get)))?;
    }
    let shards = buyer.collect(&content, &wanted)?;
    let tariff = buyer.purse.offer(seller).ok_or("a quote was taken")?.tariff;
    buyer.tell(PurseInput::LineDown { line: LINE })?;
    buyer.link.send(&Word::Goodbye)?;

    let mut decoder = Decoder::new(content, ContentKey::from_bytes(KEY))?;
    let mut plaintext = Vec::new();
    for (segment, shards) in &shards {
        plaintext.extend_from_slice(&decoder.decode(*segment, shards)?);
    }
    Ok(Bought { plaintext, payload_bytes, promised: buyer.purse.promised(), tariff })
}

/// The first k shards of each segment, with their lengths.
fn wanted(content: &Content) -> Vec<(SegmentIndex, ColumnIndex, u32)> {
    let layout = content.layout();
    let columns = ColumnIndex::first(layout.geometry().k());
    let of_segment = |segment| {
        let bytes = layout.shard_bytes(segment).unwrap_or(0);
        columns.clone().map(move |column| (segment, column, bytes))
    };
    layout.segments().flat_map(of_segment).collect()
}

impl Buyer<'_> {
    fn collect(
        &mut self,
        content: &Content,
        wanted: &[(SegmentIndex, ColumnIndex, u32)],
    ) -> Result<BTreeMap<SegmentIndex, Vec<VerifiedShard>>, Failure> {
        let mut shards: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut missing = wanted.len();
        while missing > 0 {
            match self.link.receive()? {
                Word::Money(message) => {
                    self.tell(PurseInput::Heard { line: LINE, message: *message })?;
                }
                Word::Exchange(Message::Shard(shard)) => {
                    let asked = usize::try_from(shard.id.0).ok().and_then(|id| wanted.get(id));
                    let (segment, column, _) = asked.ok_or("a shard that nobody asked for")?;
                    let Shard { payload, segment_path, content_path, .. } = shard;
                    let verified = content.verify_shard(
                        *segment,
                        *column,
                        payload,
                        segment_path,
                        content_path,
                    )?;
                    let received = u64::try_from(verified.payload().len())?;
                    shards.entry(*segment).or_default().push(verified);
                    missing -= 1;
                    let traffic = Traffic { received, ..Traffic::default() };
                    self.tell(PurseInput::Traffic { seller: seller(), traffic })?;
                }
                _ => return Err("expected a shard".into()),
            }
        }
        Ok(shards)
    }

    /// Tell the machine what happened, and do what it says.
    fn tell(&mut self, input: PurseInput) -> Result<(), Failure> {
        self.purse.handle(now(), input)?;
        while let Some(output) = self.purse.poll() {
            match output {
                PurseOutput::Say { message, .. } => {
                    self.link.send(&Word::Money(Box::new(message)))?;
                }
                PurseOutput::LookUp { .. } => {
                    self.purse.handle(now(), PurseInput::Vault(self.vault))?;
                }
                PurseOutput::Persist(record) => {
                    store::write(self.folder, store::PAYER, &record.encode())?;
                    self.purse.handle(now(), PurseInput::Persisted { seller: record.payee })?;
                }
                PurseOutput::Accepted { .. } => {}
                PurseOutput::VaultLow { short, .. } => {
                    return Err(format!("the vault lacks {short}").into());
                }
                other => return Err(format!("the seller is not honest: {other:?}").into()),
            }
        }
        Ok(())
    }
}

fn seller() -> WalletAddress {
    crate::seller().peer_id().wallet_address()
}
