//! The engine of an ephemeral masternode: everything but the browser.
//!
//! A shell gives it what happens (a link came up, bytes came, a page wants bytes of a film) and
//! carries out what it asks (dial, send, store, hand bytes to a reader). It has no clock and no
//! randomness: `now`, `wall` and a seed come in. Same seed and inputs, same outputs.
//!
//! Contract for the shell:
//!
//! - After every [`Engine::handle`], or after a batch of them, drain [`Engine::poll`] to `None` and
//!   carry everything out in order; then arm one timer for [`Engine::next_timeout`] and give
//!   [`Input::Tick`] when it fires. Late timers cost speed only.
//! - Numbers of films and reads are the shell's, of links, peer connections and tokens the
//!   engine's. No number is used twice.
//! - Links are reliable, ordered byte streams: a WebSocket or a data channel whose binary messages
//!   carry any pieces of it, in order. A text message ends the link.
//! - Bytes of a read flow only as far as they were pulled: pull a few hundred KiB ahead of what the
//!   reader has taken.

mod address;
mod cache;
mod config;
mod directory;
mod error;
mod event;
mod film;
mod films;
mod hub;
mod incoming;
pub mod limits;
mod money;
mod outbox;
mod port;
mod reach;
mod serving;
mod stats;
mod swarm;
mod wire;

use pop_exchange::asker::{Answer, Question};
use pop_wire::sorted::SortedMap;
use pop_wire::{Instant, Keypair, UnixTime};

use self::directory::{Directory, Word};
use self::film::{Film, Outcome};
use self::hub::Hub;
use self::limits::{KEPT_FILMS_MAX, READS_MAX};
use self::money::{Money, Word as MoneyWord};
use self::serving::Serving;
use self::swarm::Swarm;
use self::wire::Purpose;

pub use address::{Address, AddressError, Host, Protocol, Transport};
pub use config::{EngineConfig, Ledger, Upload};
pub use error::EngineError;
pub use event::{Event, SourceKind};
pub use port::{
    CacheKey, Candidate, FilmId, FilmInfo, Fingerprints, Input, LinkId, Output, ReadId, RtcCommand,
    RtcEvent, RtcId, Token,
};
pub use stats::{EngineStats, FilmStats, SourceState, SourceStats};

/// Time between two looks at what is overdue and can't be done, in milliseconds.
const OVERDUE_MS: u64 = 100;

/// An ephemeral masternode. See the module's documentation for what its shell does.
pub struct Engine {
    hub: Hub,
    directory: Directory,
    films: SortedMap<FilmId, Film>,
    serving: Serving,
    swarm: Swarm,
    money: Money,
    /// Something happened since everything was last settled.
    dirty: bool,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("peer", &self.hub.own_peer()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that knows its entries and has nothing open.
    ///
    /// # Errors
    /// [`EngineError::Setting`] if the secret is no key.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let keypair = Keypair::from_secret_bytes(&config.secret);
        let keypair = keypair.map_err(|_| EngineError::Setting { field: "secret" })?;
        let mut hub = Hub::new(config, keypair);
        let directory = Directory::new(&hub)?;
        let money = Money::new(&hub);
        hub.pays = money.pays();
        let serving = Serving::new(money.sells())?;
        let swarm = Swarm::new(&mut hub);
        Ok(Self { hub, directory, films: SortedMap::new(), serving, swarm, money, dirty: true })
    }

    /// This viewer: its key, its wallet.
    pub fn peer_id(&self) -> pop_wire::PeerId {
        self.hub.own_peer()
    }

    /// Take one input. `now` never goes back (if it does, the latest time seen counts); `wall` is
    /// the time of day, for what others signed.
    pub fn handle(&mut self, now: Instant, wall: UnixTime, input: Input) {
        self.hub.now = self.hub.now.max(now);
        self.hub.wall = wall;
        self.dirty = true;
        match input {
            Input::Open { film, link } => self.open(film, &link),
            Input::Close { film } => self.close(film, &EngineError::NotOpen),
            Input::Read { read, film, range } => self.read(read, film, range),
            Input::Pull { read, bytes } => {
                self.films.values_mut().for_each(|film| film.pull(read, bytes));
            }
            Input::Stop { read } => self.films.values_mut().for_each(|film| film.stop(read)),
            Input::Play { film, position_bytes, bytes_per_s, is_waiting } => {
                if let Some(film) = self.films.get_mut(&film).filter(|film| !film.is_kept()) {
                    film.play(position_bytes, bytes_per_s, is_waiting);
                }
            }
            Input::LinkUp { link, fingerprints } => self.link_up(link, fingerprints),
            Input::LinkBytes { link, bytes } => self.link_bytes(link, &bytes),
            Input::LinkFlushed { link, bytes } => self.link_flushed(link, bytes),
            Input::LinkDown { link } => self.link_down(link),
            Input::Rtc { rtc, event } => self.rtc(rtc, event),
            Input::CacheLoaded { token, bytes } => self.cache_loaded(token, bytes.as_ref()),
            Input::CacheStored { token, is_stored } => self.cache_stored(token, is_stored),
            Input::Persisted { token, is_safe } => {
                self.money.persisted(&mut self.hub, token, is_safe);
            }
            Input::Deposit { amount } => self.money.deposit(amount),
            Input::Redeem => self.money.redeem(),
            Input::LookAtWallet => self.money.look_at_wallet(),
            Input::Upload(upload) => {
                self.hub.config.upload = upload;
                self.serving.announce_all(&mut self.hub);
                self.keep_at_most(if upload.is_on { KEPT_FILMS_MAX } else { 0 });
            }
            Input::Online(is_online) => self.online(is_online),
            Input::Tick => {}
        }
    }

    /// The next thing to do, or `None` until there is another input.
    pub fn poll(&mut self) -> Option<Output> {
        while self.hub.outbox.is_empty() && core::mem::take(&mut self.dirty) {
            self.settle();
        }
        self.hub.outbox.pop()
    }

    /// When to give [`Input::Tick`]; `None` if nothing is to be waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let films = self.films.values().filter_map(Film::next_timeout);
        let directory = self.directory.next_timeout(self.open_films() > 0);
        let serving = self.serving.next_timeout(&self.hub.config.upload);
        let others = directory.into_iter().chain(serving).chain(self.swarm.next_timeout());
        let others = others.chain(self.money.next_timeout());
        let due = films.chain(others).chain(self.hub.wires.next_timeout()).min()?;
        // What is overdue now waits for something else, a free place among the dials, say.
        Some(if due <= self.hub.now { self.hub.now.after_ms(OVERDUE_MS) } else { due })
    }

    /// A look at a film; `None` if it is not open.
    pub fn film_stats(&self, film: FilmId) -> Option<FilmStats> {
        let film = self.films.get(&film).filter(|film| !film.is_kept())?;
        let mut stats = film.stats(&self.hub.cache);
        stats.up_bytes = self.serving.up_bytes_of(&film.content());
        (stats.spent, stats.earned) = self.money.totals();
        for (link, source) in film.viewer_links().into_iter().zip(&mut stats.sources) {
            let other = self.swarm.other_link(link);
            source.sent_bytes = other.map_or(0, |link| self.serving.sent_bytes(link));
        }
        Some(stats)
    }

    /// A look at the whole.
    pub fn stats(&self) -> EngineStats {
        let (spent, earned) = self.money.totals();
        EngineStats {
            spent,
            earned,
            entries_up: self.directory.links().len(),
            relays_up: self.swarm.relays(),
            viewers_up: self.swarm.viewers(),
            cached_bytes: self.hub.cache.stored_bytes(),
            up_bytes: self.serving.up_bytes(),
        }
    }

    fn read(&mut self, read: ReadId, film: FilmId, range: core::ops::Range<u64>) {
        let reads: usize = self.films.values().map(Film::reads).sum();
        let is_known = self.films.values().any(|film| film.has_read(read));
        let error = match self.films.get_mut(&film) {
            Some(film) if film.is_kept() => EngineError::NotOpen,
            Some(film) if reads < READS_MAX && !is_known => {
                return film.read(&mut self.hub, read, range);
            }
            Some(_) => EngineError::TooMany { what: "reads", max: READS_MAX },
            None => EngineError::NotOpen,
        };
        self.hub.outbox.push(Output::ReadFailed { read, error });
    }

    fn online(&mut self, is_online: bool) {
        let now = self.hub.now;
        if is_online && !core::mem::replace(&mut self.hub.is_online, is_online) {
            self.directory.retry_now(now);
            self.swarm.retry_now(now);
            self.films.values_mut().for_each(|film| film.retry_now(now));
        }
        self.hub.is_online = is_online;
    }

    /// Ask a masternode that can be asked about everything that is open.
    fn introduce(&mut self, link: LinkId) {
        for film in self.films.values_mut().filter(|film| !film.is_kept()) {
            let content = film.content();
            if film.asks(link) {
                self.directory.ask(&self.hub, link, Question::Manifest(content));
            }
            self.directory.ask(&self.hub, link, Question::Holders(content));
        }
    }

    /// Do everything that inputs and time ask for, until there is nothing more to do.
    fn settle(&mut self) {
        self.hub.wires.late(self.hub.now).into_iter().for_each(|link| self.end(link));
        self.directory.tick(&self.hub);
        self.look_around();
        let is_open = self.open_films() > 0;
        self.directory.connect(&mut self.hub, is_open);
        while let Some(word) = self.directory.poll(&mut self.hub) {
            self.on_word(word);
        }
        let is_hopeful = self.directory.is_hopeful();
        let each = |hub: &mut Hub, film: &mut Film, hope| {
            film.tick(hub, is_hopeful)?;
            film.settle(hub, hope)
        };
        let ids: Vec<FilmId> = self.films.keys().copied().collect();
        for id in ids {
            // As long as others may turn up, they are left something to give.
            let hope = self.swarm.hope(id);
            let Some(film) = self.films.get_mut(&id) else { continue };
            let outcome = each(&mut self.hub, film, hope);
            self.judge(id, outcome);
        }
        self.meet();
        self.serve();
        self.account();
        self.hub.take_orphans().into_iter().for_each(|rtc| self.viewer_gone(rtc));
    }

    /// Keep accounts of what went on, and do what they ask for.
    fn account(&mut self) {
        for news in core::mem::take(&mut self.hub.news) {
            self.money.learn(&mut self.hub, news);
        }
        if let Some(link) = self.money.settle(&mut self.hub) {
            self.end(link);
        }
        while let Some(word) = self.money.poll() {
            // The machines that are told have something to do then.
            self.dirty = true;
            match word {
                MoneyWord::Say(link, body) => self.say(link, body),
                MoneyWord::Price(peer, rank) => {
                    self.films.values_mut().for_each(|film| film.price(&self.hub, peer, rank));
                }
                MoneyWord::Allow(peer, bytes) => self.serving.allow(self.hub.now, peer, bytes),
            }
        }
    }

    fn say(&mut self, link: LinkId, body: bytes::Bytes) {
        match self.hub.wires.purpose(link) {
            Some(Purpose::Fetch(film) | Purpose::FetchFromViewer(film, _)) => {
                if let Some(film) = self.films.get_mut(&film) {
                    film.pay(&self.hub, link, body);
                }
            }
            Some(Purpose::Serve(_)) => self.serving.pay(self.hub.now, link, body),
            _ => {}
        }
    }

    /// Meet other viewers.
    fn meet(&mut self) {
        let is_open = self.open_films() > 0;
        self.swarm.connect(&mut self.hub, &self.directory, is_open);
        self.swarm.tick(&self.hub);
        for link in self.swarm.settle(&mut self.hub) {
            self.link_down(link);
        }
    }

    /// Tell other viewers what is here, and give them what they ask for.
    fn serve(&mut self) {
        for content in self.hub.cache.take_changed() {
            self.serving.announce(&mut self.hub, content);
            if self.hub.cache.segments(&content).is_empty() {
                self.let_go_of(content);
            }
        }
        self.serving.tick(&self.hub);
        for link in self.serving.settle(&mut self.hub) {
            self.end(link);
        }
    }

    /// Look for holders where it is time, and for somebody who knows what nobody knew so far.
    fn look_around(&mut self) {
        let now = self.hub.now;
        for film in self.films.values_mut() {
            if film.looks(now) {
                for link in self.directory.links() {
                    self.directory.ask(&self.hub, link, Question::Holders(film.content()));
                }
            }
            if film.is_unknown() {
                self.directory.ask_also(film.holders());
            }
        }
    }

    fn on_word(&mut self, word: Word) {
        match word {
            Word::Greeted(link) => {
                self.introduce(link);
                self.directory.ask(&self.hub, link, Question::Peers);
            }
            Word::Answered(link, Question::Manifest(content), result) => {
                let of = |film: &&mut Film| film.content() == content;
                let mut failed = Vec::new();
                for (id, film) in self.films.iter_mut().filter(|(_, film)| of(film)) {
                    let was_open = film.opened().is_some();
                    let outcome = film.answered(&mut self.hub, link, result.clone());
                    if let Some(content) = film.opened().filter(|_| !was_open) {
                        self.serving.open(&mut self.hub, content);
                        self.money.shelve(content.manifest(), content.id());
                        let (id, key) = (film.id(), film.key().expose_secret());
                        self.swarm.attend(&mut self.hub, id, content.id(), key);
                    }
                    failed.push((*id, outcome));
                }
                failed.into_iter().for_each(|(id, outcome)| self.judge(id, outcome));
            }
            Word::Answered(_, Question::Holders(content), Ok(answer)) => {
                if let Answer::Holders { providers, masternodes } = answer {
                    self.directory.learn(&self.hub, masternodes);
                    for film in self.films.values_mut().filter(|it| it.content() == content) {
                        film.learn(&mut self.hub, &self.directory, providers.clone());
                    }
                }
            }
            Word::Answered(_, Question::Peers, Ok(Answer::Peers(masternodes))) => {
                self.directory.learn(&self.hub, masternodes);
            }
            Word::Answered(..) => {}
        }
    }

    fn judge(&mut self, id: FilmId, outcome: Outcome) {
        if let Err(error) = outcome {
            self.close(id, &error);
            self.hub.outbox.push(Output::Failed { film: id, error });
        }
    }
}
