//! The certificate with which this node proves itself to a browser: made once, since its hash is
//! part of the node's address.

use std::io::ErrorKind;
use std::path::Path;

use libp2p::multiaddr::Protocol;
use libp2p::multihash::Multihash;
use pop_signal::DtlsFingerprint;
use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::DtlsCert;

use crate::disk;
use crate::error::NodeError;

/// Bytes of the file: a certificate of some hundred bytes, its key, and what finds a damage.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Code of SHA-256 among multihashes.
const SHA2_256: u64 = 0x12;

/// The certificate, its key, and how others know it.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) dtls: DtlsCert,
    pub(super) fingerprint: DtlsFingerprint,
}

impl Certificate {
    /// The one in `data_dir`, or a new one that is kept there.
    pub(super) fn load_or_make(
        data_dir: &Path,
        crypto: &CryptoProvider,
    ) -> Result<Self, NodeError> {
        let path = data_dir.join("web.certificate");
        let file_error =
            |source| NodeError::Io { action: "keep the browsers' certificate", source };
        if let Some(kept) = load(&path).map_err(file_error)? {
            return Ok(Self::of(kept, crypto));
        }
        let made = crypto.dtls_provider.generate_certificate();
        let made =
            made.ok_or_else(|| file_error(std::io::Error::other("no certificate was made")))?;
        disk::write_once(&path, &encode(&made)).map_err(file_error)?;
        Ok(Self::of(made, crypto))
    }

    fn of(dtls: DtlsCert, crypto: &CryptoProvider) -> Self {
        let fingerprint = DtlsFingerprint(crypto.sha256_provider.sha256(&dtls.certificate));
        Self { dtls, fingerprint }
    }

    /// How it stands in an address.
    pub(super) fn part_of_address(&self) -> Protocol<'static> {
        let hash = Multihash::wrap(SHA2_256, &self.fingerprint.0);
        Protocol::Certhash(hash.expect("32 bytes fit a multihash"))
    }
}

/// What is in the file; none if there is no file. One that was damaged is made anew by whoever
/// deletes it, and not by us: addresses with its hash are in other nodes' hands.
fn load(path: &Path) -> Result<Option<DtlsCert>, std::io::Error> {
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => Vec::new(),
        Ok(_) => std::fs::read(path)?,
    };
    let damaged = || {
        let problem =
            format!("{} is damaged: delete it, and browsers learn the next one", path.display());
        std::io::Error::new(ErrorKind::InvalidData, problem)
    };
    decode(&bytes).ok_or_else(damaged).map(Some)
}

/// BLAKE3 of what follows: the certificate's length in four bytes, big endian, it, and its key.
fn encode(certificate: &DtlsCert) -> Vec<u8> {
    let length = u32::try_from(certificate.certificate.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&certificate.certificate);
    bytes.extend_from_slice(&certificate.private_key);
    [blake3::hash(&bytes).as_bytes(), &bytes[..]].concat()
}

fn decode(bytes: &[u8]) -> Option<DtlsCert> {
    let (checksum, rest) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(rest) != *checksum {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (certificate, private_key) = rest.split_at_checked(length)?;
    Some(DtlsCert { certificate: certificate.to_vec(), private_key: private_key.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_certificate() {
        let home = tempfile::tempdir().unwrap();
        let crypto = str0m::crypto::from_feature_flags();
        let first = Certificate::load_or_make(home.path(), &crypto).unwrap();
        let second = Certificate::load_or_make(home.path(), &crypto).unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Certificate::load_or_make(elsewhere.path(), &crypto).unwrap();
        assert_ne!(first.fingerprint, other.fingerprint);
        let address = libp2p::Multiaddr::empty().with(first.part_of_address());
        assert!(address.to_string().starts_with("/certhash/uEi"), "{address}");
    }

    #[test]
    fn a_damaged_file_is_told_and_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let crypto = str0m::crypto::from_feature_flags();
        Certificate::load_or_make(home.path(), &crypto).unwrap();
        let path = home.path().join("web.certificate");
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[40] ^= 1;
        for bytes in [&changed[..], &whole[..whole.len() - 1], b"", &[0; 20_000]] {
            std::fs::write(&path, bytes).unwrap();
            Certificate::load_or_make(home.path(), &crypto).unwrap_err();
        }
    }
}
