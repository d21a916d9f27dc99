//! How values that are asked about look in bytes: their fields in order, without anything between.
//! Of [`Field`]s the same bytes as in an operation.

use pop_wire::{Amount, ContentId, Digest, PeerId, UnixTime, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use crate::ledger::account::{Account, Entry};
use crate::ledger::books::Record;
use crate::ledger::codec::{DecodeError, Field, Reader, put_length};
use crate::ledger::head::Head;
use crate::ledger::limits::OPERATION_BYTES_MAX;
use crate::ledger::note::LoanNote;
use crate::ledger::parameters::LedgerParameters;
use crate::ledger::rules::bounty::{Bounty, BountyState, Claim};
use crate::ledger::rules::collateral::Registration;
use crate::ledger::rules::loan::Loan;
use crate::ledger::rules::lock::{Lock, LockState};
use crate::ledger::rules::pool::{Pool, PoolEpoch};
use crate::ledger::signed::{Receipt, SignedOperation};
use crate::typed_data::LedgerDomain;
use crate::voucher::VaultInfo;

/// A value with one form in bytes.
pub(crate) trait Layout: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The whole of `bytes` as one value.
pub(crate) fn take_all<T: Layout>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::take(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// A value's bytes.
pub(crate) fn bytes_of(value: &impl Layout) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

/// A list with a bound that is checked before its first item is read.
pub(crate) fn put_list<T: Layout>(list: &[T], out: &mut Vec<u8>) {
    put_length(list.len(), out);
    list.iter().for_each(|item| item.put(out));
}

/// What [`put_list`] wrote.
pub(crate) fn take_list<T: Layout>(
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
) -> Result<Vec<T>, DecodeError> {
    let length = reader.length(what, max)?;
    (0..length).map(|_| T::take(reader)).collect()
}

macro_rules! by_field {
    ($($name:ty),* $(,)?) => {$(
        impl Layout for $name {
            fn put(&self, out: &mut Vec<u8>) {
                Field::put(self, out);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Field::take(reader)
            }
        }
    )*};
}

by_field!(
    u64,
    Amount,
    WalletAddress,
    PeerId,
    Digest,
    ContentId,
    VaultId,
    PoolId,
    BountyId,
    LoanId,
    LockId,
    OperationId,
    Vec<WalletAddress>,
);

macro_rules! layout {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::ledger::layout::Layout for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $( $crate::ledger::layout::Layout::put(&self.$field, out); )*
            }
            fn take(
                reader: &mut $crate::ledger::codec::Reader<'_>,
            ) -> Result<Self, $crate::ledger::codec::DecodeError> {
                Ok(Self { $( $field: $crate::ledger::layout::Layout::take(reader)?, )* })
            }
        }
    };
}
pub(crate) use layout;

/// An enum: a byte that says which, then the fields.
macro_rules! choice {
    ($name:ident, $what:literal, { $(
        $tag:literal => $variant:ident $( { $($field:ident),* } )? $( ( $inner:ident ) )?,
    )* }) => {
        impl $crate::ledger::layout::Layout for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self { $(
                    Self::$variant $( { $($field),* } )? $( ( $inner ) )? => {
                        out.push($tag);
                        $( $( $crate::ledger::layout::Layout::put($field, out); )* )?
                        $( $crate::ledger::layout::Layout::put($inner, out); )?
                    }
                )* }
            }
            fn take(
                reader: &mut $crate::ledger::codec::Reader<'_>,
            ) -> Result<Self, $crate::ledger::codec::DecodeError> {
                let [kind] = reader.array($what)?;
                match kind {
                    $( $tag => {
                        $( $( let $field = $crate::ledger::layout::Layout::take(reader)?; )* )?
                        $( let $inner = $crate::ledger::layout::Layout::take(reader)?; )?
                        Ok(Self::$variant $( { $($field),* } )? $( ( $inner ) )?)
                    } )*
                    got => {
                        Err($crate::ledger::codec::DecodeError::Kind { field: $what, got })
                    }
                }
            }
        }
    };
}
pub(crate) use choice;

layout!(Head { count, hash });
layout!(Receipt { operation, sequence, time, entries });
layout!(VaultInfo { vault, owner, epoch, funded, redeemed, penalty, closes });
layout!(Record { since, slashes, slashed, overspends, defaults, loans_repaid });
layout!(Registration { since, withdrawable });
layout!(Loan { note, outstanding, defaulted });
layout!(LoanNote { lender, borrower, principal, bytes, interest_bps, due, number });
layout!(Pool { members, quorum, deadline, deposited, reserved, returned });
layout!(PoolEpoch { root, total, claimed });
layout!(Bounty { opener, wanted, reward, judges, quorum, deadline, disputed, state });
layout!(Claim { commitment, committed, order, content });
layout!(Lock { payer, payee, amount, salt, commitment, deadline, state });
layout!(LedgerParameters {
    operator,
    genesis_supply,
    genesis,
    epoch_s,
    emission_per_epoch,
    collateral_min,
    unbonding_s,
    vault_unlock_s,
    slash_bps,
    reporter_bps,
    burn_bps,
    interest_max_bps,
    reveal_s,
    dispute_s,
});
choice!(BountyState, "bounty", {
    0 => Open,
    1 => Approved { claimant, payable },
    2 => Paid { claimant },
    3 => Refunded,
});
choice!(LockState, "lock", {
    0 => Open,
    1 => Claimed { key },
    2 => Refunded,
});

impl Layout for UnixTime {
    fn put(&self, out: &mut Vec<u8>) {
        Layout::put(&self.0, out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Layout::take(reader).map(Self)
    }
}

impl Layout for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array("number").map(|[byte]| byte)
    }
}

impl Layout for usize {
    fn put(&self, out: &mut Vec<u8>) {
        Layout::put(&u64::try_from(*self).unwrap_or(u64::MAX), out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = <u64 as Layout>::take(reader)?;
        Self::try_from(number).map_err(|_| DecodeError::Invalid { field: "length" })
    }
}

/// 0 or 1, and nothing else.
impl Layout for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.array("flag")? {
            [0] => Ok(false),
            [1] => Ok(true),
            [got] => Err(DecodeError::Kind { field: "flag", got }),
        }
    }
}

impl Layout for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array("hash")
    }
}

/// A flag, and the value if it is set.
impl<T: Layout> Layout for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::take(reader)?.then(|| T::take(reader)).transpose()
    }
}

/// A byte, 0 for success, then either.
impl<T: Layout, E: Layout> Layout for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_err().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::take(reader)? { Err(E::take(reader)?) } else { Ok(T::take(reader)?) })
    }
}

impl<A: Layout, B: Layout> Layout for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::take(reader)?, B::take(reader)?))
    }
}

impl Layout for Account {
    fn put(&self, out: &mut Vec<u8>) {
        self.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::take(reader)
    }
}

impl Layout for Entry {
    fn put(&self, out: &mut Vec<u8>) {
        self.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::take(reader)
    }
}

impl Layout for Vec<Entry> {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self, out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_list(reader, "entries", crate::ledger::limits::ENTRIES_MAX)
    }
}

/// With its length in front, as in the journal.
impl Layout for SignedOperation {
    fn put(&self, out: &mut Vec<u8>) {
        Field::put(&self.encode(), out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.length("operation", OPERATION_BYTES_MAX)?;
        Self::decode(reader.slice("operation", length)?)
    }
}

/// Chain id (8) and contract (20).
impl Layout for LedgerDomain {
    fn put(&self, out: &mut Vec<u8>) {
        Layout::put(&self.chain_id(), out);
        Layout::put(&self.contract(), out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(Layout::take(reader)?, Layout::take(reader)?))
    }
}
