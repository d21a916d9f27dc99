//! People, a small ledger, and short ways to say what they do.

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::{
    Account, LedgerParameters, LedgerState, Operation, Receipt, Refusal, SignedOperation, names,
};
use pop_incentive::typed_data::{LedgerDomain, MoneySignature};
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, Keypair, PeerId, UnixTime, WalletAddress};

pub(crate) const DAY_S: u64 = 86_400;

pub(crate) fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

pub(crate) fn key(number: u8) -> Keypair {
    Keypair::from_secret_bytes(&[number; 32]).unwrap()
}

pub(crate) fn wallet(keypair: &Keypair) -> WalletAddress {
    keypair.peer_id().wallet_address()
}

pub(crate) fn operator() -> Keypair {
    key(1)
}

pub(crate) fn domain() -> LedgerDomain {
    LedgerDomain::new(20_260, WalletAddress([0xcc; 20]))
}

/// Stands for pop-erasure's check: a compressed key and a content, all of it believed.
pub(crate) fn believed(bytes: &[u8]) -> Option<(PeerId, [u8; 32])> {
    let (peer, content) = bytes.split_at_checked(33)?;
    Some((PeerId::from_public_key(peer).ok()?, content.try_into().ok()?))
}

pub(crate) fn equivocation(keypair: &Keypair, content: u8) -> Vec<u8> {
    [&keypair.peer_id().public_key()[..], &[content; 32]].concat()
}

/// A ledger with small numbers: collateral 50, a wrong costs 10.
pub(crate) fn small_ledger() -> LedgerState {
    let mut parameters = LedgerParameters::new(wallet(&operator()));
    parameters.genesis_supply = units(1_000_000);
    parameters.emission_per_epoch = units(1_000);
    parameters.collateral_min = units(50);
    LedgerState::new(domain(), parameters, believed).unwrap()
}

/// A ledger in which each of these has so much.
pub(crate) fn funded(people: &[(&Keypair, u128)]) -> LedgerState {
    let mut state = small_ledger();
    for (person, amount) in people {
        let mint = Operation::Mint { to: wallet(person), amount: units(*amount) };
        act(&mut state, 0, &operator(), mint).unwrap();
    }
    state
}

/// Sign with the actor's next nonce and apply.
pub(crate) fn act(
    state: &mut LedgerState,
    now: u64,
    actor: &Keypair,
    operation: Operation,
) -> Result<Receipt, Refusal> {
    let nonce = state.nonce(wallet(actor));
    let signed = SignedOperation::sign(operation, nonce, actor, state.domain());
    let before = state.clone();
    let result = state.apply(UnixTime(now), &signed);
    if result.is_err() {
        assert!(*state == before, "a refusal changes nothing");
    }
    state.audit().unwrap();
    result
}

/// An operation that nobody signed, for lists of which only the rules matter.
pub(crate) fn unsigned(
    state: &LedgerState,
    actor: WalletAddress,
    operation: Operation,
) -> SignedOperation {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    let signature = MoneySignature::from_bytes(bytes).unwrap();
    SignedOperation { actor, nonce: state.nonce(actor), operation, signature }
}

pub(crate) fn held(state: &LedgerState, keypair: &Keypair) -> u128 {
    state.balance(Account::Wallet(wallet(keypair))).base_units()
}

pub(crate) fn vault_of(owner: &Keypair) -> VaultId {
    names::vault_id(&domain(), wallet(owner), 0)
}

pub(crate) fn voucher(
    owner: &Keypair,
    payee: WalletAddress,
    epoch: u64,
    amount: u128,
) -> SignedVoucher {
    let (vault, amount) = (vault_of(owner), units(amount));
    Voucher { vault, payee, epoch, amount, bytes: 1 }.sign(&domain(), owner)
}

pub(crate) fn open_vault(deposit: u128, penalty: u128) -> Operation {
    Operation::OpenVault { index: 0, deposit: units(deposit), penalty: units(penalty) }
}
