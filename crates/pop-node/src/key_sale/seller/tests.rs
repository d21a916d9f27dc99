use pop_erasure::ContentKey;
use pop_incentive::ids::LockId;
use pop_incentive::ledger::{LedgerParameters, LedgerState, SignedOperation, names};
use pop_incentive::ledger::{LockState, no_equivocation_check};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Keypair, Manifest, Verified};

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn wallet(keypair: &Keypair) -> WalletAddress {
    keypair.peer_id().wallet_address()
}

fn publisher() -> Keypair {
    Keypair::from_secret_bytes(&[5; 32]).unwrap()
}

fn kept(secret: u8, price: u128) -> KeptKey {
    let (key, salt) = (ContentKey::from_bytes([secret; 32]), Digest([7; 32]));
    let digests = [Digest([8; 32]), salt, key.commitment(&salt)];
    let mut manifest = Manifest::new(publisher().peer_id(), 1_000, 64, (2, 4), digests);
    manifest.key_price = Amount::from_base_units(price);
    KeptKey { key, manifest: Verified::sign(manifest, &publisher()).unwrap() }
}

/// A lock as a ledger has it, and what is left of it to be changed.
fn lock(kept: &KeptKey, amount: u128, deadline: UnixTime) -> Lock {
    let buyer = Keypair::from_secret_bytes(&[6; 32]).unwrap();
    let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
    let parameters = LedgerParameters::new(wallet(&buyer));
    let mut ledger = LedgerState::new(domain, parameters, no_equivocation_check).unwrap();
    let to = wallet(&buyer);
    let amount = Amount::from_base_units(amount);
    let mint = Operation::Mint { to, amount };
    let open = Operation::lock_for_key(&kept.manifest, 0, amount, deadline);
    for (nonce, operation) in (0..).zip([mint, open]) {
        let signed = SignedOperation::sign(operation, nonce, &buyer, ledger.domain());
        ledger.apply(NOW, &signed).unwrap();
    }
    let id: LockId = names::lock_id(ledger.domain(), to, 0);
    ledger.lock(id).unwrap()
}

#[test]
fn a_key_is_shown_only_for_its_price_to_its_publisher_and_in_time() {
    let film = kept(1, 100);
    let (own, margin) = (wallet(&publisher()), CLAIM_MARGIN_S);
    let good = lock(&film, 100, NOW.after_s(margin));
    let judged = |lock: &Lock, kept: Option<&KeptKey>, own| judge(lock, kept, own, NOW).map(drop);
    assert_eq!(judged(&good, Some(&film), own), Ok(()));
    assert_eq!(judged(&lock(&film, 101, NOW.after_s(margin)), Some(&film), own), Ok(()));

    let late = lock(&film, 100, NOW.after_s(margin - 1));
    assert_eq!(judged(&late, Some(&film), own), Err(Unfit::TooLate { left_s: margin - 1 }));
    let (price, locked) = (Amount::from_base_units(100), Amount::from_base_units(99));
    let poor = lock(&film, 99, NOW.after_s(margin));
    assert_eq!(judged(&poor, Some(&film), own), Err(Unfit::TooLittle { price, locked }));
    assert_eq!(judged(&good, None, own), Err(Unfit::UnknownKey));
    let other = kept(2, 100);
    assert_eq!(judged(&good, Some(&other), own), Err(Unfit::UnknownKey), "another key");
    let mut other_salt = good;
    other_salt.salt = Digest([1; 32]);
    assert_eq!(judged(&other_salt, Some(&film), own), Err(Unfit::UnknownKey));
    let mut elsewhere = good;
    elsewhere.payee = good.payer;
    assert_eq!(judged(&elsewhere, Some(&film), own), Err(Unfit::OtherPayee));
    assert_eq!(judged(&elsewhere, Some(&film), good.payer), Err(Unfit::UnknownKey));
    let mut claimed = good;
    claimed.state = LockState::Refunded;
    assert_eq!(judged(&claimed, Some(&film), own), Err(Unfit::NotOpen));
    let free = kept(1, 0);
    let nothing = lock(&free, 0, NOW.after_s(margin));
    let zero = Amount::ZERO;
    let unsold = Unfit::TooLittle { price: zero, locked: zero };
    assert_eq!(judged(&nothing, Some(&free), own), Err(unsold), "a key that is not sold");
}

#[test]
fn a_lock_that_does_not_qualify_is_told_of_once_and_a_flood_of_them_only_up_to_a_limit() {
    let mut told = Told::default();
    let id = |number: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        LockId(id)
    };
    assert!((0..TOLD_MAX).all(|number| told.is_news(id(number))));
    assert!((0..2 * TOLD_MAX).all(|number| !told.is_news(id(number))));
    assert_eq!(told.0.len(), TOLD_MAX);
}
