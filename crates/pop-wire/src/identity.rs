//! One secp256k1 key is peer id, wallet address and signing key (`spec/wire.md` §3).

use core::fmt;
use core::str::FromStr;

use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use crate::curve::Secret;
use crate::{Bound, VerifyingKey, WireError};

/// Bytes before the key in a libp2p peer id: identity multihash of 37 bytes, then the protobuf
/// header of a secp256k1 public key (libp2p's `peer-ids.md`).
const LIBP2P_PREFIX: [u8; 6] = [0x00, 0x25, 0x08, 0x02, 0x12, 0x21];

/// Who a peer is: its compressed secp256k1 public key, a point on the curve.
///
/// Displays in the base58 form that libp2p uses, so a log line can be pasted anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 33]);

impl PeerId {
    /// From the 33 bytes of a compressed public key.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are no point on the curve.
    pub fn from_public_key(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_wire("public key", bytes)
    }

    /// The compressed public key.
    pub fn public_key(&self) -> &[u8; 33] {
        &self.0
    }

    /// The 39 bytes by which libp2p knows this peer.
    pub fn to_libp2p_bytes(&self) -> [u8; 39] {
        let mut bytes = [0; 39];
        bytes[..6].copy_from_slice(&LIBP2P_PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// From libp2p's bytes.
    ///
    /// # Errors
    /// [`WireError::Invalid`] if the id is not that of a secp256k1 key.
    pub fn from_libp2p_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let key = bytes.strip_prefix(&LIBP2P_PREFIX).ok_or(WireError::Invalid {
            field: "peer id",
            problem: "not the id of a secp256k1 key",
        })?;
        Self::from_wire("peer id", key)
    }

    /// The wallet that the same key controls: the last 20 bytes of the Keccak-256 of the
    /// uncompressed point, as Ethereum has it.
    pub fn wallet_address(&self) -> WalletAddress {
        self.verifying_key().wallet_address()
    }

    /// The key unpacked, for who checks many signatures of this peer.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_compressed("public key", &self.0)
            .expect("every constructor checked the point")
    }

    /// Check a signature over a 32-byte digest.
    ///
    /// # Errors
    /// [`WireError::Signature`] if it doesn't verify or is malleable (high s).
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), WireError> {
        self.verifying_key().verify_digest(digest, signature)
    }

    /// Whose signature this is, as [`VerifyingKey::recover`] has it.
    ///
    /// # Errors
    /// As for [`VerifyingKey::recover`].
    pub fn recover(digest: &[u8; 32], signature: &[u8; 65]) -> Result<Self, WireError> {
        VerifyingKey::recover(digest, signature).map(|key| key.peer_id())
    }

    pub(crate) fn of_key(key: &VerifyingKey) -> Self {
        Self(key.to_compressed())
    }

    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        VerifyingKey::from_compressed(field, bytes).map(|key| key.peer_id())
    }

    pub(crate) fn to_wire(self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.0)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_libp2p_bytes()).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PeerId {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let mut bytes = [0; 39];
        let written = bs58::decode(text).onto(&mut bytes).map_err(|_| WireError::Invalid {
            field: "peer id",
            problem: "not base58 of 39 bytes",
        })?;
        Self::from_libp2p_bytes(&bytes[..written])
    }
}

/// A wallet: 20 bytes, displayed with the mixed-case checksum of EIP-55.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletAddress(pub [u8; 20]);

impl WalletAddress {
    /// Whose signature this is: as [`VerifyingKey::recover`], and a contract's `ecrecover`, has it.
    ///
    /// # Errors
    /// As for [`VerifyingKey::recover`].
    pub fn recover(digest: &[u8; 32], signature: &[u8; 65]) -> Result<Self, WireError> {
        VerifyingKey::recover(digest, signature).map(|key| key.wallet_address())
    }

    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let array = <[u8; 20]>::try_from(bytes).map_err(|_| WireError::Length {
            field,
            expected: Bound::exactly(20),
            got: bytes.len(),
        })?;
        Ok(Self(array))
    }
}

impl fmt::Display for WalletAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Keccak256::digest(lower.as_bytes());
        f.write_str("0x")?;
        lower.chars().zip(hash.iter().flat_map(|byte| [byte >> 4, byte & 15])).try_for_each(
            |(digit, nibble)| {
                let shown = if nibble >= 8 { digit.to_ascii_uppercase() } else { digit };
                write!(f, "{shown}")
            },
        )
    }
}

impl fmt::Debug for WalletAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for WalletAddress {
    type Err = WireError;

    /// Reads `0x` and 40 hex digits; if they are of mixed case, the checksum must fit.
    fn from_str(text: &str) -> Result<Self, WireError> {
        let invalid = |problem| WireError::Invalid { field: "wallet address", problem };
        let digits = text.strip_prefix("0x").ok_or_else(|| invalid("expected a leading 0x"))?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| invalid("expected 40 hex digits"))?;
        let address = Self::from_wire("wallet address", &bytes)?;
        let mixed = digits.chars().any(|c| c.is_ascii_uppercase())
            && digits.chars().any(|c| c.is_ascii_lowercase());
        if mixed && address.to_string() != text {
            return Err(invalid("the EIP-55 checksum does not fit: a digit is wrong"));
        }
        Ok(address)
    }
}

/// A secret key. Zeroised when dropped; never printed.
#[derive(Clone)]
pub struct Keypair {
    secret: Secret,
    peer: PeerId,
}

impl Keypair {
    /// From 32 secret bytes, which the caller got from a good random source.
    ///
    /// # Errors
    /// [`WireError::Invalid`] if they are zero or not below the order of the curve.
    pub fn from_secret_bytes(secret: &[u8; 32]) -> Result<Self, WireError> {
        let secret = Secret::from_bytes(secret).ok_or(WireError::Invalid {
            field: "secret key",
            problem: "not a scalar of secp256k1",
        })?;
        let peer = VerifyingKey::of_signer(&secret).peer_id();
        Ok(Self { secret, peer })
    }

    /// The secret, to be stored where only its owner reads.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.secret.to_bytes()
    }

    /// Who this key is.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Sign a 32-byte digest: r || s, low s, deterministic (RFC 6979).
    pub fn sign_digest(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.secret.sign(digest).0
    }

    /// Sign a 32-byte digest as Ethereum does: the 64 bytes of [`sign_digest`](Self::sign_digest),
    /// then 27 or 28, from which a contract finds the signer's address.
    pub fn sign_digest_recoverable(&self, digest: &[u8; 32]) -> [u8; 65] {
        let (signature, is_y_odd) = self.secret.sign(digest);
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature);
        // An x above the order of the curve, which Ethereum can't express, has a chance of 2^-127.
        bytes[64] = 27 + u8::from(is_y_odd);
        bytes
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keypair").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::Signature;

    use super::*;

    fn keypair(byte: u8) -> Keypair {
        Keypair::from_secret_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn the_wallet_address_is_the_one_ethereum_derives_from_the_key() {
        // The first account of the well-known development mnemonic "test test … junk".
        let secret = data_encoding::HEXLOWER
            .decode(b"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap();
        let keypair = Keypair::from_secret_bytes(&secret.try_into().unwrap()).unwrap();
        let shown = keypair.peer_id().wallet_address().to_string();
        assert_eq!(shown, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(shown.parse::<WalletAddress>().unwrap().to_string(), shown);
        assert!(
            shown.replace("fd6", "FD6").replace("Fd6", "fD6").parse::<WalletAddress>().is_err()
        );
    }

    #[test]
    fn peer_ids_survive_text_and_libp2p_form() {
        let peer = keypair(7).peer_id();
        assert!(peer.to_string().starts_with("16Uiu2HA"));
        assert_eq!(peer.to_string().parse::<PeerId>().unwrap(), peer);
        assert_eq!(PeerId::from_libp2p_bytes(&peer.to_libp2p_bytes()).unwrap(), peer);
        assert!(PeerId::from_libp2p_bytes(&[0; 39]).is_err());
        assert!(PeerId::from_public_key(&[5; 33]).is_err());
    }

    #[test]
    fn a_key_has_one_peer_id_only() {
        for byte in 1..20 {
            let mut bytes = keypair(byte).peer_id().to_libp2p_bytes();
            bytes[6] = 5;
            assert!(PeerId::from_libp2p_bytes(&bytes).is_err(), "SEC1's compact form");
        }
    }

    #[test]
    fn a_signature_of_another_key_or_digest_is_refused() {
        let signature = keypair(1).sign_digest(&[9; 32]);
        assert_eq!(keypair(1).peer_id().verify_digest(&[9; 32], &signature), Ok(()));
        assert!(keypair(2).peer_id().verify_digest(&[9; 32], &signature).is_err());
        assert!(keypair(1).peer_id().verify_digest(&[8; 32], &signature).is_err());
    }

    #[test]
    fn the_malleable_twin_of_a_signature_is_refused() {
        let signature = keypair(1).sign_digest(&[9; 32]);
        let low = Signature::from_slice(&signature).unwrap();
        let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
        let twin: [u8; 64] = high.to_bytes().into();
        assert_ne!(twin, signature);
        assert_eq!(keypair(1).peer_id().verify_digest(&[9; 32], &twin), Err(WireError::Signature));
    }

    #[test]
    fn a_signer_is_recovered_from_a_signature_of_65_bytes() {
        for byte in 1..20 {
            let digest = [byte; 32];
            let signature = keypair(byte).sign_digest_recoverable(&digest);
            assert_eq!(signature[..64], keypair(byte).sign_digest(&digest));
            let peer = keypair(byte).peer_id();
            assert_eq!(PeerId::recover(&digest, &signature), Ok(peer));
            assert_eq!(WalletAddress::recover(&digest, &signature), Ok(peer.wallet_address()));
            assert_ne!(PeerId::recover(&[99; 32], &signature), Ok(peer));
        }
    }

    #[test]
    fn the_malleable_twin_of_a_recoverable_signature_is_refused() {
        let signature = keypair(1).sign_digest_recoverable(&[9; 32]);
        let low = Signature::from_slice(&signature[..64]).unwrap();
        let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
        let mut twin = signature;
        twin[..64].copy_from_slice(&high.to_bytes());
        twin[64] = 55 - signature[64];
        assert_eq!(PeerId::recover(&[9; 32], &twin), Err(WireError::Signature));
        for last in (0..=255).filter(|last| !matches!(last, 27 | 28)) {
            twin[..64].copy_from_slice(&signature[..64]);
            twin[64] = last;
            assert_eq!(PeerId::recover(&[9; 32], &twin), Err(WireError::Signature));
        }
    }

    #[test]
    fn a_keypair_does_not_print_its_secret() {
        let printed = format!("{:?}", keypair(0x42));
        assert!(!printed.contains("4242"));
    }
}
