//! Operations with a signature, and what comes of them.

use pop_wire::{Keypair, UnixTime, WalletAddress};

use crate::ids::OperationId;
use crate::ledger::account::Entry;
use crate::ledger::codec::{DecodeError, Field, Reader};
use crate::ledger::limits::OPERATION_BYTES_MAX;
use crate::ledger::operation::Operation;
use crate::typed_data::{LedgerDomain, MoneySignature};

/// An operation that an actor signed for one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOperation {
    /// Who asks for it.
    pub actor: WalletAddress,
    /// How many operations of this actor came before it.
    pub nonce: u64,
    /// What it asks for.
    pub operation: Operation,
    /// The actor's.
    pub signature: MoneySignature,
}

impl SignedOperation {
    /// Sign an operation as the actor that `keypair` is.
    pub fn sign(
        operation: Operation,
        nonce: u64,
        keypair: &Keypair,
        domain: &LedgerDomain,
    ) -> Self {
        let actor = keypair.peer_id().wallet_address();
        let digest = domain.digest(&operation.struct_hash(actor, nonce));
        Self { actor, nonce, operation, signature: MoneySignature::sign(keypair, &digest) }
    }

    /// Its name, whoever delivers it and however often: EIP-712's `hashStruct`.
    pub fn id(&self) -> OperationId {
        OperationId(self.operation.struct_hash(self.actor, self.nonce))
    }

    /// Its one form in bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form, not the signature.
    ///
    /// # Errors
    /// [`DecodeError`]: the fault of who sent or stored the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > OPERATION_BYTES_MAX {
            return Err(DecodeError::TooLong {
                field: "operation",
                expected: OPERATION_BYTES_MAX,
                got: bytes.len(),
            });
        }
        let mut reader = Reader::new(bytes);
        let operation = Self {
            actor: Field::take(&mut reader)?,
            nonce: Field::take(&mut reader)?,
            signature: Field::take(&mut reader)?,
            operation: Operation::take(&mut reader)?,
        };
        reader.finish()?;
        Ok(operation)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.actor.put(out);
        self.nonce.put(out);
        self.signature.put(out);
        self.operation.put(out);
    }
}

/// What an operation did. The same operation has the same receipt for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Which operation.
    pub operation: OperationId,
    /// Its place in the journal, from 0.
    pub sequence: u64,
    /// When it took effect.
    pub time: UnixTime,
    /// What it moved. Empty if there was nothing left to move.
    pub entries: Vec<Entry>,
}
