//! Films as the page has them: opened, closed, and served on after that.

use pop_signal::limits::CONTENTS_MAX;
use pop_wire::ContentId;

use super::film::Film;
use super::limits::{FILMS_MAX, KEPT_FILMS_MAX};
use super::{Engine, EngineError, FilmId, Output};

impl Engine {
    pub(super) fn open(&mut self, id: FilmId, link: &str) {
        let full = self.open_films() >= FILMS_MAX || self.films.contains_key(&id);
        let film = match full {
            true => Err(EngineError::TooMany { what: "open contents", max: FILMS_MAX }),
            false => Film::open(id, link, self.hub.now),
        };
        match film {
            Ok(film) => {
                self.make_room_for(film.content());
                self.films.insert(id, film);
                self.directory.links().into_iter().for_each(|link| self.introduce(link));
            }
            Err(error) => self.hub.outbox.push(Output::Failed { film: id, error }),
        }
    }

    pub(super) fn close(&mut self, id: FilmId, error: &EngineError) {
        let Some(film) = self.films.get_mut(&id).filter(|film| !film.is_kept()) else { return };
        film.end_reads(&mut self.hub, error);
        let content = film.content();
        let is_worth_it = self.hub.config.upload.is_on
            && film.opened().is_some()
            && !self.hub.cache.segments(&content).is_empty();
        if !is_worth_it {
            return self.let_go(id);
        }
        film.keep(&mut self.hub);
        self.swarm.stay(&self.hub, content, film.key().expose_secret());
        self.keep_at_most(KEPT_FILMS_MAX);
    }

    /// A film is gone, and with it those who gave it and took it.
    fn let_go(&mut self, id: FilmId) {
        let Some(mut film) = self.films.remove(&id) else { return };
        film.close(&mut self.hub);
        if film.opened().is_some() {
            self.serving.close(&mut self.hub, film.content());
            for link in self.swarm.leave(&mut self.hub, id, film.content()) {
                self.link_down(link);
            }
        }
    }

    pub(super) fn open_films(&self) -> usize {
        self.films.values().filter(|film| !film.is_kept()).count()
    }

    /// Films that were closed and are served on, the first ones opened first.
    fn kept_films(&self) -> Vec<FilmId> {
        let kept = self.films.iter().filter(|(_, film)| film.is_kept());
        kept.map(|(id, _)| *id).collect()
    }

    /// Serve a content no more, if it is closed.
    pub(super) fn let_go_of(&mut self, content: ContentId) {
        let twin = self.films.iter().find(|(_, film)| film.is_kept() && film.content() == content);
        if let Some(twin) = twin.map(|(id, _)| *id) {
            self.let_go(twin);
        }
    }

    /// Serve no more than so many of the films that were closed.
    pub(super) fn keep_at_most(&mut self, max: usize) {
        let kept = self.kept_films();
        let excess = kept.len().saturating_sub(max);
        kept.into_iter().take(excess).for_each(|id| self.let_go(id));
    }

    /// A film is opened: it takes the place of one that is served on, at the relay, too.
    fn make_room_for(&mut self, content: ContentId) {
        self.let_go_of(content);
        self.keep_at_most(CONTENTS_MAX.saturating_sub(self.open_films() + 1));
    }
}
