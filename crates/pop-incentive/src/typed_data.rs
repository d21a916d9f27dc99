//! What a signature about money covers: typed data of EIP-712, so that a contract can check it.
//! Normative: `spec/incentive.md` §2.

use core::fmt;
use std::sync::LazyLock;

use pop_wire::{Amount, Keypair, PeerId, VerifyingKey, WalletAddress};
use sha3::{Digest as _, Keccak256};

/// Half of the order of secp256k1, rounded down, big endian: the greatest s that is allowed.
const S_MAX: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Which ledger a signature is for: one chain and one contract on it. The same words signed for
/// another ledger have another digest, so a signature can't be replayed there.
///
/// A ledger without a chain has a chain id and a contract address too: whoever runs it chooses
/// them, once, at random.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LedgerDomain {
    chain_id: u64,
    contract: WalletAddress,
    separator: [u8; 32],
}

impl LedgerDomain {
    /// The domain with name `POP` and version `1`.
    pub fn new(chain_id: u64, contract: WalletAddress) -> Self {
        let separator = StructHash::new(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        )
        .bytes(b"POP")
        .bytes(b"1")
        .uint(chain_id.into())
        .address(contract)
        .finish();
        Self { chain_id, contract, separator }
    }

    /// Number of the chain (EIP-155).
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract that is the ledger.
    pub fn contract(&self) -> WalletAddress {
        self.contract
    }

    /// EIP-712's `domainSeparator`.
    pub fn separator(&self) -> [u8; 32] {
        self.separator
    }

    /// What is signed for a struct of this hash: Keccak-256 of `19 01`, separator and hash.
    pub fn digest(&self, struct_hash: &[u8; 32]) -> [u8; 32] {
        Keccak256::new()
            .chain_update([0x19, 0x01])
            .chain_update(self.separator)
            .chain_update(struct_hash)
            .finalize()
            .into()
    }
}

impl fmt::Debug for LedgerDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LedgerDomain({}, {})", self.chain_id, self.contract)
    }
}

/// EIP-712's `hashStruct`, built member by member in the order of the type.
///
/// ```
/// use pop_incentive::typed_data::StructHash;
/// use pop_wire::{Amount, WalletAddress};
///
/// let hash = StructHash::new(b"Tip(address to,uint128 amount)")
///     .address(WalletAddress([7; 20]))
///     .amount(Amount::ONE_POP)
///     .finish();
/// assert_eq!(hash.len(), 32);
/// ```
#[derive(Clone)]
#[must_use]
pub struct StructHash(Keccak256);

impl StructHash {
    /// Of a type, as EIP-712's `encodeType` spells it: `Voucher(bytes32 vault,…)`.
    pub fn new(encoded_type: &[u8]) -> Self {
        Self::of(keccak(encoded_type))
    }

    /// Of a type whose hash, EIP-712's `typeHash`, was computed before.
    pub fn of(type_hash: [u8; 32]) -> Self {
        Self(Keccak256::new()).word(type_hash)
    }

    /// A `bytes32`, or the hash of a struct inside this one.
    pub fn word(mut self, word: [u8; 32]) -> Self {
        self.0.update(word);
        self
    }

    /// An unsigned integer of any width up to 128 bits.
    pub fn uint(self, value: u128) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&value.to_be_bytes());
        self.word(word)
    }

    /// A `uint128` of base units.
    pub fn amount(self, amount: Amount) -> Self {
        self.uint(amount.base_units())
    }

    /// An `address`.
    pub fn address(self, address: WalletAddress) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        self.word(word)
    }

    /// A `bool`.
    pub fn flag(self, value: bool) -> Self {
        self.uint(value.into())
    }

    /// `bytes` or a `string`.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.word(keccak(bytes))
    }

    /// An array of which each element is one word: `bytes32[]`, or the hashes of structs.
    pub fn array(self, words: &[[u8; 32]]) -> Self {
        self.word(keccak(words.as_flattened()))
    }

    /// The hash.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The hash of a type, computed once in a program: a third of what hashing a voucher costs.
pub(crate) type TypeHash = LazyLock<[u8; 32]>;

/// Keccak-256, Ethereum's hash.
pub fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// A signature as a contract takes it: r || s || v, with s at most half of the order and v 27 or
/// 28, so that nobody but the signer can make a second one from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoneySignature([u8; 65]);

impl MoneySignature {
    /// Bytes of a signature.
    pub const BYTES: usize = 65;

    /// Sign a digest of [`LedgerDomain::digest`].
    pub fn sign(keypair: &Keypair, digest: &[u8; 32]) -> Self {
        Self(keypair.sign_digest_recoverable(digest))
    }

    /// From the wire. Checks the form; whose it is, only the digest shows.
    ///
    /// # Errors
    /// [`SignatureError::HighS`] or [`SignatureError::RecoveryByte`]: the sender's fault.
    pub fn from_bytes(bytes: [u8; 65]) -> Result<Self, SignatureError> {
        // spec/incentive.md §2.3: s MUST be at most half of the order, v MUST be 27 or 28.
        if bytes[32..64] > S_MAX[..] {
            return Err(SignatureError::HighS);
        }
        if !matches!(bytes[64], 27 | 28) {
            return Err(SignatureError::RecoveryByte { got: bytes[64] });
        }
        Ok(Self(bytes))
    }

    /// r || s || v.
    pub fn to_bytes(&self) -> [u8; 65] {
        self.0
    }

    /// Check that the owner of a wallet signed this digest.
    ///
    /// # Errors
    /// [`SignatureError::OtherSigner`] or [`SignatureError::NoSigner`]: the sender's fault.
    pub fn verify_address(
        &self,
        digest: &[u8; 32],
        expected: WalletAddress,
    ) -> Result<(), SignatureError> {
        let got = WalletAddress::recover(digest, &self.0).map_err(|_| SignatureError::NoSigner)?;
        if got == expected { Ok(()) } else { Err(SignatureError::OtherSigner { expected, got }) }
    }

    /// Check that a peer signed this digest.
    ///
    /// # Errors
    /// As for [`verify_address`](Self::verify_address).
    pub fn verify_peer(&self, digest: &[u8; 32], expected: PeerId) -> Result<(), SignatureError> {
        KnownWallet::from(expected).verify(digest, self)
    }

    /// Who signed this digest. With another digest it is somebody else, not an error.
    ///
    /// # Errors
    /// [`SignatureError::NoSigner`]: the sender's fault.
    pub fn signer(&self, digest: &[u8; 32]) -> Result<PeerId, SignatureError> {
        PeerId::recover(digest, &self.0).map_err(|_| SignatureError::NoSigner)
    }
}

/// A wallet whose signatures are checked again and again. Its public key is recovered from the
/// first that is its own; the others are checked by that key, which is faster, and accepted
/// exactly if they would be by recovery.
#[derive(Debug, Clone, Copy)]
pub struct KnownWallet {
    address: WalletAddress,
    key: Option<VerifyingKey>,
}

impl KnownWallet {
    /// Of which nothing but the address is known yet.
    pub fn new(address: WalletAddress) -> Self {
        Self { address, key: None }
    }

    /// Which wallet.
    pub fn address(&self) -> WalletAddress {
        self.address
    }

    /// Check that the owner of the wallet signed this digest.
    ///
    /// # Errors
    /// As for [`MoneySignature::verify_address`].
    pub fn verify(
        &mut self,
        digest: &[u8; 32],
        signature: &MoneySignature,
    ) -> Result<(), SignatureError> {
        // spec/incentive.md §2.3: v MUST fit too, which a known key alone doesn't tell.
        let is_valid = |key: VerifyingKey| key.verify_recoverable(digest, &signature.0).is_ok();
        if self.key.is_some_and(is_valid) {
            return Ok(());
        }
        // The first one; or a bad one, of which recovery tells whose it is.
        let key = VerifyingKey::recover(digest, &signature.0);
        let key = key.map_err(|_| SignatureError::NoSigner)?;
        let (expected, got) = (self.address, key.wallet_address());
        if got != expected {
            return Err(SignatureError::OtherSigner { expected, got });
        }
        self.key = Some(key);
        Ok(())
    }
}

impl From<PeerId> for KnownWallet {
    /// The wallet of a peer, whose key its id is.
    fn from(peer: PeerId) -> Self {
        let key = peer.verifying_key();
        Self { address: key.wallet_address(), key: Some(key) }
    }
}

impl fmt::Debug for MoneySignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Why a signature about money is refused. Always the fault of who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The malleable twin of a signature.
    #[error("signature: expected a low s, got a high one")]
    HighS,
    /// The last byte is not one that Ethereum knows.
    #[error("signature: expected a last byte of 27 or 28, got {got}")]
    RecoveryByte {
        /// The byte.
        got: u8,
    },
    /// r or s is no number that a signature can have.
    #[error("signature: belongs to no key")]
    NoSigner,
    /// Somebody else signed, or these are not the words that were signed, or it was for another
    /// ledger.
    #[error("signature: expected one by {expected}, got one by {got}")]
    OtherSigner {
        /// Who should have signed.
        expected: WalletAddress,
        /// Who did, if these are the words.
        got: WalletAddress,
    },
}
