//! Vouchers beside the signatures that are in them.

use std::cell::RefCell;
use std::hint::black_box;

use criterion::Criterion;
use k256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use pop_incentive::ids::VaultId;
use pop_incentive::limits::VOUCHER_BYTES;
use pop_incentive::typed_data::{KnownWallet, LedgerDomain};
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, Keypair, WalletAddress};

use crate::{Operation, Ratio, measure};

const SECRET: [u8; 32] = [7; 32];
/// Vouchers of one turn: about 5 ms, so that the clock costs nothing.
const VOUCHERS: u32 = 128;
const ROUNDS: usize = 201;

/// Vouchers as a payer makes them one after the other, and all that is made of them.
struct Stream {
    domain: LedgerDomain,
    owner: Keypair,
    signing: SigningKey,
    verifying: VerifyingKey,
    vouchers: Vec<Voucher>,
    signed: Vec<SignedVoucher>,
    encoded: Vec<[u8; VOUCHER_BYTES]>,
    digests: Vec<[u8; 32]>,
    bare: Vec<Signature>,
}

impl Stream {
    fn new() -> Self {
        let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
        let owner = Keypair::from_secret_bytes(&SECRET).expect("a valid key");
        let signing = SigningKey::from_slice(&SECRET).expect("a valid key");
        let vouchers: Vec<_> = (1..=VOUCHERS).map(voucher).collect();
        let signed: Vec<_> = vouchers.iter().map(|it| it.sign(&domain, &owner)).collect();
        let digests: Vec<_> = vouchers.iter().map(|it| it.digest(&domain)).collect();
        let bare = digests.iter().map(|it| signing.sign_prehash(it).expect("32 bytes")).collect();
        let encoded = signed.iter().map(SignedVoucher::encode).collect();
        let verifying = *signing.verifying_key();
        Self { domain, owner, signing, verifying, vouchers, signed, encoded, digests, bare }
    }

    fn bare_sign(&self) {
        for digest in &self.digests {
            let signature: Signature = self.signing.sign_prehash(digest).expect("32 bytes");
            black_box(signature);
        }
    }

    fn sign(&self) {
        for voucher in &self.vouchers {
            black_box(black_box(*voucher).sign(&self.domain, &self.owner).encode());
        }
    }

    fn bare_verify(&self) {
        for (digest, signature) in self.digests.iter().zip(&self.bare) {
            black_box(self.verifying.verify_prehash(digest, signature)).expect("is valid");
        }
    }

    fn verify(&self, owner: &RefCell<KnownWallet>) {
        for bytes in &self.encoded {
            let signed = SignedVoucher::decode(bytes).expect("is one");
            signed.verify_known(&self.domain, &mut owner.borrow_mut()).expect("is valid");
        }
    }

    fn recover(&self) {
        let owner = self.owner.peer_id().wallet_address();
        for signed in &self.signed {
            signed.verify(&self.domain, owner).expect("is valid");
        }
    }
}

fn voucher(number: u32) -> Voucher {
    Voucher {
        vault: VaultId([1; 32]),
        payee: WalletAddress([2; 20]),
        epoch: 3,
        amount: Amount::from_base_units(u128::from(number) << 60),
        bytes: u64::from(number) << 19,
    }
}

pub(crate) fn run(criterion: &mut Criterion) {
    let stream = Stream::new();
    let owner = RefCell::new(KnownWallet::new(stream.owner.peer_id().wallet_address()));
    let operation = |name, run| Operation { name, count: VOUCHERS, prepare: Box::new(|| {}), run };
    let mut operations = [
        operation("k256 sign", Box::new(|| stream.bare_sign()) as Box<dyn FnMut()>),
        operation("voucher hashed, signed, encoded", Box::new(|| stream.sign())),
        operation("k256 verify", Box::new(|| stream.bare_verify())),
        operation("voucher decoded, hashed, verified", Box::new(|| stream.verify(&owner))),
        operation("first voucher of a payer (key recovered)", Box::new(|| stream.recover())),
    ];
    let [sign, voucher_sign, verify, voucher_verify, first] =
        [0, 1, 2, 3, 4].map(|index: usize| operations[index].name);
    let ratios = [
        Ratio { of: voucher_sign, to: sign, wanted: ">= 0.90" },
        Ratio { of: voucher_verify, to: verify, wanted: ">= 0.90" },
        Ratio { of: first, to: verify, wanted: "" },
    ];
    measure(criterion, ROUNDS, &mut operations, &ratios);
}
