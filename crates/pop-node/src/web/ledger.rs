//! The ledger over a browser's link: requests and replies as on a libp2p stream, one after the
//! other, any number of them (`spec/incentive.md` §12.12).

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use futures::{AsyncRead, AsyncWrite};
use pop_incentive::ledger::protocol::LedgerReply;
use pop_wire::PeerId;

use super::admission::Prefix;
use super::limits::LEDGER_REQUEST_TIMEOUT;
use crate::clock::Clock;
use crate::ledger::{Budgets, LedgerCodec, LedgerService};

/// Serves the ledger to browsers.
#[derive(Debug)]
pub(super) struct LedgerCounter {
    service: LedgerService,
    codec: LedgerCodec,
    /// By prefix, since a browser makes itself a new identity whenever it likes.
    budgets: Mutex<Budgets<Prefix>>,
    clock: Clock,
}

impl LedgerCounter {
    pub(super) fn new(service: LedgerService, clock: Clock) -> Self {
        Self { service, codec: LedgerCodec::new(), budgets: Mutex::default(), clock }
    }

    /// Answer what comes on `stream` until its end.
    pub(super) async fn serve<S>(&self, peer: PeerId, address: IpAddr, stream: &mut S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        loop {
            // The wait for the first byte of a request has no end but the link's.
            if let Err(error) = self.answer(address, stream).await {
                tracing::debug!(%peer, %error, "a browser's link to the ledger ends");
                return;
            }
        }
    }

    async fn answer<S>(&self, address: IpAddr, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let first = LedgerCodec::first_byte(stream).await?;
        let answering = async {
            let request = self.codec.rest_of_request(first, stream).await?;
            let reply = if self.may_ask(address, request.bytes().len()) {
                self.service.answer(request).await
            } else {
                LedgerReply::Busy
            };
            LedgerCodec::write_reply(stream, &reply.encode()).await
        };
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        tokio::time::timeout(LEDGER_REQUEST_TIMEOUT, answering).await.map_err(|_| timed_out())?
    }

    fn may_ask(&self, address: IpAddr, request_bytes: usize) -> bool {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.take(self.clock.now(), Prefix::from(address), request_bytes)
    }
}
