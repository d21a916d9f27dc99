//! The words on paper (BIP-39, English).

use core::fmt;
use std::borrow::Cow;

use zeroize::Zeroizing;

use super::{Passphrase, Seed};

/// Why a text is no mnemonic. The words themselves are never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MnemonicError {
    /// Too many or too few words.
    #[error("mnemonic: expected 12, 15, 18, 21 or 24 words, got {got}: look for one left out")]
    WordCount {
        /// Words found.
        got: usize,
    },
    /// A word that the list lacks.
    #[error(
        "mnemonic: word {position} is not in the English BIP-39 list: look at its spelling; its \
         first four letters decide"
    )]
    UnknownWord {
        /// Place of the first such word, from 1.
        position: usize,
    },
    /// Each word is in the list, but they do not belong together.
    #[error(
        "mnemonic: every word is in the list, but the checksum does not fit: one was mistaken for \
         another, or two changed places; compare with what was written down"
    )]
    Checksum,
}

/// Words that give back every key of a wallet. Wiped when dropped, never printed by accident.
///
/// Whoever reads them has the money. They belong on paper; a node does not need them.
#[derive(Clone, PartialEq, Eq)]
pub struct Mnemonic(bip39::Mnemonic);

impl Mnemonic {
    /// 12 words for 128 bits from a good random source.
    pub fn of_12_words(entropy: &[u8; 16]) -> Self {
        Self::from_entropy(entropy)
    }

    /// 24 words for 256 bits from a good random source.
    pub fn of_24_words(entropy: &[u8; 32]) -> Self {
        Self::from_entropy(entropy)
    }

    /// Reads words as a person types them: any case, any white space between.
    ///
    /// # Errors
    /// [`MnemonicError`]: the text's fault.
    pub fn parse(text: &str) -> Result<Self, MnemonicError> {
        let mut text = Zeroizing::new(text.to_owned());
        text.make_ascii_lowercase();
        bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &text).map(Self).map_err(
            |error| match error {
                bip39::Error::UnknownWord(index) => {
                    MnemonicError::UnknownWord { position: index.saturating_add(1) }
                }
                bip39::Error::InvalidChecksum => MnemonicError::Checksum,
                _ => MnemonicError::WordCount { got: text.split_whitespace().count() },
            },
        )
    }

    /// The words, to be shown once and written down.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.words()
    }

    /// The root of the wallet's keys. Another passphrase is another wallet, and no passphrase is
    /// ever refused: one with a typing error opens an empty wallet.
    pub fn seed(&self, passphrase: &Passphrase) -> Seed {
        let mut normalized = Cow::Borrowed(passphrase.text());
        bip39::Mnemonic::normalize_utf8_cow(&mut normalized);
        let normalized = Zeroizing::new(normalized.into_owned());
        Seed(Zeroizing::new(self.0.to_seed_normalized(&normalized)))
    }

    fn from_entropy(entropy: &[u8]) -> Self {
        bip39::Mnemonic::from_entropy(entropy).map(Self).expect("16 or 32 bytes were given")
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mnemonic(secret)")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn bip_39s_vectors_hold() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/bip39.json")).unwrap();
        let passphrase = Passphrase::new(file["passphrase"].as_str().unwrap().to_owned());
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 24);
        for vector in vectors {
            let [entropy, words, seed] =
                ["entropy", "words", "seed"].map(|field| vector[field].as_str().unwrap());
            let mnemonic = Mnemonic::from_entropy(&HEXLOWER.decode(entropy.as_bytes()).unwrap());
            assert_eq!(mnemonic.words().collect::<Vec<_>>().join(" "), words);
            assert_eq!(mnemonic, Mnemonic::parse(words).unwrap());
            assert_eq!(HEXLOWER.encode(mnemonic.seed(&passphrase).0.as_slice()), seed);
        }
    }

    #[test]
    fn every_secret_type_wipes_itself() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        let mnemonic = Mnemonic::of_12_words(&[1; 16]);
        let passphrase = Passphrase::default();
        wiped(&mnemonic.0);
        wiped(&passphrase.0);
        wiped(&mnemonic.seed(&passphrase).0);
        wiped(&bip32::XPrv::new(&[1_u8; 64]).unwrap().private_key().clone());
    }
}
