//! A viewer that pays by the shard and holders that let a float go unpaid, in virtual time, over
//! links that lose packets and send them again. What a payment is, this test decides: eight bytes
//! that say how much is paid so far.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use pop_exchange::LinkId;
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult, Token};
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnSet, Instant, Message, RequestId, SegmentIndex};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::film::{Film, column, peer};

const SHARD: u64 = 16 * 1024;
/// What a holder lets a viewer owe.
const FLOAT: u64 = 4 * SHARD;
const HOLDERS: u16 = 4;
/// One way, when nothing is lost.
const LATENCY_MS: u64 = 20;
/// Until a lost packet is sent again.
const RESEND_MS: u64 = 200;
const LOST_PERCENT: u64 = 10;
const SHARD_MS: u64 = 8;

/// A holder with its accounts.
struct Payee {
    provider: Provider,
    link: LinkId,
    sent: u64,
    refused: u64,
    due: usize,
    paid: u64,
    /// When the first shard was sent, and when the first payment came.
    first: (Option<u64>, Option<u64>),
}

/// What the viewer counts for each holder.
#[derive(Debug, Default, Clone, Copy)]
struct Payer {
    asked: u64,
    received: u64,
    paid: u64,
    payments: u64,
}

enum Happening {
    ToHolder(usize, Message),
    ToViewer(usize, Message),
    Stored(usize, Token, StoreResult),
    Tick,
    Released(SegmentIndex),
}

struct Market {
    film: Rc<Film>,
    fetcher: Fetcher,
    payees: Vec<Payee>,
    payers: Vec<Payer>,
    paying: bool,
    now_ms: u64,
    rng: ChaCha8Rng,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    /// When the last message on each link arrives, to a holder and to the viewer.
    arrivals: Vec<[u64; 2]>,
    asked: BTreeMap<RequestId, u64>,
    delivered: u64,
}

impl Market {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let film = Rc::new(Film::new(2, HOLDERS, 16 * 1024, 40, 1));
        let mut config = FetcherConfig::default();
        config.accounts = true;
        config.window_bytes_max = 16 * 2 * SHARD;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut market = Self {
            fetcher: Fetcher::new(film.content.clone(), config, bytes).unwrap(),
            film,
            payees: Vec::new(),
            payers: vec![Payer::default(); HOLDERS.into()],
            paying: true,
            now_ms: 0,
            rng: ChaCha8Rng::from_seed(bytes),
            queue: BTreeMap::new(),
            sequence: 0,
            arrivals: vec![[0; 2]; HOLDERS.into()],
            asked: BTreeMap::new(),
            delivered: 0,
        };
        (0..HOLDERS).for_each(|holder| market.open(holder));
        market.at(0, Happening::Tick);
        let segments = 0..market.film.segments();
        market.view(fetcher::Input::Want {
            segments,
            first_deadline: None,
            segment_duration_ms: 0,
        });
        market
    }

    fn open(&mut self, holder: u16) {
        let mut config = ProviderConfig::default();
        config.allowance_bytes = FLOAT;
        let link = LinkId(u64::from(holder) + 1);
        let provider = Provider::new(config).unwrap();
        let (sent, refused, due, paid, first) = (0, 0, 0, 0, (None, None));
        self.payees.push(Payee { provider, link, sent, refused, due, paid, first });
        self.hold(holder.into(), provider::Input::LinkUp { link, peer: peer(1_000) });
        let columns: ColumnSet = [column(holder)].into_iter().collect();
        let (peer, kind) = (peer(holder.into()), SourceKind::Masternode);
        self.view(fetcher::Input::LinkUp { link, peer, columns, kind });
    }

    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at_ms, self.sequence), happening);
    }

    /// When a message sent now is there: later if it is lost, and never before the one ahead.
    fn arrival(&mut self, holder: usize, to_viewer: bool, message: &Message) -> u64 {
        let mut at_ms = self.now_ms + LATENCY_MS;
        while self.rng.next_u64() % 100 < LOST_PERCENT {
            at_ms += RESEND_MS;
        }
        let last = &mut self.arrivals[holder][usize::from(to_viewer)];
        let work_ms = if message.payload_bytes() > 0 { SHARD_MS } else { 0 };
        *last = (*last + work_ms).max(at_ms);
        *last
    }

    fn run(&mut self, until_ms: u64) {
        while let Some((&(at_ms, _), _)) = self.queue.first_key_value() {
            if at_ms > until_ms || self.delivered == self.film.segments() && at_ms > self.now_ms {
                break;
            }
            let (_, happening) = self.queue.pop_first().unwrap();
            self.now_ms = at_ms;
            self.happen(happening);
        }
        self.now_ms = self.now_ms.max(until_ms.min(self.now_ms + 1));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToHolder(holder, message) => {
                let link = self.payees[holder].link;
                self.hold(holder, provider::Input::Message { link, message });
            }
            Happening::ToViewer(holder, message) => {
                let link = self.payees[holder].link;
                self.view(fetcher::Input::Message { link, message });
            }
            Happening::Stored(holder, token, result) => {
                self.hold(holder, provider::Input::Store { token, result });
            }
            Happening::Tick => {
                (0..self.payees.len()).for_each(|holder| self.hold(holder, provider::Input::Tick));
                self.view(fetcher::Input::Tick);
                self.at(self.now_ms + 50, Happening::Tick);
            }
            Happening::Released(segment) => self.view(fetcher::Input::Release { segment }),
        }
    }

    fn hold(&mut self, holder: usize, input: provider::Input) {
        let now = Instant(self.now_ms);
        self.payees[holder].provider.handle(now, input).unwrap();
        while let Some(output) = self.payees[holder].provider.poll() {
            match output {
                provider::Output::Send { link, message } => {
                    self.count_sent(holder, &message);
                    let at_ms = self.arrival(holder, true, &message);
                    self.at(at_ms, Happening::ToViewer(holder, message));
                    let flushed = provider::Input::Flushed { link, messages: 1 };
                    self.payees[holder].provider.handle(now, flushed).unwrap();
                }
                provider::Output::Store {
                    token,
                    operation: StoreOperation::ReadShard { segment, column, .. },
                } => {
                    let shard = self.film.shard(segment, column).unwrap().clone();
                    let at_ms = self.now_ms + self.rng.next_u64() % 5;
                    self.at(at_ms, Happening::Stored(holder, token, StoreResult::Shard(shard)));
                }
                provider::Output::Event(provider::Event::Payment { body, .. }) => {
                    let paid = u64::from_be_bytes(body[..].try_into().unwrap());
                    let payee = &mut self.payees[holder];
                    payee.first.1.get_or_insert(self.now_ms);
                    payee.paid = payee.paid.max(paid);
                    let bytes = FLOAT + payee.paid - payee.sent;
                    let allowance = provider::Input::Allowance { peer: peer(1_000), bytes };
                    payee.provider.handle(now, allowance).unwrap();
                }
                provider::Output::Event(provider::Event::Greeted { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn count_sent(&mut self, holder: usize, message: &Message) {
        let payee = &mut self.payees[holder];
        match message {
            Message::Shard(shard) => {
                payee.first.0.get_or_insert(self.now_ms);
                payee.sent += u64::try_from(shard.payload.len()).unwrap();
                assert!(payee.sent <= payee.paid + FLOAT, "more than the float");
            }
            Message::Refusal(refusal) => {
                payee.due += usize::from(refusal.reason == RefusalReason::PaymentDue);
                payee.refused += self.asked[&refusal.id];
            }
            _ => {}
        }
    }

    fn view(&mut self, input: fetcher::Input) {
        let now = Instant(self.now_ms);
        self.fetcher.handle(now, input).unwrap();
        while let Some(output) = self.fetcher.poll() {
            let holder = |link: LinkId| usize::try_from(link.0 - 1).unwrap();
            match output {
                fetcher::Output::Send { link, message } => {
                    if let Message::GetShard(get) = &message {
                        let bytes = self.film.shard(get.segment, get.column).unwrap().payload.len();
                        self.asked.insert(get.id, u64::try_from(bytes).unwrap());
                    }
                    let at_ms = self.arrival(holder(link), false, &message);
                    self.at(at_ms, Happening::ToHolder(holder(link), message));
                }
                fetcher::Output::Asked { link, bytes, .. } => {
                    self.payers[holder(link)].asked += bytes;
                }
                fetcher::Output::Received { link, bytes, .. } => {
                    self.payers[holder(link)].received += bytes;
                    self.pay(holder(link));
                }
                fetcher::Output::Segment { segment, .. } => {
                    self.delivered += 1;
                    self.at(self.now_ms + 5, Happening::Released(segment));
                }
                fetcher::Output::Event(
                    fetcher::Event::Greeted { .. }
                    | fetcher::Event::Refused { .. }
                    | fetcher::Event::SourceResting { .. },
                ) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything that came and isn't paid, with one message.
    fn pay(&mut self, holder: usize) {
        let payer = &mut self.payers[holder];
        if !self.paying || payer.paid == payer.received {
            return;
        }
        payer.paid = payer.received;
        payer.payments += 1;
        let body = Bytes::copy_from_slice(&payer.paid.to_be_bytes());
        let link = self.payees[holder].link;
        self.fetcher.handle(Instant(self.now_ms), fetcher::Input::Payment { link, body }).unwrap();
    }

    /// What is on its way arrives; nothing new is wanted.
    fn drain(&mut self) {
        let segments = 0..0;
        self.view(fetcher::Input::Want { segments, first_deadline: None, segment_duration_ms: 0 });
        self.delivered = 0;
        self.run(self.now_ms + 20_000);
    }

    fn sent(&self) -> u64 {
        self.payees.iter().map(|payee| payee.sent).sum()
    }

    fn assert_accounts_agree(&self) {
        for (payee, payer) in self.payees.iter().zip(&self.payers) {
            assert_eq!(payer.received, payee.sent, "all that was sent came");
            assert_eq!(payer.asked, payee.sent + payee.refused, "every request has one answer");
            assert_eq!(payer.paid, payee.paid);
        }
    }
}

#[test]
fn the_first_payload_comes_before_any_payment_and_all_is_paid_in_the_end() {
    for seed in 0..20 {
        let mut market = Market::new(seed);
        market.run(120_000);
        assert_eq!(market.delivered, market.film.segments());
        market.drain();
        market.assert_accounts_agree();
        let due: usize = market.payees.iter().map(|payee| payee.due).sum();
        assert_eq!(due, 0, "who pays is never asked to");
        for (payee, payer) in market.payees.iter().zip(&market.payers) {
            let (served_ms, paid_ms) = (payee.first.0.unwrap(), payee.first.1.unwrap());
            assert!(served_ms + 2 * LATENCY_MS <= paid_ms, "{served_ms} {paid_ms}");
            assert_eq!(payer.paid, payer.received);
        }
    }
}

#[test]
fn serving_stops_at_the_float_and_goes_on_when_it_is_paid() {
    for seed in 0..20 {
        let mut market = Market::new(seed);
        while market.sent() < 20 * SHARD {
            market.run(market.now_ms + 10);
        }
        market.paying = false;
        market.run(market.now_ms + 30_000);
        let (sent, delivered) = (market.sent(), market.delivered);
        assert!(delivered < market.film.segments());
        for payee in &market.payees {
            let owed = payee.sent - payee.paid;
            assert!(owed <= FLOAT && owed + SHARD > FLOAT, "all of the float: {owed}");
            assert!(payee.due > 0, "and a request to pay");
        }
        market.run(market.now_ms + 10_000);
        assert_eq!(market.sent(), sent);
        market.paying = true;
        (0..market.payers.len()).for_each(|holder| market.pay(holder));
        market.run(market.now_ms + 120_000);
        assert_eq!(market.delivered, market.film.segments(), "at {} ms", market.now_ms);
        market.drain();
        market.assert_accounts_agree();
    }
}
