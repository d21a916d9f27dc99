//! The keys of one mnemonic, and what each is for (BIP-32, BIP-44).

use core::fmt;

use bip32::{ChildNumber, XPrv};
use pop_wire::{Bound, Keypair};
use zeroize::Zeroizing;

/// What precedes the index: purpose 44', coin 60' (Ether), account 0', external chain.
const ACCOUNT: [ChildNumber; 4] =
    [ChildNumber(HARDENED | 44), ChildNumber(HARDENED | 60), ChildNumber(HARDENED), ChildNumber(0)];

const HARDENED: u32 = ChildNumber::HARDENED_FLAG;

/// What a key does. The owner's can stay cold: it holds the collateral and names the operator on
/// the ledger; the operator's is the one that a node runs with, and that a thief of the node gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Index 0, the first address that any wallet program shows for the mnemonic.
    Owner,
    /// Index 1 and up, one for each node, counted from 0 here.
    Operator(u32),
}

impl fmt::Display for Role {
    /// The path of BIP-32, as other programs write it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "m/44'/60'/0'/0/{}", self.index())
    }
}

impl Role {
    fn index(self) -> u64 {
        match self {
            Self::Owner => 0,
            Self::Operator(number) => 1 + u64::from(number),
        }
    }
}

/// Why there is no key for a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerivationError {
    /// Beyond the indices of an account.
    #[error("key index: expected {expected}, got {got}: take a smaller operator number")]
    Index {
        /// Allowed range.
        expected: Bound,
        /// Index asked for.
        got: u64,
    },
    /// One in 2^127 paths leads to no key, and BIP-32 says to take the next.
    #[error("key index: {path} leads to no key: take the next operator number")]
    NoKey {
        /// The path.
        path: Role,
    },
}

/// What a mnemonic and its passphrase amount to. Wiped when dropped, never printed.
///
/// The last two steps of the paths are not hardened, because other programs do it so. One who has
/// an operator's key and the account's extended *public* key can therefore compute the owner's key.
/// No extended key ever leaves this type: give a node its operator's keystore and nothing else.
#[derive(Clone)]
pub struct Seed(pub(super) Zeroizing<[u8; 64]>);

impl Seed {
    /// The key of a role.
    ///
    /// # Errors
    /// [`DerivationError`], for operators only.
    pub fn key(&self, role: Role) -> Result<Keypair, DerivationError> {
        let (got, expected) = (role.index(), Bound::at_most(u64::from(HARDENED - 1)));
        let index = u32::try_from(got)
            .ok()
            .filter(|index| *index < HARDENED)
            .ok_or(DerivationError::Index { expected, got })?;
        let no_key = DerivationError::NoKey { path: role };
        let path = ACCOUNT.into_iter().chain([ChildNumber(index)]);
        let key = derive(self.0.as_slice(), path).map_err(|_| no_key)?;
        Keypair::from_secret_bytes(&Zeroizing::new(key.to_bytes())).map_err(|_| no_key)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(secret)")
    }
}

fn derive(seed: &[u8], path: impl IntoIterator<Item = ChildNumber>) -> Result<XPrv, bip32::Error> {
    path.into_iter().try_fold(XPrv::new(seed)?, |key, child| key.derive_child(child))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn child(step: &str) -> ChildNumber {
        match step.strip_suffix('\'') {
            Some(index) => ChildNumber::new(index.parse().unwrap(), true).unwrap(),
            None => ChildNumber::new(step.parse().unwrap(), false).unwrap(),
        }
    }

    #[test]
    fn bip_32s_vectors_hold() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/bip32.json")).unwrap();
        let mut keys = 0;
        for vector in file["vectors"].as_array().unwrap() {
            let seed = HEXLOWER.decode(vector["seed"].as_str().unwrap().as_bytes()).unwrap();
            for key in vector["keys"].as_array().unwrap() {
                let path = key["path"].as_str().unwrap();
                let derived = derive(&seed, path.split('/').skip(1).map(child)).unwrap();
                let expected: XPrv = key["xprv"].as_str().unwrap().parse().unwrap();
                assert_eq!(derived.to_bytes(), expected.to_bytes(), "{path}");
                assert_eq!(derived.attrs(), expected.attrs(), "{path}");
                keys += 1;
            }
        }
        assert_eq!(keys, 17);
    }
}
