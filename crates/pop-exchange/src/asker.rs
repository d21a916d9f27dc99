//! Short questions to peers: a manifest, what they hold, whom they know.
//!
//! Contract for the shell: after every [`Asker::handle`], drain [`Asker::poll`] to `None`, then
//! arm one timer for [`Asker::next_timeout`] and give [`Input::Tick`] when it fires.

use std::collections::VecDeque;

use bytes::Bytes;
use pop_wire::limits::AUDIT_CHALLENGE_BYTES_MAX;
use pop_wire::message::{Audit, GetHolders, GetHoldings, GetManifest, GetPeers, RefusalReason};
use pop_wire::sorted::SortedMap;
use pop_wire::{
    ColumnSet, ContentId, Instant, Manifest, MasternodeRecord, Message, PeerId, ProviderRecord,
    RequestId, Signed, Verified,
};

use crate::config::check_introduction;
use crate::greeting::{self, Greeting, kind_name};
use crate::limits::{
    LOOKUP_TIMEOUT_MS, LOOKUPS_PER_LINK_MAX, QUESTION_TIMEOUT_MS, QUESTIONS_PER_LINK_MAX,
};
use crate::{Error, Fault, Introduction, LinkId};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Question {
    /// The manifest of a content.
    Manifest(ContentId),
    /// The columns of a content that the peer holds.
    Holdings(ContentId),
    /// The masternodes that the peer knows.
    Peers,
    /// Who holds a content: the peer looks it up for us. Takes up to [`LOOKUP_TIMEOUT_MS`].
    Holders(ContentId),
    /// Whether the peer has what it says, by a challenge of 1 to 128 bytes that means something to
    /// both shells.
    Audit(Bytes),
}

impl Question {
    fn limit_ms(&self) -> u64 {
        match self {
            Self::Holders(_) => LOOKUP_TIMEOUT_MS,
            Self::Manifest(_) | Self::Holdings(_) | Self::Peers | Self::Audit(_) => {
                QUESTION_TIMEOUT_MS
            }
        }
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The manifest: signed by its publisher, and that of the content asked for.
    Manifest(Box<Verified<Manifest>>),
    /// The columns, by the peer's own word.
    Holdings(ColumnSet),
    /// The masternodes, not yet verified.
    Peers(Vec<Signed<MasternodeRecord>>),
    /// Who holds the content, and masternodes to know them by. None of it is verified, nor that a
    /// provider record is of this content: whoever dials one does both first.
    Holders {
        /// By their own word; at most 64.
        providers: Vec<Signed<ProviderRecord>>,
        /// At most 64.
        masternodes: Vec<Signed<MasternodeRecord>>,
    },
    /// What the peer says to a challenge, 1 to 256 bytes, not checked.
    Audit(Bytes),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The peer refused.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: RefusalReason,
    },
    /// The peer didn't answer in time.
    #[error("expected an answer within {limit_ms} ms")]
    TimedOut {
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// The link is gone, or never was.
    #[error("the link is down")]
    LinkDown,
    /// The peer broke a rule.
    #[error("the peer broke a rule: {0}")]
    Fault(#[from] Fault),
}

/// What the shell tells the machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A link is up.
    LinkUp {
        /// A number that was never used before.
        link: LinkId,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A message came.
    Message {
        /// From where.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Ask; there is exactly one [`Output::Answer`] for it.
    Ask {
        /// On which link.
        link: LinkId,
        /// What.
        question: Question,
    },
    /// The timer fired.
    Tick,
}

/// What the machine asks of the shell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send a message.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Close a link.
    Close {
        /// The link.
        link: LinkId,
    },
    /// A peer said hello.
    Greeted {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What it says about itself.
        introduction: Introduction,
    },
    /// The end of a question.
    Answer {
        /// On which link.
        link: LinkId,
        /// What was asked.
        question: Question,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
}

#[derive(Debug)]
struct Link {
    peer: PeerId,
    greeting: Greeting,
    waiting: VecDeque<(Question, Instant)>,
    asked: SortedMap<RequestId, (Question, Instant)>,
}

impl Link {
    /// The next question that may be asked: lookups wait for each other, and nothing for them.
    fn next_question(&mut self) -> Option<(Question, Instant)> {
        let is_lookup = |question: &Question| matches!(question, Question::Holders(_));
        let lookups = self.asked.values().filter(|(question, _)| is_lookup(question)).count();
        let full = lookups >= LOOKUPS_PER_LINK_MAX;
        let next = self.waiting.iter().position(|(question, _)| !(full && is_lookup(question)))?;
        self.waiting.remove(next)
    }
}

/// Asks questions over any number of links.
#[derive(Debug)]
pub struct Asker {
    introduction: Introduction,
    now: Instant,
    links: SortedMap<LinkId, Link>,
    next_id: u64,
    outputs: VecDeque<Output>,
}

impl Asker {
    /// An asker without links.
    ///
    /// # Errors
    /// [`Error::Setting`] if the agent is too long.
    pub fn new(introduction: Introduction) -> Result<Self, Error> {
        check_introduction(&introduction)?;
        Ok(Self {
            introduction,
            now: Instant::default(),
            links: SortedMap::new(),
            next_id: 0,
            outputs: VecDeque::new(),
        })
    }

    /// Take one input. `now` never goes back; if it does, the latest time seen counts.
    ///
    /// # Errors
    /// [`Error`]: the shell broke its contract. The machine goes on unchanged.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        self.now = self.now.max(now);
        match input {
            Input::LinkUp { link, peer } => self.link_up(link, peer)?,
            Input::LinkDown { link } => self.close(link, &Failure::LinkDown),
            Input::Message { link, message } => {
                if let Err(fault) = self.receive(link, message) {
                    self.close(link, &Failure::Fault(fault));
                    self.outputs.push_back(Output::Close { link });
                }
            }
            Input::Ask { link, question } => self.take(link, question)?,
            Input::Tick => {}
        }
        self.sweep();
        Ok(())
    }

    /// The next thing to do, or `None` until there is another input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Tick`]; `None` if nothing is to be waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let of_link = |link: &Link| {
            let open = link.asked.values().chain(&link.waiting);
            let late = open.map(|(question, since)| since.after_ms(question.limit_ms())).min();
            late.into_iter().chain(link.greeting.deadline()).min()
        };
        self.links.values().filter_map(of_link).min()
    }

    fn link_up(&mut self, link: LinkId, peer: PeerId) -> Result<(), Error> {
        if self.links.contains_key(&link) {
            return Err(Error::LinkInUse { link });
        }
        let greeting = Greeting::new(self.now);
        let (waiting, asked) = (VecDeque::new(), SortedMap::new());
        self.links.insert(link, Link { peer, greeting, waiting, asked });
        let message = Greeting::hello(&self.introduction);
        self.outputs.push_back(Output::Send { link, message });
        Ok(())
    }

    fn take(&mut self, link: LinkId, question: Question) -> Result<(), Error> {
        if let Question::Audit(challenge) = &question {
            let (max, got) = (AUDIT_CHALLENGE_BYTES_MAX, challenge.len());
            if got == 0 || got > max {
                return Err(Error::ChallengeLength { max, got });
            }
        }
        match self.links.get_mut(&link) {
            Some(state) => {
                state.waiting.push_back((question, self.now));
                self.ask(link);
            }
            None => self.answer(link, question, Err(Failure::LinkDown)),
        }
        Ok(())
    }

    fn close(&mut self, link: LinkId, failure: &Failure) {
        let Some(gone) = self.links.remove(&link) else { return };
        for (question, _) in gone.asked.into_values().chain(gone.waiting) {
            self.answer(link, question, Err(failure.clone()));
        }
    }

    fn answer(&mut self, link: LinkId, question: Question, result: Result<Answer, Failure>) {
        self.outputs.push_back(Output::Answer { link, question, result });
    }

    fn receive(&mut self, from: LinkId, message: Message) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        if let Some(hello) = link.greeting.receive(&message)? {
            let (peer, introduction) = (link.peer, greeting::introduction(hello));
            self.outputs.push_back(Output::Greeted { link: from, peer, introduction });
            self.ask(from);
            return Ok(());
        }
        let id = match &message {
            Message::ManifestReply(reply) => reply.id,
            Message::Holdings(holdings) => holdings.id,
            Message::Peers(peers) => peers.id,
            Message::Holders(holders) => holders.id,
            Message::AuditAnswer(answer) => answer.id,
            Message::Refusal(refusal) => refusal.id,
            // Nothing is bought, sold or fetched here; who offers is not at fault.
            Message::Credit(_) | Message::Payment(_) | Message::Available(_) => return Ok(()),
            other => return Err(Fault::Unexpected { got: kind_name(other) }),
        };
        let (question, _) = link.asked.get(&id).ok_or(Fault::UnaskedAnswer { id })?;
        let question = question.clone();
        let result = judge(&question, id, message)?;
        link.asked.remove(&id);
        self.answer(from, question, result);
        self.ask(from);
        Ok(())
    }

    /// Send what waits, as far as the limit on open questions allows.
    fn ask(&mut self, to: LinkId) {
        let Some(link) = self.links.get_mut(&to) else { return };
        if !link.greeting.is_agreed() {
            return;
        }
        while link.asked.len() < QUESTIONS_PER_LINK_MAX {
            let Some((question, since)) = link.next_question() else { return };
            self.next_id += 1;
            let id = RequestId(self.next_id);
            let message = match question.clone() {
                Question::Manifest(content) => Message::GetManifest(GetManifest { id, content }),
                Question::Holdings(content) => Message::GetHoldings(GetHoldings { id, content }),
                Question::Peers => Message::GetPeers(GetPeers { id }),
                Question::Holders(content) => Message::GetHolders(GetHolders { id, content }),
                Question::Audit(challenge) => Message::Audit(Audit { id, challenge }),
            };
            link.asked.insert(id, (question, since));
            self.outputs.push_back(Output::Send { link: to, message });
        }
    }

    /// A peer that doesn't answer one question in time is asked no others.
    fn sweep(&mut self) {
        let now = self.now;
        let late = |(id, link): (&LinkId, &Link)| {
            if let Err(fault) = link.greeting.overdue(now) {
                return Some((*id, Failure::Fault(fault)));
            }
            let mut open = link.asked.values().chain(&link.waiting);
            let late = open.find(|(question, since)| now.since_ms(*since) >= question.limit_ms());
            late.map(|(question, _)| (*id, Failure::TimedOut { limit_ms: question.limit_ms() }))
        };
        let late: Vec<_> = self.links.iter().filter_map(late).collect();
        for (link, failure) in late {
            self.close(link, &failure);
            self.outputs.push_back(Output::Close { link });
        }
    }
}

/// What a message says to a question that was open.
fn judge(
    question: &Question,
    id: RequestId,
    message: Message,
) -> Result<Result<Answer, Failure>, Fault> {
    let got = kind_name(&message);
    let expected = match (question, message) {
        (_, Message::Refusal(refusal)) => {
            return Ok(Err(Failure::Refused { reason: refusal.reason }));
        }
        (Question::Manifest(content), Message::ManifestReply(reply)) => {
            // spec/exchange.md §9: signed, and the one that was asked for.
            let manifest = reply.manifest.verify().ok();
            let manifest = manifest.filter(|manifest| manifest.content_id() == *content);
            let manifest = manifest.ok_or(Fault::BadManifest { id })?;
            return Ok(Ok(Answer::Manifest(Box::new(manifest))));
        }
        (Question::Holdings(_), Message::Holdings(holdings)) => {
            return Ok(Ok(Answer::Holdings(holdings.columns)));
        }
        (Question::Peers, Message::Peers(peers)) => {
            return Ok(Ok(Answer::Peers(peers.masternodes)));
        }
        (Question::Holders(_), Message::Holders(holders)) => {
            let (providers, masternodes) = (holders.providers, holders.masternodes);
            return Ok(Ok(Answer::Holders { providers, masternodes }));
        }
        (Question::Audit(_), Message::AuditAnswer(answer)) => {
            return Ok(Ok(Answer::Audit(answer.answer)));
        }
        (Question::Manifest(_), _) => "manifest reply",
        (Question::Holdings(_), _) => "holdings",
        (Question::Peers, _) => "peers",
        (Question::Holders(_), _) => "holders",
        (Question::Audit(_), _) => "audit answer",
    };
    Err(Fault::WrongAnswer { id, expected, got })
}
