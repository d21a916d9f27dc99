//! Asks for shards, verifies each, and pays a step ahead of what came.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;

use pop_erasure::{Content, ContentKey, Decoder, VerifiedShard};
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::quote::Demand;
use pop_incentive::rate::{Rate, Tariff};
use pop_incentive::record::PayerRecord;
use pop_incentive::voucher::VaultInfo;
use pop_wire::message::{GetShard, Shard};
use pop_wire::{Amount, ColumnIndex, Message, RequestId, SegmentIndex, WalletAddress};

use crate::link::{Link, Word};
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
    payer: Payer,
    payee: WalletAddress,
}

pub(crate) fn buy(folder: &Path, socket: TcpStream, vault: VaultInfo) -> Result<Bought, Failure> {
    let mut link = Link::new(socket)?;
    let Word::Exchange(Message::ManifestReply(reply)) = link.receive()? else {
        return Err("expected the manifest first".into());
    };
    let content = Content::new(reply.manifest.verify()?)?;
    let Word::Quote(quote) = link.receive()? else { return Err("expected a quote".into()) };
    let rate_max = Rate::new(Amount::ONE_POP).ok_or("more than zero")?;
    let demand = Demand { content: content.id(), rate_max, peak_min_kbps: 2_000 };
    let tariff = quote.accept(&domain(), now(), &demand)?;
    let payee = quote.quote.payee;

    let stored = store::read(folder, store::PAYER)?;
    let stored = stored.map(|bytes| PayerRecord::decode(&bytes)).transpose()?;
    let limits = ExposureLimits::default();
    let payer = Payer::new(domain(), crate::buyer(), vault, limits, stored)?;
    let mut buyer = Buyer { folder, link, payer, payee };
    let prefix = IpPrefix::from(buyer.link.peer()?);
    buyer.tell(PayerInput::Open { payee, tariff, prefix })?;

    let wanted = wanted(&content);
    let payload_bytes = wanted.iter().map(|(_, _, bytes)| u64::from(*bytes)).sum();
    buyer.tell(PayerInput::Want { payee, bytes: payload_bytes })?;
    for (number, (segment, column, _)) in (0..).zip(&wanted) {
        let (id, content) = (RequestId(number), content.id());
        let (segment, column) = (*segment, *column);
        let get = GetShard { id, content, segment, column, deadline_ms: 0 };
        buyer.link.send(&Word::Exchange(Message::GetShard(get)))?;
    }
    let shards = buyer.collect(&content, &wanted)?;
    buyer.tell(PayerInput::Close { payee })?;
    buyer.link.send(&Word::Goodbye)?;

    let mut decoder = Decoder::new(content, ContentKey::from_bytes(KEY))?;
    let mut plaintext = Vec::new();
    for (segment, shards) in &shards {
        plaintext.extend_from_slice(&decoder.decode(*segment, shards)?);
    }
    Ok(Bought { plaintext, payload_bytes, promised: buyer.payer.promised(), tariff })
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
        let payee = self.payee;
        for _ in 0..=wanted.len() {
            match self.link.receive()? {
                Word::Served { bytes } => self.tell(PayerInput::Served { payee, bytes })?,
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
                    let bytes = u64::try_from(verified.payload().len())?;
                    shards.entry(*segment).or_default().push(verified);
                    self.tell(PayerInput::Verified { payee, bytes })?;
                }
                _ => return Err("expected a shard".into()),
            }
        }
        Ok(shards)
    }

    /// Tell the machine what happened, and do what it says.
    fn tell(&mut self, input: PayerInput) -> Result<(), Failure> {
        self.payer.handle(input)?;
        while let Some(output) = self.payer.poll() {
            match output {
                PayerOutput::Persist(record) => {
                    store::write(self.folder, store::PAYER, &record.encode())?;
                    self.payer.handle(PayerInput::Persisted { payee: record.payee })?;
                }
                PayerOutput::Terms { position, .. } => {
                    self.link.send(&Word::Terms { position })?;
                }
                PayerOutput::Send(voucher) => {
                    self.link.send(&Word::Voucher(Box::new(voucher)))?;
                }
                PayerOutput::VaultLow { short, .. } => {
                    return Err(format!("the vault lacks {short}").into());
                }
                other => return Err(format!("the seller is not honest: {other:?}").into()),
            }
        }
        Ok(())
    }
}
