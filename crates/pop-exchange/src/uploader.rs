//! The giving side: puts columns of one content on one holder, for publishing and for repair.
//!
//! The machine asks the shell for shards in the order in which each column needs them, and never
//! for more than it can soon send. A link that goes down loses nothing: give the next one to the
//! same machine, and each column goes on where the holder has it.
//!
//! Contract for the shell: after every [`Uploader::handle`], drain [`Uploader::poll`] to `None`,
//! then arm one timer for [`Uploader::next_timeout`] and give [`Input::Tick`] when it fires.

mod column;
mod port;

use std::collections::{BTreeMap, VecDeque};

use pop_erasure::Content;
use pop_wire::message::{ColumnReply, ColumnState, OpenColumn, PutShard, Refusal, RefusalReason};
use pop_wire::{ColumnIndex, ColumnSet, Instant, Message, PeerId, RequestId, SegmentIndex};

use self::column::{Column, Stage};
use crate::config::check_introduction;
use crate::credit::SendCredit;
use crate::greeting::{self, Greeting, kind_name};
use crate::limits::{BUSY_RETRY_MS, RETRY_AFTER_MS_MAX, UPLOADS_PER_LINK_MAX};
use crate::{Error, Fault, LinkId, ShardWithProof};

pub use self::port::{Event, Failure, Input, Output};
pub use crate::config::UploaderConfig;

/// The link that is up.
#[derive(Debug)]
struct Connection {
    link: LinkId,
    peer: PeerId,
    greeting: Greeting,
    credit: SendCredit,
}

/// Puts columns of one content on one holder.
#[derive(Debug)]
pub struct Uploader {
    content: Content,
    config: UploaderConfig,
    now: Instant,
    connection: Option<Connection>,
    columns: BTreeMap<ColumnIndex, Column>,
    next_id: u64,
    /// Last sign of progress, or the moment since when the holder is to show some.
    progress_at: Instant,
    waiting: bool,
    finished: bool,
    outputs: VecDeque<Output>,
}

impl Uploader {
    /// An uploader of `columns` of `content`; columns that the content doesn't have are left out.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting can't work.
    pub fn new(
        content: Content,
        columns: ColumnSet,
        config: UploaderConfig,
    ) -> Result<Self, Error> {
        check_introduction(&config.introduction)?;
        crate::config::at_least("shards_ahead_max", 1, config.shards_ahead_max)?;
        let n = content.layout().geometry().n();
        let exists = columns.iter().filter(|column| column.get() < n);
        let columns = exists.map(|column| (column, Column::default())).collect();
        Ok(Self {
            content,
            config,
            now: Instant::default(),
            connection: None,
            columns,
            next_id: 0,
            progress_at: Instant::default(),
            waiting: false,
            finished: false,
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
            Input::LinkDown { link } => {
                if self.connection.as_ref().is_some_and(|c| c.link == link) {
                    self.disconnect();
                }
            }
            Input::Message { link, message } => {
                if let Err(fault) = self.receive(link, message) {
                    self.fault(fault);
                }
            }
            Input::Shard { column, segment, shard } => {
                let unknown = Error::ShardNotNeeded { segment, column };
                // What a lost link made useless is not the shell's mistake.
                self.columns.get_mut(&column).ok_or(unknown)?.offer(segment.0, shard);
            }
            Input::Tick => {}
        }
        self.advance();
        self.watch();
        Ok(())
    }

    /// The next thing to do, or `None` until there is another input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Tick`]; `None` if nothing is to be waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        let stalled = self.waiting.then(|| self.progress_at.after_ms(self.config.stall_ms_max));
        let retries = self.columns.values().filter_map(Column::retry_at);
        retries.chain(connection.greeting.deadline()).chain(stalled).min()
    }

    /// Whether every column is stored or has failed.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Columns that are stored.
    pub fn stored(&self) -> ColumnSet {
        self.columns_at(|stage| matches!(stage, Stage::Stored))
    }

    fn columns_at(&self, at: impl Fn(&Stage) -> bool) -> ColumnSet {
        let columns = self.columns.iter().filter(|(_, column)| at(&column.stage));
        columns.map(|(index, _)| *index).collect()
    }

    fn link_up(&mut self, link: LinkId, peer: PeerId) -> Result<(), Error> {
        if self.connection.as_ref().is_some_and(|c| c.link == link) {
            return Err(Error::LinkInUse { link });
        }
        self.disconnect();
        let (greeting, credit) = (Greeting::new(self.now), SendCredit::default());
        self.connection = Some(Connection { link, peer, greeting, credit });
        let message = Greeting::hello(&self.config.introduction);
        self.outputs.push_back(Output::Send { link, message });
        Ok(())
    }

    /// Unfinished columns wait for another link.
    fn disconnect(&mut self) {
        self.connection = None;
        self.waiting = false;
        self.columns.values_mut().for_each(Column::interrupt);
    }

    fn receive(&mut self, from: LinkId, message: Message) -> Result<(), Fault> {
        let Some(connection) = self.connection.as_mut().filter(|c| c.link == from) else {
            return Ok(());
        };
        self.progress_at = self.now;
        if let Some(hello) = connection.greeting.receive(&message)? {
            connection.credit.grant(hello.credit_bytes)?;
            let (link, peer) = (from, connection.peer);
            let introduction = greeting::introduction(hello);
            let event = Event::Greeted { link, peer, introduction };
            self.outputs.push_back(Output::Event(event));
            return Ok(());
        }
        match message {
            Message::Credit(credit) => connection.credit.grant(credit.bytes),
            Message::ColumnReply(reply) => self.replied(reply),
            Message::Refusal(refusal) => {
                self.refused(refusal);
                Ok(())
            }
            // Nothing is bought, sold or fetched here; who offers is not at fault.
            Message::Payment(_) | Message::Available(_) => Ok(()),
            other => Err(Fault::Unexpected { got: kind_name(&other) }),
        }
    }

    fn column_of(&mut self, id: RequestId) -> Option<(ColumnIndex, &mut Column)> {
        let mut columns = self.columns.iter_mut();
        columns.find(|(_, column)| column.id() == Some(id)).map(|(index, c)| (*index, c))
    }

    fn replied(&mut self, reply: ColumnReply) -> Result<(), Fault> {
        let ColumnReply { id, state, next_segment } = reply;
        let count = self.content.layout().segment_count();
        let Some((column, state_of)) = self.column_of(id) else {
            return Err(Fault::UnaskedAnswer { id });
        };
        match state {
            ColumnState::Stored => {
                state_of.stage = Stage::Stored;
                self.outputs.push_back(Output::Event(Event::ColumnStored { column }));
            }
            ColumnState::Open => {
                if next_segment.0 > count {
                    let expected = SegmentIndex(count);
                    return Err(Fault::OutOfOrder { expected, got: next_segment });
                }
                state_of.opened(id, next_segment.0);
                self.outputs.push_back(Output::Event(Event::Progress { column, next_segment }));
            }
        }
        Ok(())
    }

    fn refused(&mut self, refusal: Refusal) {
        let Refusal { id, reason, retry_after_ms } = refusal;
        let retry_ms = u64::from(retry_after_ms.max(BUSY_RETRY_MS)).min(RETRY_AFTER_MS_MAX);
        let (now, tries_max) = (self.now, self.config.busy_tries_max);
        let Some((column, state)) = self.column_of(id) else { return };
        if reason == RefusalReason::Busy && state.tries < tries_max {
            state.wait(now.after_ms(retry_ms));
        } else {
            state.stage = Stage::Failed;
            let failure = Failure::Refused { reason };
            self.outputs.push_back(Output::Event(Event::ColumnFailed { column, failure }));
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.fail_all(&Failure::Fault(fault));
    }

    fn fail_all(&mut self, failure: &Failure) {
        for (column, state) in &mut self.columns {
            if !state.is_over() {
                state.stage = Stage::Failed;
                let event = Event::ColumnFailed { column: *column, failure: failure.clone() };
                self.outputs.push_back(Output::Event(event));
            }
        }
        if let Some(connection) = self.connection.take() {
            self.outputs.push_back(Output::Close { link: connection.link });
        }
        self.waiting = false;
    }

    /// Everything that can be done now, in the order of the columns' progress.
    fn advance(&mut self) {
        self.open();
        self.put();
        self.need();
        if !self.finished && self.columns.values().all(Column::is_over) {
            self.finished = true;
            let stored = self.stored();
            let failed = self.columns_at(|stage| matches!(stage, Stage::Failed));
            self.outputs.push_back(Output::Event(Event::Finished { stored, failed }));
        }
    }

    fn open(&mut self) {
        let Some(connection) = self.connection.as_ref().filter(|c| c.greeting.is_agreed()) else {
            return;
        };
        let mut active = self.columns.values().filter(|column| column.id().is_some()).count();
        for (column, state) in &mut self.columns {
            // spec/exchange.md §8: the holder refuses more than this.
            if active >= UPLOADS_PER_LINK_MAX || !state.may_open(self.now) {
                continue;
            }
            active += 1;
            self.next_id += 1;
            let id = RequestId(self.next_id);
            state.stage = Stage::Opening { id };
            state.tries += 1;
            let manifest = self.content.manifest().signed().clone();
            let message = Message::OpenColumn(OpenColumn { id, manifest, column: *column });
            self.outputs.push_back(Output::Send { link: connection.link, message });
        }
    }

    /// Send what is here and what credit allows; the column that is furthest behind first.
    fn put(&mut self) {
        let Some(connection) = self.connection.as_mut() else { return };
        let link = connection.link;
        let count = self.content.layout().segment_count();
        loop {
            let ready = self.columns.values_mut().filter(|column| column.next_shard().is_some());
            let Some(column) = ready.min_by_key(|column| column.position()) else { break };
            let Some((id, segment, bytes)) = column.next_shard() else { break };
            // spec/exchange.md §4: never beyond the credit.
            if !connection.credit.spend(bytes) {
                break;
            }
            let Some(shard) = column.take_shard() else { break };
            let ShardWithProof { payload, segment_path, content_path } = shard;
            let segment = SegmentIndex(segment);
            let put = PutShard { id, segment, segment_path, content_path, payload };
            self.outputs.push_back(Output::Send { link, message: Message::PutShard(put) });
        }
        for column in self.columns.values_mut() {
            if let Some(seal) = column.seal(count) {
                self.outputs.push_back(Output::Send { link, message: Message::SealColumn(seal) });
            }
        }
    }

    fn need(&mut self) {
        let count = self.content.layout().segment_count();
        for (column, state) in &mut self.columns {
            while let Some(segment) = state.next_need(self.config.shards_ahead_max, count) {
                let segment = SegmentIndex(segment);
                self.outputs.push_back(Output::NeedShard { column: *column, segment });
            }
        }
    }

    /// The holder's clock runs while it is the holder's turn.
    fn watch(&mut self) {
        let Some(connection) = &self.connection else { return };
        if let Err(fault) = connection.greeting.overdue(self.now) {
            self.fault(fault);
            self.advance();
            return;
        }
        let waiting = self.columns.values().any(Column::waits_for_holder);
        if waiting && !self.waiting {
            self.progress_at = self.now;
        }
        self.waiting = waiting;
        let limit_ms = self.config.stall_ms_max;
        if waiting && self.now.since_ms(self.progress_at) >= limit_ms {
            self.fail_all(&Failure::Stalled { limit_ms });
            self.advance();
        }
    }
}
