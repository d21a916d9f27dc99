//! The digests are those that a contract computes: checked against another implementation of
//! EIP-712, which shares no code with this one.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use pop_incentive::audit::AuditChallenge;
use pop_incentive::ids::VaultId;
use pop_incentive::typed_data::{
    KnownWallet, LedgerDomain, MoneySignature, SignatureError, StructHash,
};
use pop_incentive::voucher::Voucher;
use pop_wire::{Amount, ColumnIndex, ContentId, Keypair, SegmentIndex, UnixTime, WalletAddress};

mod oracle {
    super::sol! {
        struct Voucher {
            bytes32 vault;
            address payee;
            uint64 epoch;
            uint128 amount;
            uint64 bytes;
        }

        struct AuditAnswer {
            address holder;
            bytes32 content;
            uint64 segment;
            uint16 column;
            bytes32 nonce;
            uint64 asked_at;
            bytes32 digest;
        }

        struct Everything {
            bool flag;
            bytes body;
            string name;
            bytes32[] path;
            address[] members;
            uint256 count;
        }
    }
}

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn domains(chain_id: u64, contract: u8) -> (LedgerDomain, Eip712Domain) {
    let ours = LedgerDomain::new(chain_id, WalletAddress([contract; 20]));
    let theirs = eip712_domain! {
        name: "POP",
        version: "1",
        chain_id: chain_id,
        verifying_contract: [contract; 20].into(),
    };
    (ours, theirs)
}

fn voucher(byte: u8) -> Voucher {
    Voucher {
        vault: VaultId([byte; 32]),
        payee: WalletAddress([byte ^ 0xff; 20]),
        epoch: u64::MAX - u64::from(byte),
        amount: Amount::from_base_units(u128::MAX / (1 + u128::from(byte))),
        bytes: 1 << (byte % 64),
    }
}

#[test]
fn domain_separators_are_those_of_eip_712() {
    for (chain_id, contract) in [(0, 0), (1, 1), (31_337, 0xab), (u64::MAX, 0xff)] {
        let (ours, theirs) = domains(chain_id, contract);
        assert_eq!(ours.separator(), theirs.separator().0);
    }
}

/// The example of spec/incentive.md §16.1.
#[test]
fn an_audit_s_answer_is_that_of_eip_712_and_of_the_specification() {
    let (ours, theirs) = domains(5_000_000_001, 0xaa);
    let challenge = AuditChallenge {
        content: ContentId([0x11; 32]),
        segment: SegmentIndex(5),
        column: ColumnIndex::new(3).unwrap(),
        nonce: [0x22; 32],
        asked_at: UnixTime(1_800_000_000),
    };
    let answer = challenge.answer(&ours, &keypair(1), &[0x33; 64]);
    let same = oracle::AuditAnswer {
        holder: answer.answer.holder.0.into(),
        content: challenge.content.0.into(),
        segment: 5,
        column: 3,
        nonce: challenge.nonce.into(),
        asked_at: 1_800_000_000,
        digest: answer.answer.digest.0.into(),
    };
    assert_eq!(answer.answer.struct_hash(), same.eip712_hash_struct().0);
    let digest = same.eip712_signing_hash(&theirs).0;
    answer.signature.verify_peer(&digest, keypair(1).peer_id()).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let specification = include_str!("../../../spec/incentive.md");
    let holder = hex(&answer.answer.holder.0);
    for stated in [holder, hex(&challenge.encode()), hex(&answer.answer.digest.0)] {
        assert!(specification.replace(['\n', ' '], "").contains(&stated), "{stated}");
    }
}

#[test]
fn voucher_digests_are_those_of_eip_712() {
    for byte in 0..=255 {
        let (ours, theirs) = domains(u64::from(byte) + 1, byte);
        let voucher = voucher(byte);
        let same = oracle::Voucher {
            vault: voucher.vault.0.into(),
            payee: voucher.payee.0.into(),
            epoch: voucher.epoch,
            amount: voucher.amount.base_units(),
            bytes: voucher.bytes,
        };
        assert_eq!(Voucher::TYPE, oracle::Voucher::eip712_root_type().as_bytes());
        assert_eq!(voucher.struct_hash(), same.eip712_hash_struct().0);
        assert_eq!(voucher.digest(&ours), same.eip712_signing_hash(&theirs).0);
    }
}

#[test]
fn every_kind_of_member_is_encoded_as_eip_712_has_it() {
    let padded = |byte: u8| {
        let mut word = [0; 32];
        word[12..].fill(byte);
        word
    };
    for count in 0..5_u8 {
        let path: Vec<[u8; 32]> = (0..count).map(|byte| [byte; 32]).collect();
        let members: Vec<[u8; 32]> = (0..count).map(padded).collect();
        let ours = StructHash::new(oracle::Everything::eip712_root_type().as_bytes())
            .flag(count % 2 == 1)
            .bytes(&vec![7; usize::from(count) * 100])
            .bytes("näme".as_bytes())
            .array(&path)
            .array(&members)
            .uint(u128::MAX)
            .finish();
        let theirs = oracle::Everything {
            flag: count % 2 == 1,
            body: vec![7; usize::from(count) * 100].into(),
            name: "näme".into(),
            path: path.into_iter().map(Into::into).collect(),
            members: (0..count).map(|byte| [byte; 20].into()).collect(),
            count: u128::MAX.try_into().unwrap(),
        };
        assert_eq!(ours, theirs.eip712_hash_struct().0);
    }
}

#[test]
fn a_signature_of_another_domain_chain_or_contract_is_refused() {
    let signed = voucher(1).sign(&domains(1, 1).0, &keypair(1));
    let owner = keypair(1).peer_id().wallet_address();
    assert_eq!(signed.verify(&domains(1, 1).0, owner), Ok(()));
    for (chain_id, contract) in [(2, 1), (1, 2)] {
        assert!(matches!(
            signed.verify(&domains(chain_id, contract).0, owner),
            Err(SignatureError::OtherSigner { expected, .. }) if expected == owner
        ));
    }
}

#[test]
fn a_signature_is_verified_by_address_and_by_peer() {
    let digest = voucher(3).digest(&domains(1, 1).0);
    let signature = MoneySignature::sign(&keypair(3), &digest);
    let (signer, other) = (keypair(3).peer_id(), keypair(4).peer_id());
    assert_eq!(signature.signer(&digest), Ok(signer));
    assert_eq!(signature.verify_peer(&digest, signer), Ok(()));
    assert_eq!(signature.verify_address(&digest, signer.wallet_address()), Ok(()));
    assert!(signature.verify_peer(&digest, other).is_err());
    assert!(signature.verify_address(&digest, other.wallet_address()).is_err());
    assert_eq!(MoneySignature::from_bytes(signature.to_bytes()), Ok(signature));
}

#[test]
fn a_high_s_is_refused_and_named() {
    let digest = voucher(3).digest(&domains(1, 1).0);
    let mut bytes = MoneySignature::sign(&keypair(3), &digest).to_bytes();
    negate_s(&mut bytes);
    assert_eq!(MoneySignature::from_bytes(bytes), Err(SignatureError::HighS));
    // s = (n - 1) / 2 is the greatest that passes, one more is the least that doesn't.
    let half = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
    for (index, byte) in bytes[32..64].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&half[2 * index..2 * index + 2], 16).unwrap();
    }
    assert!(MoneySignature::from_bytes(bytes).is_ok());
    bytes[63] += 1;
    assert_eq!(MoneySignature::from_bytes(bytes), Err(SignatureError::HighS));
}

#[test]
fn a_recovery_byte_other_than_27_and_28_is_refused() {
    let digest = voucher(3).digest(&domains(1, 1).0);
    let mut bytes = MoneySignature::sign(&keypair(3), &digest).to_bytes();
    let right = bytes[64];
    for got in (0..=255).filter(|got| !matches!(got, 27 | 28)) {
        bytes[64] = got;
        assert_eq!(MoneySignature::from_bytes(bytes), Err(SignatureError::RecoveryByte { got }));
    }
    // With the other of the two a contract would find another signer: refused here too.
    bytes[64] = 55 - right;
    let flipped = MoneySignature::from_bytes(bytes).unwrap();
    assert!(flipped.verify_peer(&digest, keypair(3).peer_id()).is_err());
}

#[test]
fn a_signature_of_zeros_belongs_to_nobody() {
    let mut bytes = [0; 65];
    bytes[64] = 27;
    let signature = MoneySignature::from_bytes(bytes).unwrap();
    assert_eq!(signature.signer(&[1; 32]), Err(SignatureError::NoSigner));
}

#[test]
fn a_wallet_whose_key_is_known_is_judged_as_one_of_which_only_the_address_is() {
    let (owner, stranger) = (keypair(3), keypair(4));
    let address = owner.peer_id().wallet_address();
    let mut known = KnownWallet::new(address);
    let mut named = KnownWallet::from(owner.peer_id());
    assert_eq!(named.address(), address);
    let mut judged = [0, 0];
    for byte in 0..40_u8 {
        let digest = [byte; 32];
        let signature = MoneySignature::sign(&owner, &digest);
        let mut flipped = signature.to_bytes();
        flipped[64] = 55 - flipped[64];
        let mut other = signature.to_bytes();
        other[usize::from(byte) % 32] ^= 1 << (byte % 8);
        let signatures = [
            MoneySignature::sign(&stranger, &digest),
            MoneySignature::from_bytes(flipped).unwrap(),
            MoneySignature::from_bytes(other).unwrap(),
            MoneySignature::sign(&owner, &[byte + 1; 32]),
            signature,
        ];
        for signature in signatures {
            let expected = signature.verify_address(&digest, address);
            assert_eq!(known.verify(&digest, &signature), expected);
            assert_eq!(named.verify(&digest, &signature), expected);
            assert_eq!(signature.verify_peer(&digest, owner.peer_id()), expected);
            judged[usize::from(expected.is_ok())] += 1;
        }
    }
    assert_eq!(judged, [160, 40]);
}

/// s becomes n - s: the twin that anybody can make, with the recovery byte that fits it.
fn negate_s(signature: &mut [u8; 65]) {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut borrow = 0_i16;
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(signature[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    signature[64] = 55 - signature[64];
}
