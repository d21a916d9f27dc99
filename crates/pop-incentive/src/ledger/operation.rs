//! Everything that can be done to a ledger: one closed list.
//!
//! Each operation is what one function of a smart contract could take. It is signed as EIP-712
//! typed data whose type is `Name(address actor,uint64 nonce,…)` with the fields in the order
//! below and the types of `codec.rs`; lists of vouchers are `bytes[]`.

use pop_wire::{Amount, ContentId, Digest, PeerId, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, PoolId, VaultId};
use crate::ledger::codec::{DecodeError, Field, Reader};
use crate::ledger::evidence::Evidence;
use crate::ledger::note::SignedNote;
use crate::typed_data::{StructHash, TypeHash, keccak};
use crate::voucher::SignedVoucher;

macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $tag:literal => $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }
    )*) => {
        /// What an actor asks of the ledger. The actor is whoever signs.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Operation {
            $( $(#[$doc])* $name { $( $(#[$field_doc])* $field: $type, )* }, )*
        }

        impl Operation {
            /// Its name in EIP-712.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$name { .. } => stringify!($name), )* }
            }

            /// EIP-712's `encodeType`.
            pub fn encoded_type(&self) -> String {
                match self {
                    $( Self::$name { .. } => encoded_type(
                        stringify!($name),
                        &[$( (<$type as Field>::TYPE, stringify!($field)), )*],
                    ), )*
                }
            }

            pub(crate) fn struct_hash(&self, actor: WalletAddress, nonce: u64) -> [u8; 32] {
                let begin = |type_hash: &TypeHash| {
                    StructHash::of(**type_hash).address(actor).uint(nonce.into())
                };
                match self {
                    $( Self::$name { $( $field, )* } => {
                        static TYPE_HASH: TypeHash = TypeHash::new(|| {
                            let fields = [$( (<$type as Field>::TYPE, stringify!($field)), )*];
                            keccak(encoded_type(stringify!($name), &fields).as_bytes())
                        });
                        begin(&TYPE_HASH)$( .word($field.word()) )*.finish()
                    } )*
                }
            }

            pub(crate) fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$name { $( $field, )* } => {
                        out.push($tag);
                        $( $field.put(out); )*
                    } )*
                }
            }

            pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let [kind] = reader.array("operation")?;
                match kind {
                    $( $tag => Ok(Self::$name { $( $field: Field::take(reader)?, )* }), )*
                    got => Err(DecodeError::Kind { field: "operation", got }),
                }
            }
        }
    };
}

/// `Name(address actor,uint64 nonce,…)` with these fields.
fn encoded_type(name: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(solidity, field)| format!(",{solidity} {field}"));
    format!("{name}(address actor,uint64 nonce{})", fields.collect::<String>())
}

operations! {
    /// Give money to a wallet.
    1 => Transfer {
        /// Who gets it.
        to: WalletAddress,
        /// How much.
        amount: Amount,
    }
    /// Make money at the start of a ledger. The ledger's operator only, up to the genesis supply.
    2 => Mint {
        /// Who gets it.
        to: WalletAddress,
        /// How much.
        amount: Amount,
    }
    /// Pay for audited storage of an epoch that is over: out of the repair fund first, then new
    /// money up to the epoch's emission. The ledger's operator only.
    3 => Emit {
        /// The epoch that is paid for.
        epoch: u64,
        /// Who gets it.
        payees: Vec<WalletAddress>,
        /// How much each.
        amounts: Vec<Amount>,
    }
    /// Open a vault of one's own.
    10 => OpenVault {
        /// Which of the actor's vaults.
        index: u64,
        /// What its vouchers can draw on.
        deposit: Amount,
        /// What is lost by overspending.
        penalty: Amount,
    }
    /// Put more in. Not while it is being unlocked: that would look as if it stayed.
    11 => FundVault {
        /// The actor's vault.
        vault: VaultId,
        /// More to draw on.
        deposit: Amount,
        /// More to lose.
        penalty: Amount,
    }
    /// Announce a withdrawal. Payees have the unlock delay to redeem.
    12 => RequestUnlock {
        /// The actor's vault.
        vault: VaultId,
    }
    /// Take out all that is left, and end the epoch: its vouchers are void.
    13 => WithdrawVault {
        /// The actor's vault.
        vault: VaultId,
    }
    /// Have vouchers paid to their payees. Anybody may.
    14 => Redeem {
        /// One per vault, payee and epoch is enough: they are cumulative.
        vouchers: Vec<SignedVoucher>,
    }
    /// Prove from vouchers alone that more was promised than was ever in the vault.
    15 => ReportOverspend {
        /// One per payee, all of one vault and epoch.
        vouchers: Vec<SignedVoucher>,
    }
    /// Lock collateral for a node that runs with the key `operator`.
    20 => RegisterCollateral {
        /// The node's key.
        operator: PeerId,
        /// At least the least collateral.
        amount: Amount,
    }
    /// Lock more, for instance after a slash.
    21 => TopUpCollateral {
        /// The node's key.
        operator: PeerId,
        /// How much more.
        amount: Amount,
    }
    /// Begin to leave. Nothing can stop or delay it.
    22 => Unbond {
        /// The node's key.
        operator: PeerId,
    }
    /// Have the collateral back after the unbonding delay.
    23 => WithdrawCollateral {
        /// The node's key.
        operator: PeerId,
    }
    /// Slash a registration on portable evidence. Anybody may; who does gets the reporter's part.
    24 => Slash {
        /// Owner of the registration.
        owner: WalletAddress,
        /// The node's key.
        operator: PeerId,
        /// What it did.
        evidence: Evidence,
    }
    /// Register a loan that both sides signed: a lien on the borrower's earnings.
    30 => Lend {
        /// The note with both signatures.
        note: SignedNote,
    }
    /// Pay back part of a loan, or all. Anybody may.
    31 => Repay {
        /// Which loan.
        loan: LoanId,
        /// How much at most: no more is taken than is owed.
        amount: Amount,
    }
    /// Put on the borrower's record that a loan is overdue. Anybody may.
    32 => DeclareDefault {
        /// Which loan.
        loan: LoanId,
    }
    /// Open a seed pool.
    40 => CreatePool {
        /// Which of the actor's pools.
        index: u64,
        /// Who earns from it and approves its epochs; ascending.
        members: Vec<WalletAddress>,
        /// How many of them must agree on an epoch: more than half.
        quorum: u64,
        /// From when on depositors can have back what no epoch took.
        deadline_s: u64,
    }
    /// Put money into a pool.
    41 => DepositPool {
        /// Which pool.
        pool: PoolId,
        /// How much.
        amount: Amount,
    }
    /// A member's word on how an epoch is shared. With the quorum's, the epoch is closed.
    42 => ApproveEpoch {
        /// Which pool.
        pool: PoolId,
        /// Which epoch.
        epoch: u64,
        /// Merkle root over (member, bytes, amount).
        root: Digest,
        /// What the shares add up to at most.
        total: Amount,
    }
    /// Have a share of a closed epoch paid to its member. Anybody may.
    43 => ClaimShare {
        /// Which pool.
        pool: PoolId,
        /// Which epoch.
        epoch: u64,
        /// Whose share.
        member: WalletAddress,
        /// Verified bytes that it stands for.
        bytes: u64,
        /// The share.
        amount: Amount,
        /// From the leaf to the root.
        path: Vec<Digest>,
    }
    /// Have one's part of what no epoch took back, after the deadline.
    44 => ReclaimDeposit {
        /// Which pool.
        pool: PoolId,
    }
    /// Offer a reward.
    50 => OpenBounty {
        /// Which of the actor's bounties.
        index: u64,
        /// Hash of what is wanted, or the content id.
        wanted: Digest,
        /// What it is worth.
        reward: Amount,
        /// Who decides; ascending.
        judges: Vec<WalletAddress>,
        /// How many of them must agree.
        quorum: u64,
        /// From when on the reward can be had back.
        deadline_s: u64,
    }
    /// Stake a claim without showing it, so that it can't be copied.
    51 => CommitClaim {
        /// Which bounty.
        bounty: BountyId,
        /// `claim_commitment` of the actor, the content and a secret salt.
        commitment: Digest,
    }
    /// Show the claim.
    52 => RevealClaim {
        /// Which bounty.
        bounty: BountyId,
        /// The content that is claimed to be what is wanted.
        content: ContentId,
        /// The secret salt.
        salt: Digest,
    }
    /// A judge's word for a claim.
    53 => ApproveClaim {
        /// Which bounty.
        bounty: BountyId,
        /// Whose claim.
        claimant: WalletAddress,
    }
    /// The opener's objection to an approval: the judges must decide once more, for good.
    54 => DisputeClaim {
        /// Which bounty.
        bounty: BountyId,
    }
    /// Pay an approved claim after the time for a dispute. Anybody may.
    55 => SettleBounty {
        /// Which bounty.
        bounty: BountyId,
    }
    /// Give the reward back to the opener after the deadline. Anybody may.
    56 => RefundBounty {
        /// Which bounty.
        bounty: BountyId,
    }
    /// Lock money for whoever is named, against the key of a content.
    60 => OpenLock {
        /// Which of the actor's locks.
        index: u64,
        /// Who gets it.
        payee: WalletAddress,
        /// How much.
        amount: Amount,
        /// The manifest's salt.
        salt: Digest,
        /// The manifest's key commitment.
        commitment: Digest,
        /// From when on it goes back.
        deadline_s: u64,
    }
    /// Show the key; the payee gets the money. Anybody may.
    61 => ClaimLock {
        /// Which lock.
        lock: LockId,
        /// The content key.
        key: Digest,
    }
    /// Give the money back after the deadline. Anybody may.
    62 => RefundLock {
        /// Which lock.
        lock: LockId,
    }
}
