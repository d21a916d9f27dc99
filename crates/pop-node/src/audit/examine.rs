//! The asking half of an audit.

use std::time::Duration;

use bytes::Bytes;
use pop_exchange::limits::{HELLO_TIMEOUT_MS, QUESTION_TIMEOUT_MS};
use pop_incentive::audit::{AuditChallenge, SignedAnswer};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::message::Audit;
use pop_wire::{ContentId, Message, PeerId, ProviderRecord, RequestId, SegmentIndex};

use super::challenge;
use crate::ask::{AskError, Conversation};
use crate::clock;
use crate::directory::dialable;
use crate::error::NodeError;
use crate::node::Inner;

/// Why a holder that says nothing in time is silent.
const TOO_LATE: &str = "no answer in time";

/// Asks holders of one content about the same places.
pub(super) struct Examiner<'a> {
    pub(super) inner: &'a Inner,
    pub(super) domain: LedgerDomain,
    pub(super) content: ContentId,
    pub(super) places: &'a [SegmentIndex],
}

/// What came of one challenge.
pub(super) enum Reply {
    /// An answer that the holder signed, and how long it took in milliseconds.
    Answer(SignedAnswer, u64),
    /// None, and what was there instead.
    Silence(String),
}

impl Examiner<'_> {
    /// Ask one holder about every place, in a random one of its columns. One that can't be
    /// reached, hangs up or doesn't answer in time is silent about what is left.
    pub(super) async fn examine(
        &self,
        record: &ProviderRecord,
    ) -> (PeerId, Result<Vec<Reply>, NodeError>) {
        let addresses = dialable(&record.addresses);
        let own = self.inner.own_record.borrow().as_ref().map(|record| record.signed().clone());
        let opening = Conversation::open(&self.inner.network, (record.peer, addresses), own);
        let limit = Duration::from_millis(HELLO_TIMEOUT_MS);
        let mut conversation = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(conversation)) => conversation,
            Ok(Err(error)) => return (record.peer, Ok(self.silent(0, &error.to_string()))),
            Err(_) => return (record.peer, Ok(self.silent(0, TOO_LATE))),
        };
        let replies = self.ask_all(&mut conversation, record).await;
        conversation.close().await;
        (record.peer, replies)
    }

    async fn ask_all(
        &self,
        conversation: &mut Conversation,
        record: &ProviderRecord,
    ) -> Result<Vec<Reply>, NodeError> {
        let mut replies = Vec::with_capacity(self.places.len());
        for (number, segment) in (1..).zip(self.places) {
            let Some(challenge) = challenge(self.content, *segment, &record.columns)? else {
                break;
            };
            let started = clock::monotonic_now();
            let limit = Duration::from_millis(QUESTION_TIMEOUT_MS);
            let asking = ask(conversation, RequestId(number), &challenge);
            let gone = match tokio::time::timeout(limit, asking).await {
                Ok(Ok(said)) => {
                    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let read = said.and_then(|answer| self.read(record.peer, &challenge, &answer));
                    replies.push(match read {
                        Ok(answer) => Reply::Answer(answer, ms),
                        Err(why) => Reply::Silence(why),
                    });
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => TOO_LATE.to_owned(),
            };
            replies.extend(self.silent(replies.len(), &gone));
            break;
        }
        Ok(replies)
    }

    /// An answer counts only if the holder signed it, to this challenge, for this ledger.
    fn read(
        &self,
        holder: PeerId,
        challenge: &AuditChallenge,
        answer: &[u8],
    ) -> Result<SignedAnswer, String> {
        let answer = SignedAnswer::decode(answer).map_err(|error| error.to_string())?;
        answer.verify(&self.domain, holder, challenge).map_err(|error| error.to_string())?;
        Ok(answer)
    }

    /// Silence about every place from number `from` on.
    fn silent(&self, from: usize, why: &str) -> Vec<Reply> {
        let left = self.places.iter().skip(from);
        left.map(|_| Reply::Silence(why.to_owned())).collect()
    }
}

/// The answer to a challenge, or the refusal that is no answer.
async fn ask(
    conversation: &mut Conversation,
    id: RequestId,
    challenge: &AuditChallenge,
) -> Result<Result<Bytes, String>, AskError> {
    let challenge = Bytes::copy_from_slice(&challenge.encode());
    conversation.say(&Message::Audit(Audit { id, challenge })).await?;
    loop {
        match conversation.hear().await? {
            Message::AuditAnswer(answer) if answer.id == id => return Ok(Ok(answer.answer)),
            Message::Refusal(refusal) if refusal.id == id => {
                return Ok(Err(refusal.reason.to_string()));
            }
            // Who offers something else meanwhile is not at fault.
            _ => {}
        }
    }
}
