//! Where requests to ledgers come in and go out: what the swarm's task knows of them.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::Multiaddr;
use libp2p::request_response::{Event, Message, OutboundRequestId, ResponseChannel};
use pop_incentive::ledger::protocol::LedgerReply;
use pop_incentive::limits::LEDGER_QUEUE_MAX;
use pop_wire::PeerId;
use tokio::sync::oneshot;

use super::Unreachable;
use crate::clock::Clock;
use crate::ledger::{Behaviour, Budgets, Frame, LedgerService};
use crate::transport::{from_libp2p, to_libp2p};

/// Where the reply to a request of ours goes.
type Reply = oneshot::Sender<Result<Vec<u8>, Unreachable>>;

/// Requests of peers that wait for the ledger, and ours that wait for a peer.
pub(super) struct LedgerDesk {
    service: Option<LedgerService>,
    budgets: Budgets<PeerId>,
    clock: Clock,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    asked: HashMap<OutboundRequestId, (PeerId, Reply)>,
}

/// A reply on its way to a peer.
pub(super) struct Answer {
    channel: ResponseChannel<Vec<u8>>,
    reply: LedgerReply,
}

impl Answer {
    pub(super) fn send(self, ledger: &mut Behaviour) {
        if ledger.send_response(self.channel, self.reply.encode()).is_err() {
            tracing::debug!("whoever asked the ledger is gone");
        }
    }
}

impl LedgerDesk {
    pub(super) fn new(service: Option<LedgerService>) -> Self {
        Self {
            service,
            budgets: Budgets::default(),
            clock: Clock::start(),
            answers: FuturesUnordered::new(),
            asked: HashMap::new(),
        }
    }

    /// The next reply that the ledger gave; `None` while nobody waits for one.
    pub(super) async fn next_answer(&mut self) -> Option<Answer> {
        self.answers.next().await
    }

    /// Send a request of ours.
    pub(super) fn ask(
        &mut self,
        ledger: &mut Behaviour,
        (peer, address): (PeerId, Multiaddr),
        request: Vec<u8>,
        reply: Reply,
    ) {
        let frame = Frame::new(request);
        let id = ledger.send_request_with_addresses(&to_libp2p(&peer), frame, vec![address]);
        self.asked.insert(id, (peer, reply));
    }

    pub(super) fn on_event(&mut self, ledger: &mut Behaviour, event: Event<Frame, Vec<u8>>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                let Some(peer) = from_libp2p(&peer) else { return };
                self.take(ledger, peer, request, channel);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                if let Some((_, reply)) = self.asked.remove(&request_id) {
                    let _asker_gone = reply.send(Ok(response));
                }
            }
            Event::OutboundFailure { request_id, error, .. } => {
                if let Some((peer, reply)) = self.asked.remove(&request_id) {
                    let reason = error.to_string();
                    let _asker_gone = reply.send(Err(Unreachable { peer, reason }));
                }
            }
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "request to the ledger");
            }
            Event::ResponseSent { .. } => {}
        }
    }

    /// Take a peer's request, if there is room for it and the peer may ask.
    fn take(
        &mut self,
        ledger: &mut Behaviour,
        peer: PeerId,
        request: Frame,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        // Without a service no request is negotiated.
        let Some(service) = self.service.clone() else { return };
        let room = self.answers.len() < LEDGER_QUEUE_MAX;
        if !room || !self.budgets.take(self.clock.now(), peer, request.bytes().len()) {
            tracing::debug!(%peer, "asks the ledger too much");
            return Answer { channel, reply: LedgerReply::Busy }.send(ledger);
        }
        self.answers.push(Box::pin(async move {
            let reply = service.answer(request).await;
            Answer { channel, reply }
        }));
    }
}
