//! A browser: the engine, and a player that reads and compares.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use pop_web::engine::{
    CacheKey, Engine, EngineConfig, EngineError, Event, FilmId, Input, LinkId, Output, ReadId,
    Token,
};
use pop_wire::Instant;

use crate::masternode::{Published, WALL};

pub(crate) const FILM: FilmId = FilmId(1);

/// A read, and what it got so far.
pub(crate) struct Reading {
    film: Rc<Published>,
    range: Range<u64>,
    pub(crate) got: u64,
    pulled: u64,
    /// Bytes a second; `None` takes all it can get.
    pace: Option<u64>,
    started: Option<u64>,
    pub(crate) stalled_ms: u64,
    pub(crate) is_over: bool,
    pub(crate) first_byte_at: Option<u64>,
}

pub(crate) struct Viewer {
    pub(crate) engine: Engine,
    pub(crate) opened_at: Option<u64>,
    pub(crate) failed: Option<EngineError>,
    pub(crate) reads: BTreeMap<u64, Reading>,
    pub(crate) events: Vec<Event>,
    /// Each link's connection, and which end of it is here.
    pub(crate) connections: BTreeMap<LinkId, (usize, usize)>,
    /// What the browser stores.
    pub(crate) stored: BTreeMap<CacheKey, Bytes>,
    /// Says no to whatever is to be stored.
    pub(crate) refuses_to_store: bool,
    /// Loads of what it stores that wait; `None` if none is to wait.
    pub(crate) held_loads: Option<Vec<(Token, CacheKey)>>,
    /// What it has about money.
    pub(crate) records: BTreeMap<Bytes, Bytes>,
    /// Left without a word: nothing comes from it any more.
    pub(crate) is_gone: bool,
    /// Flips a bit in every large piece that it sends to other viewers.
    pub(crate) lies: bool,
    /// Sends other viewers nothing large: it promises, and doesn't deliver.
    pub(crate) withholds: bool,
    /// What it sends to each other viewer in a millisecond, if that is little, in bytes.
    pub(crate) uplink_bytes_per_ms: Option<u64>,
    /// Bytes that its player reads ahead of what it shows; a browser takes some MiB.
    pub(crate) ahead_bytes: u64,
    next_read: u64,
    looked_at: u64,
}

/// Bytes that a paced reader holds ahead of playback.
const AHEAD_BYTES: u64 = 256 * 1024;

impl Viewer {
    pub(crate) fn new(config: EngineConfig) -> Self {
        Self {
            engine: Engine::new(config).unwrap(),
            opened_at: None,
            failed: None,
            reads: BTreeMap::new(),
            events: Vec::new(),
            connections: BTreeMap::new(),
            stored: BTreeMap::new(),
            refuses_to_store: false,
            held_loads: None,
            records: BTreeMap::new(),
            is_gone: false,
            lies: false,
            withholds: false,
            uplink_bytes_per_ms: None,
            ahead_bytes: AHEAD_BYTES,
            next_read: 0,
            looked_at: 0,
        }
    }

    pub(crate) fn tell(&mut self, now: u64, input: Input) {
        self.engine.handle(Instant(now), WALL.after_s(now / 1000), input);
    }

    pub(crate) fn open(&mut self, now: u64, film: &Published) {
        self.open_as(now, FILM, film);
    }

    pub(crate) fn open_as(&mut self, now: u64, id: FilmId, film: &Published) {
        self.tell(now, Input::Open { film: id, link: film.link() });
    }

    /// Read and compare; `pace` in bytes a second.
    pub(crate) fn read(
        &mut self,
        now: u64,
        film: &Rc<Published>,
        range: Range<u64>,
        pace: Option<u64>,
    ) -> u64 {
        self.read_of(now, (FILM, film), range, pace)
    }

    pub(crate) fn read_of(
        &mut self,
        now: u64,
        (id, film): (FilmId, &Rc<Published>),
        range: Range<u64>,
        pace: Option<u64>,
    ) -> u64 {
        self.next_read += 1;
        let number = self.next_read;
        let read = ReadId(number);
        self.tell(now, Input::Read { read, film: id, range: range.clone() });
        let reading = Reading {
            film: Rc::clone(film),
            range,
            got: 0,
            pulled: 0,
            pace,
            started: None,
            stalled_ms: 0,
            is_over: false,
            first_byte_at: None,
        };
        self.reads.insert(number, reading);
        self.pull(now);
        number
    }

    pub(crate) fn stop(&mut self, now: u64, read: u64) {
        self.tell(now, Input::Stop { read: ReadId(read) });
        self.reads.remove(&read);
    }

    /// The browser's storage answers the loads that wait.
    pub(crate) fn answer_loads(&mut self, now: u64) {
        for (token, key) in self.held_loads.as_mut().map(core::mem::take).unwrap_or_default() {
            let bytes = self.stored.get(&key).cloned();
            self.tell(now, Input::CacheLoaded { token, bytes });
        }
    }

    /// Play on: pull what playback has made room for, and count the time without bytes.
    pub(crate) fn pull(&mut self, now: u64) {
        let mut pulls = Vec::new();
        let passed = now - self.looked_at;
        self.looked_at = now;
        for (number, reading) in &mut self.reads {
            let want = match (reading.pace, reading.started) {
                (Some(pace), Some(started)) => {
                    let position = (now - started) * pace / 1000;
                    let have = reading.got;
                    if position > have && !reading.is_over {
                        // Playback waits: the film goes on later.
                        reading.stalled_ms += passed;
                        reading.started = Some(started + (position - have) * 1000 / pace);
                    }
                    position.min(have) + self.ahead_bytes
                }
                (Some(_), None) => self.ahead_bytes,
                (None, _) => reading.got + AHEAD_BYTES,
            };
            if want > reading.pulled {
                pulls.push((*number, want - reading.pulled));
                reading.pulled = want;
            }
        }
        let playing = self.reads.values().find(|it| it.pace.is_some() && !it.is_over);
        if let Some((reading, pace)) = playing.and_then(|it| Some((it, it.pace?))) {
            let played = reading.started.map_or(0, |started| (now - started) * pace / 1000);
            let position_bytes = reading.range.start + played.min(reading.got);
            // It shows nothing before its first bytes are here.
            let bytes_per_s = if reading.started.is_some() { pace } else { 0 };
            let is_waiting = played >= reading.got;
            let film = FILM;
            self.tell(now, Input::Play { film, position_bytes, bytes_per_s, is_waiting });
        }
        for (number, bytes) in pulls {
            self.tell(now, Input::Pull { read: ReadId(number), bytes });
        }
    }

    /// Take what concerns the page; give back what concerns the network.
    pub(crate) fn on(&mut self, now: u64, output: Output) -> Option<Output> {
        match output {
            Output::Opened { .. } => self.opened_at = Some(now),
            Output::Failed { error, .. } => self.failed = Some(error),
            Output::Data { read, bytes } => {
                let reading = self.reads.get_mut(&read.0).expect("a read that goes on");
                let at = usize::try_from(reading.range.start + reading.got).unwrap();
                assert_eq!(bytes, reading.film.plaintext[at..at + bytes.len()]);
                reading.got += u64::try_from(bytes.len()).unwrap();
                assert!(reading.got <= reading.pulled, "more than was pulled");
                reading.first_byte_at.get_or_insert(now);
                reading.started.get_or_insert(now);
            }
            Output::End { read } => {
                let reading = self.reads.get_mut(&read.0).expect("a read that goes on");
                let length = u64::try_from(reading.film.plaintext.len()).unwrap();
                assert_eq!(reading.got, reading.range.end.min(length) - reading.range.start);
                reading.is_over = true;
            }
            Output::ReadFailed { error, .. } => self.failed = Some(error),
            Output::Event(event) => {
                if std::env::var("POP_TEST_TRACE").is_ok() {
                    println!("{now} ms: {event:?}");
                }
                self.events.push(event);
            }
            Output::CacheStore { token, key, bytes } => {
                let is_stored = !self.refuses_to_store;
                if is_stored {
                    self.stored.insert(key, bytes);
                }
                self.tell(now, Input::CacheStored { token, is_stored });
            }
            Output::CacheLoad { token, key } => {
                if let Some(held) = &mut self.held_loads {
                    held.push((token, key));
                    return None;
                }
                let bytes = self.stored.get(&key).cloned();
                self.tell(now, Input::CacheLoaded { token, bytes });
            }
            Output::Persist { token, key, value } => {
                self.records.insert(key, value);
                self.tell(now, Input::Persisted { token, is_safe: true });
            }
            Output::CacheDelete { key } => {
                self.stored.remove(&key).expect("an entry that was stored");
            }
            other => return Some(other),
        }
        None
    }
}
