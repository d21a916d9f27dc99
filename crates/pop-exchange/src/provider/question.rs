//! Manifest, holdings, peers, holders and audits (`spec/exchange.md` §9).

use pop_wire::message::{
    Audit, AuditAnswer, Holders, Holdings, ManifestReply, Peers, RefusalReason,
};
use pop_wire::{ContentId, Message, RequestId};

use super::link::Open;
use super::{Operation, Provider, StoreOperation, StoreResult, Token};
use crate::limits::{AUDIT_REFILL_MS, BUSY_RETRY_MS, LOOKUPS_PER_LINK_MAX, QUESTIONS_PER_LINK_MAX};
use crate::{Fault, LinkId};

impl Provider {
    pub(super) fn get_manifest(
        &mut self,
        link: LinkId,
        id: RequestId,
        content: ContentId,
    ) -> Result<(), Fault> {
        let operation = Operation::Manifest { link, id };
        self.ask_store(link, id, operation, StoreOperation::ReadManifest { content })
    }

    pub(super) fn get_holdings(
        &mut self,
        link: LinkId,
        id: RequestId,
        content: ContentId,
    ) -> Result<(), Fault> {
        let operation = Operation::Holdings { link, id };
        self.ask_store(link, id, operation, StoreOperation::ReadHoldings { content })
    }

    pub(super) fn get_peers(&mut self, link: LinkId, id: RequestId) -> Result<(), Fault> {
        if let Some(state) = self.links.get(&link) {
            state.duplicate(id)?;
        }
        let masternodes = self.masternodes.clone();
        self.send(link, Message::Peers(Peers { id, masternodes }));
        Ok(())
    }

    pub(super) fn get_holders(
        &mut self,
        link: LinkId,
        id: RequestId,
        content: ContentId,
    ) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.duplicate(id)?;
        // spec/exchange.md §9: a lookup costs others' time too, so there are few at once.
        if state.lookups >= LOOKUPS_PER_LINK_MAX || self.lookups >= self.config.lookups_max {
            self.refuse(link, id, RefusalReason::Busy, BUSY_RETRY_MS);
            return Ok(());
        }
        state.lookups += 1;
        self.lookups += 1;
        let peer = state.peer;
        let operation = Operation::Holders { link, id };
        let token = self.start(operation, StoreOperation::FindHolders { link, peer, content });
        if let Some(state) = self.links.get_mut(&link) {
            state.open.insert(id, Open::Lookup(token));
        }
        Ok(())
    }

    pub(super) fn audit(&mut self, link: LinkId, audit: Audit) -> Result<(), Fault> {
        let Audit { id, challenge } = audit;
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.duplicate(id)?;
        // spec/exchange.md §9: an audit costs a signature, so a link has a burst of them.
        if !state.audits.charge(self.now) {
            let retry_after_ms = u32::try_from(AUDIT_REFILL_MS).unwrap_or(u32::MAX);
            self.refuse(link, id, RefusalReason::Busy, retry_after_ms);
            return Ok(());
        }
        let (peer, operation) = (state.peer, Operation::Audit { link, id });
        self.ask_store(link, id, operation, StoreOperation::Audit { link, peer, challenge })
    }

    fn ask_store(
        &mut self,
        link: LinkId,
        id: RequestId,
        operation: Operation,
        request: StoreOperation,
    ) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.duplicate(id)?;
        // spec/exchange.md §5: questions beyond the limit are refused as busy.
        if state.questions >= QUESTIONS_PER_LINK_MAX {
            self.refuse(link, id, RefusalReason::Busy, BUSY_RETRY_MS);
            return Ok(());
        }
        state.questions += 1;
        let token = self.start(operation, request);
        if let Some(state) = self.links.get_mut(&link) {
            state.open.insert(id, Open::Question(token));
        }
        Ok(())
    }

    /// The store answered a question, or does not.
    pub(super) fn answer(
        &mut self,
        token: Token,
        link: LinkId,
        id: RequestId,
        result: StoreResult,
    ) {
        let Some(state) = self.links.get_mut(&link) else { return };
        match state.open.get(&id) {
            Some(Open::Question(asked)) if *asked == token => state.questions -= 1,
            Some(Open::Lookup(asked)) if *asked == token => state.lookups -= 1,
            _ => return,
        }
        state.open.remove(&id);
        let message = match result {
            StoreResult::Manifest(manifest) => {
                Message::ManifestReply(ManifestReply { id, manifest })
            }
            StoreResult::Holdings(columns) => Message::Holdings(Holdings { id, columns }),
            StoreResult::Holders { providers, masternodes } => {
                Message::Holders(Holders::fitting(id, providers, masternodes))
            }
            StoreResult::AuditAnswer(answer) => Message::AuditAnswer(AuditAnswer { id, answer }),
            StoreResult::Refused { reason, retry_after_ms } => {
                return self.refuse(link, id, reason, retry_after_ms);
            }
            // `check_result` let nothing else through.
            _ => return self.refuse(link, id, RefusalReason::NotFound, 0),
        };
        self.send(link, message);
    }
}
