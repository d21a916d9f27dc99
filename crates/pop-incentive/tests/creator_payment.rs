//! A film is sold: money is locked against the key commitment of its own manifest, and whoever
//! takes the money leaves the key that opens the film. Without the key the money goes back.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::Bytes;
use pop_erasure::{
    Content, ContentKey, Decoder, EncodedSegment, Encoder, Geometry, Media, Publication, ShardSet,
};
use pop_incentive::ids::LockId;
use pop_incentive::ledger::{
    Account, LedgerParameters, LedgerState, Lock, LockState, Operation, Receipt, Refusal,
    SignedOperation, names, no_equivocation_check,
};
use pop_incentive::limits::LEDGER_LOCKS_MAX;
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{
    Amount, Digest, Keypair, Manifest, SegmentIndex, Signed, UnixTime, Verified, WalletAddress,
};

const NOW: UnixTime = UnixTime(1_800_000_000);
const DEADLINE: UnixTime = UnixTime(1_800_000_600);

fn key(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn wallet(keypair: &Keypair) -> WalletAddress {
    keypair.peer_id().wallet_address()
}

fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap()
}

/// A published film. The key is the publisher's; everything else is anybody's.
struct Film {
    plaintext: Vec<u8>,
    key: ContentKey,
    publication: Publication,
    segments: Vec<EncodedSegment>,
}

impl Film {
    fn publish(publisher: &Keypair, secret: u8) -> Self {
        let plaintext: Vec<u8> = (0..=250).cycle().take(10_000).collect();
        let key = ContentKey::from_bytes([secret; 32]);
        let geometry = Geometry::danger_without_promise(3, 5).unwrap();
        let mut encoder = Encoder::new(geometry, 1024, key.clone(), [secret + 1; 32]).unwrap();
        let (mut rest, mut segments) = (&plaintext[..], Vec::new());
        while !rest.is_empty() {
            rest = &rest[encoder.push(rest).unwrap()..];
            segments.extend(std::iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        segments.extend(std::iter::from_fn(|| encoder.poll()));
        let publication = encoder.finish(publisher, Media::default()).unwrap();
        Self { plaintext, key, publication, segments }
    }

    /// The manifest as it comes over the wire.
    fn manifest(&self) -> Verified<Manifest> {
        let bytes: Bytes = self.publication.manifest().signed().encode();
        Signed::<Manifest>::decode(bytes).unwrap().verify().unwrap()
    }

    fn secret(&self) -> Digest {
        Digest(*self.key.expose_secret())
    }

    /// The film from ciphertext that anybody has, and a key.
    fn decrypt(&self, key: Digest) -> Vec<u8> {
        let content = Content::new(self.manifest()).unwrap();
        let mut decoder = Decoder::new(content.clone(), ContentKey::from_bytes(key.0)).unwrap();
        let mut plaintext = Vec::new();
        for (index, encoded) in (0..).zip(&self.segments) {
            let segment = SegmentIndex(index);
            let mut shards = ShardSet::new(&content, segment);
            for column in content.layout().columns().skip(2) {
                let path = encoded.segment_path(column).unwrap();
                let content_path = self.publication.content_path(segment).unwrap();
                let payload = encoded.shard(column).unwrap();
                shards.insert(column, payload, path, content_path).unwrap();
            }
            plaintext.extend_from_slice(&decoder.decode(segment, &shards.into_shards()).unwrap());
        }
        plaintext
    }
}

struct Market {
    ledger: LedgerState,
}

impl Market {
    fn new(buyer: &Keypair) -> Self {
        let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
        let parameters = LedgerParameters::new(wallet(&key(1)));
        let ledger = LedgerState::new(domain, parameters, no_equivocation_check).unwrap();
        let mut market = Self { ledger };
        let mint = Operation::Mint { to: wallet(buyer), amount: pop(20) };
        market.act(NOW, &key(1), mint).unwrap();
        market
    }

    fn act(
        &mut self,
        now: UnixTime,
        actor: &Keypair,
        operation: Operation,
    ) -> Result<Receipt, Refusal> {
        let nonce = self.ledger.nonce(wallet(actor));
        let signed = SignedOperation::sign(operation, nonce, actor, self.ledger.domain());
        // As it comes over the wire.
        let signed = SignedOperation::decode(&signed.encode()).unwrap();
        let result = self.ledger.apply(now, &signed);
        self.ledger.audit().unwrap();
        result
    }

    fn has(&self, keypair: &Keypair) -> Amount {
        self.ledger.balance(Account::Wallet(wallet(keypair)))
    }

    fn lock_of(&self, buyer: &Keypair) -> LockId {
        names::lock_id(self.ledger.domain(), wallet(buyer), 0)
    }
}

#[test]
fn who_takes_the_money_leaves_the_key_that_opens_the_film() {
    let (publisher, buyer) = (key(2), key(3));
    let film = Film::publish(&publisher, 7);
    let mut market = Market::new(&buyer);

    let open = Operation::lock_for_key(&film.manifest(), 0, pop(12), DEADLINE);
    market.act(NOW, &buyer, open).unwrap();
    let id = market.lock_of(&buyer);
    let lock = market.ledger.lock(id).unwrap();
    assert!(lock.is_for_key_of(&film.manifest()) && lock.amount == pop(12));
    assert_eq!(lock.key(), None);
    assert_eq!((market.has(&buyer), market.has(&publisher)), (pop(8), Amount::ZERO));

    let claim = Operation::ClaimLock { lock: id, key: film.secret() };
    market.act(NOW, &publisher, claim).unwrap();
    assert_eq!((market.has(&buyer), market.has(&publisher)), (pop(8), pop(12)));

    // All that the buyer has of the key is what the ledger shows.
    let shown = market.ledger.lock(id).unwrap().key().unwrap();
    assert_eq!(film.decrypt(shown), film.plaintext);

    // The money can't also go back.
    let refund = market.act(DEADLINE, &buyer, Operation::RefundLock { lock: id });
    assert_eq!(refund, Err(Refusal::State { what: "lock", expected: "open" }));
}

#[test]
fn without_the_key_the_money_goes_back() {
    let (publisher, buyer) = (key(2), key(3));
    let film = Film::publish(&publisher, 7);
    let mut market = Market::new(&buyer);
    let open = Operation::lock_for_key(&film.manifest(), 0, pop(12), DEADLINE);
    market.act(NOW, &buyer, open).unwrap();
    let id = market.lock_of(&buyer);

    // Neither another film's key nor the right one under another salt.
    for wrong in [Film::publish(&publisher, 8).secret(), film.manifest().salt, Digest([0; 32])] {
        let claim = market.act(NOW, &publisher, Operation::ClaimLock { lock: id, key: wrong });
        assert_eq!(claim, Err(Refusal::Hash { what: "key" }));
    }
    let early = market.act(NOW, &buyer, Operation::RefundLock { lock: id });
    assert!(matches!(early, Err(Refusal::TooEarly { .. })), "{early:?}");

    // Too late, the right key takes nothing.
    let late = Operation::ClaimLock { lock: id, key: film.secret() };
    let late = market.act(DEADLINE, &publisher, late);
    assert!(matches!(late, Err(Refusal::TooLate { .. })), "{late:?}");
    market.act(DEADLINE, &buyer, Operation::RefundLock { lock: id }).unwrap();
    assert_eq!((market.has(&buyer), market.has(&publisher)), (pop(20), Amount::ZERO));
    let lock = market.ledger.lock(id).unwrap();
    assert_eq!((lock.state, lock.key()), (LockState::Refunded, None));
}

#[test]
fn whoever_shows_the_key_the_publisher_is_paid() {
    let (publisher, buyer, viewer) = (key(2), key(3), key(4));
    let film = Film::publish(&publisher, 7);
    let mut market = Market::new(&buyer);
    let open = Operation::lock_for_key(&film.manifest(), 0, pop(12), DEADLINE);
    market.act(NOW, &buyer, open).unwrap();
    let claim = Operation::ClaimLock { lock: market.lock_of(&buyer), key: film.secret() };
    market.act(NOW, &viewer, claim).unwrap();
    assert_eq!((market.has(&publisher), market.has(&viewer)), (pop(12), Amount::ZERO));
}

#[test]
fn a_lock_for_another_film_or_payee_is_told_before_the_key_is_shown() {
    let (publisher, buyer) = (key(2), key(3));
    let (film, other) = (Film::publish(&publisher, 7), Film::publish(&publisher, 9));
    let mut market = Market::new(&buyer);
    let Operation::OpenLock { amount, salt, commitment, deadline_s, .. } =
        Operation::lock_for_key(&film.manifest(), 0, pop(1), DEADLINE)
    else {
        panic!("it opens a lock")
    };
    let payee = wallet(&buyer);
    let mine = Operation::OpenLock { index: 0, payee, amount, salt, commitment, deadline_s };
    market.act(NOW, &buyer, mine).unwrap();
    let lock = market.ledger.lock(market.lock_of(&buyer)).unwrap();
    assert!(!lock.is_for_key_of(&film.manifest()), "it pays the buyer itself");

    let open = Operation::lock_for_key(&other.manifest(), 1, pop(1), DEADLINE);
    market.act(NOW, &buyer, open).unwrap();
    let id = names::lock_id(market.ledger.domain(), wallet(&buyer), 1);
    let lock = market.ledger.lock(id).unwrap();
    assert!(!lock.is_for_key_of(&film.manifest()) && lock.is_for_key_of(&other.manifest()));
}

/// Every open lock that pays somebody, page by page.
fn waiting_for(market: &Market, payee: &Keypair) -> Vec<(LockId, Lock)> {
    let (mut all, mut after) = (Vec::new(), LockId([0; 32]));
    loop {
        let page = market.ledger.open_locks(wallet(payee), after);
        assert!(page.len() <= LEDGER_LOCKS_MAX);
        let Some((last, _)) = page.last() else { return all };
        after = *last;
        all.extend(page);
    }
}

#[test]
fn a_publisher_finds_the_locks_that_wait_for_its_key_among_any_number() {
    let (publisher, buyer, other) = (key(2), key(3), key(4));
    let film = Film::publish(&publisher, 7);
    let mut market = Market::new(&buyer);
    let manifest = film.manifest();
    let count = 2 * u64::try_from(LEDGER_LOCKS_MAX).unwrap() + 2;
    for index in 0..count {
        let mut open = Operation::lock_for_key(&manifest, index, Amount::ZERO, DEADLINE);
        if let Operation::OpenLock { payee, .. } = &mut open
            && index % 13 == 12
        {
            *payee = wallet(&other);
        }
        market.act(NOW, &buyer, open).unwrap();
    }
    let real = Operation::lock_for_key(&manifest, count, pop(12), DEADLINE);
    market.act(NOW, &buyer, real).unwrap();
    let id = names::lock_id(market.ledger.domain(), wallet(&buyer), count);

    let found = waiting_for(&market, &publisher);
    assert_eq!(
        found.len() + waiting_for(&market, &other).len(),
        usize::try_from(count + 1).unwrap()
    );
    assert!(found.is_sorted_by(|one, next| one.0 < next.0));
    assert!(found.iter().all(|(_, lock)| lock.is_for_key_of(&manifest)));
    let paying: Vec<_> = found.iter().filter(|(_, lock)| lock.amount >= pop(12)).collect();
    assert!(matches!(paying[..], [(paid, _)] if *paid == id), "{paying:?}");
    assert!(waiting_for(&market, &buyer).is_empty());

    // What is claimed or has gone back waits for nobody; a refused claim changes nothing.
    let wrong = Operation::ClaimLock { lock: id, key: Digest([0; 32]) };
    market.act(NOW, &publisher, wrong).unwrap_err();
    assert_eq!(waiting_for(&market, &publisher).len(), found.len());
    let claim = Operation::ClaimLock { lock: id, key: film.secret() };
    market.act(NOW, &publisher, claim).unwrap();
    let (back, _) = *found.iter().find(|(lock, _)| *lock != id).unwrap();
    market.act(DEADLINE, &buyer, Operation::RefundLock { lock: back }).unwrap();
    let left = waiting_for(&market, &publisher);
    assert_eq!(left.len(), found.len() - 2);
    assert!(left.iter().all(|(lock, _)| *lock != id && *lock != back));
}
