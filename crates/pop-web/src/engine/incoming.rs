//! What links bring, to whom it belongs.

use bytes::Bytes;
use pop_signal::RelayMessage;
use pop_wire::{Message, PeerId};

use super::wire::{Incoming, Purpose};
use super::{
    Engine, EngineError, Event, FilmId, Fingerprints, LinkId, RtcEvent, RtcId, SourceKind, Token,
};

impl Engine {
    pub(super) fn link_up(&mut self, link: LinkId, fingerprints: Option<Fingerprints>) {
        self.hub.wires.up(link, fingerprints, self.hub.now);
        match self.hub.wires.purpose(link) {
            Some(Purpose::Fetch(film)) => {
                if let Some(film) = self.films.get(&film) {
                    film.link_up(&mut self.hub, link);
                }
            }
            Some(_) => self.hub.shake(link),
            None => {}
        }
        self.drain(link);
    }

    pub(super) fn link_bytes(&mut self, link: LinkId, bytes: &[u8]) {
        self.hub.wires.feed(link, bytes);
        self.drain(link);
    }

    pub(super) fn link_flushed(&mut self, link: LinkId, bytes: u64) {
        let messages = self.hub.wires.flushed(link, bytes);
        self.serving.flushed(&self.hub, link, messages);
    }

    pub(super) fn cache_loaded(&mut self, token: Token, bytes: Option<&Bytes>) {
        let Some(key) = self.hub.cache.loaded(token) else { return };
        if let Some(content) = self.serving.content(&key.content) {
            self.hub.cache.take_in(key, content, bytes, &mut self.hub.outbox);
        }
        self.serving.loaded(&mut self.hub, key);
        for film in self.films.values_mut().filter(|film| film.content() == key.content) {
            film.cached(&mut self.hub, key.segment);
        }
    }

    pub(super) fn cache_stored(&mut self, token: Token, is_stored: bool) {
        if self.hub.cache.stored(token, is_stored) {
            self.hub.event(Event::Problem { error: EngineError::StorageBlocked });
        }
    }

    /// Hand on everything that is there.
    fn drain(&mut self, link: LinkId) {
        let now = self.hub.now;
        while let Some(incoming) = self.hub.wires.next(link, now, &mut self.hub.outbox) {
            match incoming {
                Incoming::Proven(peer) => self.proven(link, peer),
                Incoming::Frame(frame) => {
                    if let Err(rule) = self.frame(link, frame) {
                        self.broken(link, rule);
                    }
                }
                Incoming::Broken(rule) => self.broken(link, rule),
            }
        }
    }

    fn frame(&mut self, link: LinkId, frame: Bytes) -> Result<(), String> {
        match self.hub.wires.purpose(link) {
            Some(Purpose::Signal) => {
                let message = RelayMessage::decode(frame).map_err(|error| error.to_string())?;
                self.swarm.message(&self.hub, message);
            }
            Some(Purpose::Ledger) => {
                if !self.money.answered(&mut self.hub, &frame) {
                    return Err("it is no answer of a ledger".to_owned());
                }
            }
            _ => {
                let message = Message::decode(frame).map_err(|error| error.to_string())?;
                self.message(link, message);
            }
        }
        Ok(())
    }

    fn proven(&mut self, link: LinkId, peer: PeerId) {
        match self.hub.wires.purpose(link) {
            Some(Purpose::Ask) => self.directory.proven(&mut self.hub, link, peer),
            Some(Purpose::Fetch(film)) => {
                if let Some(film) = self.films.get_mut(&film) {
                    film.proven(&mut self.hub, link, peer);
                }
            }
            Some(Purpose::FetchFromViewer(film, rtc)) => {
                self.swarm.linked(&mut self.hub, rtc, link, peer);
                if let Some(film) = self.films.get_mut(&film) {
                    film.viewer_up(&mut self.hub, link, peer);
                }
            }
            Some(Purpose::Serve(rtc)) => {
                self.swarm.linked(&mut self.hub, rtc, link, peer);
                self.serving.link_up(&mut self.hub, link, peer);
            }
            Some(Purpose::Signal) => self.swarm.relay_up(&mut self.hub, link, peer),
            Some(Purpose::Ledger) => self.money.counter_up(link),
            None => {}
        }
    }

    fn message(&mut self, link: LinkId, message: Message) {
        match self.hub.wires.purpose(link) {
            Some(Purpose::Ask) => self.directory.message(&self.hub, link, message),
            Some(Purpose::Fetch(film) | Purpose::FetchFromViewer(film, _)) => {
                if let Some(film) = self.films.get_mut(&film) {
                    film.message(&self.hub, link, message);
                }
            }
            Some(Purpose::Serve(_)) => self.serving.message(&self.hub, link, message),
            Some(Purpose::Signal | Purpose::Ledger) | None => {}
        }
    }

    /// The other end sent what it may not. Who has proved nothing can't be named.
    fn broken(&mut self, link: LinkId, rule: String) {
        if let Some(peer) = self.hub.wires.peer(link) {
            let kind = match self.hub.wires.purpose(link) {
                Some(Purpose::Serve(_) | Purpose::FetchFromViewer(..)) => SourceKind::Viewer,
                _ => SourceKind::Masternode,
            };
            self.hub.accuse(peer, kind, rule);
        }
        self.end(link);
    }

    /// The shell says that a link is gone.
    pub(super) fn link_down(&mut self, link: LinkId) {
        if let Some((purpose, _)) = self.hub.wires.remove(link) {
            self.link_gone(link, purpose);
        }
    }

    /// Close a link from this side.
    pub(super) fn end(&mut self, link: LinkId) {
        let Some(purpose) = self.hub.wires.purpose(link) else { return };
        self.hub.close(link);
        self.link_gone(link, purpose);
    }

    fn source_gone(&mut self, film: FilmId, link: LinkId) {
        if let Some(film) = self.films.get_mut(&film) {
            film.link_down(&mut self.hub, link);
        }
    }

    /// A connection to another viewer has two channels, and no use for one.
    pub(super) fn viewer_gone(&mut self, rtc: RtcId) {
        for link in self.swarm.unlinked(&mut self.hub, rtc) {
            self.link_down(link);
        }
    }

    /// The shell says something about a peer connection.
    pub(super) fn rtc(&mut self, rtc: RtcId, event: RtcEvent) {
        for link in self.swarm.rtc(&mut self.hub, rtc, event) {
            self.link_down(link);
        }
    }

    /// Whoever owned a link learns that it is gone.
    fn link_gone(&mut self, link: LinkId, purpose: Purpose) {
        match purpose {
            Purpose::Ask => self.directory.link_down(&mut self.hub, link),
            Purpose::Fetch(film) => self.source_gone(film, link),
            Purpose::FetchFromViewer(film, rtc) => {
                self.source_gone(film, link);
                self.viewer_gone(rtc);
            }
            Purpose::Serve(rtc) => {
                self.serving.link_down(&mut self.hub, link);
                self.viewer_gone(rtc);
            }
            Purpose::Signal => self.swarm.relay_down(&mut self.hub, link),
            Purpose::Ledger => self.money.counter_down(&self.hub, link),
        }
    }
}
