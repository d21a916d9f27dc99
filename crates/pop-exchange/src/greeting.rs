//! The first message each way (`spec/exchange.md` §3).

use pop_wire::message::Hello;
use pop_wire::{Instant, Message, ProtocolVersion, VersionRange};

use crate::limits::HELLO_TIMEOUT_MS;
use crate::{Fault, Introduction};

/// ```text
/// link up --send Hello--> Waiting --Hello--> Agreed(version)
///                            `--anything else, or time out--> fault
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    Waiting { since: Instant },
    Agreed(ProtocolVersion),
}

impl Greeting {
    pub(crate) fn new(now: Instant) -> Self {
        Self::Waiting { since: now }
    }

    /// Our side of it.
    pub(crate) fn hello(introduction: &Introduction) -> Message {
        Message::Hello(Hello {
            versions: VersionRange::SUPPORTED,
            credit_bytes: 0,
            agent: introduction.agent.clone(),
            masternode: introduction.masternode.clone(),
        })
    }

    pub(crate) fn is_agreed(&self) -> bool {
        matches!(self, Self::Agreed(_))
    }

    /// Take every message of the peer past here. `Some` is a hello, now digested.
    ///
    /// spec/exchange.md §3: nothing may precede the hello, and there is only one.
    pub(crate) fn receive<'a>(&mut self, message: &'a Message) -> Result<Option<&'a Hello>, Fault> {
        match (*self, message) {
            (Self::Waiting { .. }, Message::Hello(hello)) => {
                let ours = VersionRange::SUPPORTED;
                let version = ours
                    .negotiate(&hello.versions)
                    .map_err(|_| Fault::Version { ours, theirs: hello.versions })?;
                *self = Self::Agreed(version);
                Ok(Some(hello))
            }
            (Self::Waiting { .. }, other) => Err(Fault::NoHello { got: kind_name(other) }),
            (Self::Agreed(_), Message::Hello(_)) => Err(Fault::HelloTwice),
            (Self::Agreed(_), _) => Ok(None),
        }
    }

    /// When the other side is too late.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Waiting { since } => Some(since.after_ms(HELLO_TIMEOUT_MS)),
            Self::Agreed(_) => None,
        }
    }

    pub(crate) fn overdue(&self, now: Instant) -> Result<(), Fault> {
        match self.deadline() {
            Some(deadline) if now >= deadline => {
                Err(Fault::HelloLate { limit_ms: HELLO_TIMEOUT_MS })
            }
            _ => Ok(()),
        }
    }
}

/// What a hello says about its sender.
pub(crate) fn introduction(hello: &Hello) -> Introduction {
    Introduction { agent: hello.agent.clone(), masternode: hello.masternode.clone() }
}

/// The kind of a message, for a fault's text.
pub(crate) fn kind_name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "hello",
        Message::Credit(_) => "credit",
        Message::GetShard(_) => "get shard",
        Message::Shard(_) => "shard",
        Message::Refusal(_) => "refusal",
        Message::Cancel(_) => "cancel",
        Message::GetManifest(_) => "get manifest",
        Message::ManifestReply(_) => "manifest reply",
        Message::GetHoldings(_) => "get holdings",
        Message::Holdings(_) => "holdings",
        Message::OpenColumn(_) => "open column",
        Message::PutShard(_) => "put shard",
        Message::SealColumn(_) => "seal column",
        Message::ColumnReply(_) => "column reply",
        Message::GetPeers(_) => "get peers",
        Message::Peers(_) => "peers",
        Message::Payment(_) => "payment",
        Message::GetHolders(_) => "get holders",
        Message::Holders(_) => "holders",
        Message::Available(_) => "available",
        Message::Audit(_) => "audit",
        Message::AuditAnswer(_) => "audit answer",
        _ => "unknown message",
    }
}
