//! The engine in a dedicated worker: its clock, its timer, its links, and what it says to the page.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use js_sys::{ArrayBuffer, Function, Uint8Array};
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, Instant, UnixTime};
use wasm_bindgen::prelude::*;

use super::links::{Link, Signal};
use super::object::{integer, number};
use super::{config, outputs, stats};
use crate::engine::{
    Candidate, Engine, FilmId, Fingerprints, Input, LinkId, Output, ReadId, RtcEvent, RtcId, Token,
};

/// How often a link whose transport tells nothing is looked at, in milliseconds.
const LOOK_MS: u64 = 50;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;
}

/// The engine with its links. The page makes one for each worker, and calls nothing of it from
/// within the function that it gave.
#[wasm_bindgen]
pub struct Shell {
    cell: Rc<Cell>,
}

/// What callbacks hold weakly.
pub(super) struct Cell {
    inner: RefCell<Inner>,
}

struct Inner {
    engine: Engine,
    links: SortedMap<LinkId, Link>,
    /// Certificates of connections to masternodes, until their links are up.
    fingerprints: SortedMap<LinkId, Fingerprints>,
    /// Called with one object for each output that concerns the page.
    tell: Function,
    on_timer: Closure<dyn FnMut()>,
    /// When the earliest timer fires.
    armed_at: Option<Instant>,
    me: Weak<Cell>,
}

#[wasm_bindgen]
impl Shell {
    /// Start. `options` are the engine's settings; `tell` is called with what the page is to do.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, tell: Function) -> Result<Shell, JsError> {
        let engine = Engine::new(config::read(options)?)
            .map_err(|error| JsError::new(&error.to_string()))?;
        let cell = Rc::new_cyclic(|me: &Weak<Cell>| {
            let at_timer = me.clone();
            let on_timer = Closure::<dyn FnMut()>::new(move || {
                if let Some(cell) = at_timer.upgrade() {
                    let mut inner = cell.inner.borrow_mut();
                    inner.armed_at = None;
                    inner.look_at_links();
                    inner.take(Input::Tick);
                }
            });
            Cell {
                inner: RefCell::new(Inner {
                    engine,
                    links: SortedMap::new(),
                    fingerprints: SortedMap::new(),
                    tell,
                    on_timer,
                    armed_at: None,
                    me: me.clone(),
                }),
            }
        });
        cell.take(Input::Tick);
        Ok(Self { cell })
    }

    /// The viewer's wallet address.
    #[wasm_bindgen(getter)]
    pub fn wallet(&self) -> String {
        self.cell.inner.borrow().engine.peer_id().wallet_address().to_string()
    }

    /// Open a content.
    pub fn open(&self, film: f64, link: String) {
        self.cell.take(Input::Open { film: FilmId(integer(film)), link });
    }

    /// Let go of a content.
    pub fn close(&self, film: f64) {
        self.cell.take(Input::Close { film: FilmId(integer(film)) });
    }

    /// Read bytes from `start` to before `end`.
    pub fn read(&self, read: f64, film: f64, start: f64, end: f64) {
        let (read, film) = (ReadId(integer(read)), FilmId(integer(film)));
        self.cell.take(Input::Read { read, film, range: integer(start)..integer(end) });
    }

    /// Allow so many bytes more of a read.
    pub fn pull(&self, read: f64, bytes: f64) {
        self.cell.take(Input::Pull { read: ReadId(integer(read)), bytes: integer(bytes) });
    }

    /// End a read.
    pub fn stop(&self, read: f64) {
        self.cell.take(Input::Stop { read: ReadId(integer(read)) });
    }

    /// Where playback is, and how fast.
    pub fn play(&self, film: f64, position_bytes: f64, bytes_per_second: f64, is_waiting: bool) {
        self.cell.take(Input::Play {
            film: FilmId(integer(film)),
            position_bytes: integer(position_bytes),
            bytes_per_s: integer(bytes_per_second),
            is_waiting,
        });
    }

    /// A data channel, still closed, for a link.
    pub fn channel(&self, link: f64, channel: JsValue) {
        let mut inner = self.cell.inner.borrow_mut();
        let id = LinkId(integer(link));
        let link = Link::channel(id, channel, &inner.me);
        inner.links.insert(id, link);
    }

    /// The certificates at both ends of the connection to a masternode: SHA-256 each.
    pub fn bind(&self, link: f64, offerer: &[u8], answerer: &[u8]) {
        if let (Ok(offerer), Ok(answerer)) = (offerer.try_into(), answerer.try_into()) {
            let mut inner = self.cell.inner.borrow_mut();
            inner.fingerprints.insert(LinkId(integer(link)), Fingerprints { offerer, answerer });
        }
    }

    /// The other end of a channel takes messages of so many bytes.
    #[wasm_bindgen(js_name = messageBytesMax)]
    pub fn message_bytes_max(&self, link: f64, bytes: f64) {
        let mut inner = self.cell.inner.borrow_mut();
        if let Some(link) = inner.links.get_mut(&LinkId(integer(link))) {
            link.set_message_bytes_max(integer(bytes));
        }
    }

    /// A link that the window was to make failed.
    #[wasm_bindgen(js_name = linkDown)]
    pub fn link_down(&self, link: f64) {
        let link = LinkId(integer(link));
        let mut inner = self.cell.inner.borrow_mut();
        inner.forget(link);
        inner.take(Input::LinkDown { link });
    }

    /// A connection to a viewer has a local description.
    #[wasm_bindgen(js_name = rtcDescription)]
    pub fn rtc_description(&self, rtc: f64, sdp: String) {
        self.rtc(rtc, RtcEvent::LocalDescription { sdp });
    }

    /// A connection to a viewer has a candidate.
    #[wasm_bindgen(js_name = rtcCandidate)]
    pub fn rtc_candidate(
        &self,
        rtc: f64,
        candidate: String,
        sdp_mid: Option<String>,
        sdp_m_line_index: Option<u16>,
    ) {
        let candidate = Candidate { candidate, sdp_mid, sdp_m_line_index };
        self.rtc(rtc, RtcEvent::LocalCandidate(candidate));
    }

    /// A connection to a viewer has no further candidates.
    #[wasm_bindgen(js_name = rtcCandidatesDone)]
    pub fn rtc_candidates_done(&self, rtc: f64) {
        self.rtc(rtc, RtcEvent::CandidatesDone);
    }

    /// A connection to a viewer failed.
    #[wasm_bindgen(js_name = rtcDown)]
    pub fn rtc_down(&self, rtc: f64) {
        self.rtc(rtc, RtcEvent::Down);
    }

    /// A segment out of the cache; `undefined` if it is gone.
    #[wasm_bindgen(js_name = cacheLoaded)]
    pub fn cache_loaded(&self, token: f64, bytes: Option<Vec<u8>>) {
        let token = Token(integer(token));
        self.cell.take(Input::CacheLoaded { token, bytes: bytes.map(Bytes::from) });
    }

    /// A segment is in the cache, or is not.
    #[wasm_bindgen(js_name = cacheStored)]
    pub fn cache_stored(&self, token: f64, is_stored: bool) {
        self.cell.take(Input::CacheStored { token: Token(integer(token)), is_stored });
    }

    /// A record about money is safe, or is not.
    pub fn persisted(&self, token: f64, is_safe: bool) {
        self.cell.take(Input::Persisted { token: Token(integer(token)), is_safe });
    }

    /// Consent to re-streaming: `{ on, bytesPerSecondMax, bytesMax }`.
    pub fn upload(&self, limits: &JsValue) {
        self.cell.take(Input::Upload(config::upload(limits)));
    }

    /// Whether the browser is online.
    pub fn online(&self, is_online: bool) {
        self.cell.take(Input::Online(is_online));
    }

    /// Put so many POP, as a decimal number, into the vault.
    pub fn deposit(&self, amount: &str) -> Result<(), JsError> {
        let amount: Amount = amount.parse().map_err(|_| JsError::new("not an amount"))?;
        self.cell.take(Input::Deposit { amount });
        Ok(())
    }

    /// Cash in what was earned.
    pub fn redeem(&self) {
        self.cell.take(Input::Redeem);
    }

    /// Ask the ledger what the wallet has.
    #[wasm_bindgen(js_name = lookAtWallet)]
    pub fn look_at_wallet(&self) {
        self.cell.take(Input::LookAtWallet);
    }

    /// A look at a film; `undefined` if it is not open.
    #[wasm_bindgen(js_name = filmStats)]
    pub fn film_stats(&self, film: f64) -> JsValue {
        let inner = self.cell.inner.borrow();
        let stats = inner.engine.film_stats(FilmId(integer(film)));
        stats.map_or(JsValue::UNDEFINED, |stats| stats::film(&stats))
    }

    /// A look at the engine.
    #[wasm_bindgen(js_name = engineStats)]
    pub fn engine_stats(&self) -> JsValue {
        stats::engine(&self.cell.inner.borrow().engine.stats())
    }

    fn rtc(&self, rtc: f64, event: RtcEvent) {
        self.cell.take(Input::Rtc { rtc: RtcId(integer(rtc)), event });
    }
}

impl Cell {
    fn take(&self, input: Input) {
        self.inner.borrow_mut().take(input);
    }

    /// A socket tells something.
    pub(super) fn signal(cell: &Rc<Self>, link: LinkId, signal: Signal, event: &JsValue) {
        let mut inner = cell.inner.borrow_mut();
        match signal {
            Signal::Open => {
                let fingerprints = inner.fingerprints.remove(&link);
                inner.take(Input::LinkUp { link, fingerprints });
            }
            Signal::Message => match message(event) {
                Some(bytes) => inner.take(Input::LinkBytes { link, bytes }),
                // A text message ends a link.
                None => {
                    inner.forget(link);
                    inner.take(Input::LinkDown { link });
                }
            },
            Signal::Closed => {
                inner.forget(link);
                inner.say(outputs::close_link(link));
                inner.take(Input::LinkDown { link });
            }
            Signal::Low => {
                inner.look_at(link);
                inner.carry_out();
            }
        }
    }
}

fn message(event: &JsValue) -> Option<Bytes> {
    let data = super::object::field(event, "data");
    let buffer = data.dyn_ref::<ArrayBuffer>()?;
    Some(Bytes::from(Uint8Array::new(buffer).to_vec()))
}

impl Inner {
    fn take(&mut self, input: Input) {
        self.give(input);
        self.carry_out();
    }

    fn give(&mut self, input: Input) {
        let now = Instant(integer(now()));
        let wall = UnixTime(integer(js_sys::Date::now() / 1_000.0));
        self.engine.handle(now, wall, input);
    }

    /// Do what the engine asks, then arm its timer.
    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Dial { link, address, protocol } => match address.url(protocol) {
                    Some(url) => match Link::dial(link, &url, &self.me) {
                        Some(open) => drop(self.links.insert(link, open)),
                        None => self.give(Input::LinkDown { link }),
                    },
                    None => self.say(outputs::dial(link, &address, protocol)),
                },
                Output::Send { link, bytes } => {
                    if let Some(there) = self.links.get_mut(&link) {
                        there.send(bytes);
                        self.look_at(link);
                    }
                }
                Output::CloseLink { link } => {
                    self.forget(link);
                    self.say(outputs::close_link(link));
                }
                other => self.say(outputs::message(other)),
            }
        }
        self.arm();
    }

    fn say(&self, message: JsValue) {
        // What the page does with it is its own affair.
        let _ = self.tell.call1(&JsValue::NULL, &message);
    }

    fn forget(&mut self, link: LinkId) {
        self.fingerprints.remove(&link);
        self.links.remove(&link);
    }

    fn look_at(&mut self, link: LinkId) {
        let Some(there) = self.links.get_mut(&link) else { return };
        there.fill();
        let bytes = there.newly_flushed();
        if bytes > 0 {
            self.give(Input::LinkFlushed { link, bytes });
        }
    }

    fn look_at_links(&mut self) {
        let busy = self.links.iter().filter(|(_, link)| link.is_busy()).map(|(id, _)| *id);
        for link in busy.collect::<Vec<_>>() {
            self.look_at(link);
        }
    }

    /// One timer for the engine, and for links that are to be looked at again.
    fn arm(&mut self) {
        let now = Instant(integer(now()));
        let of_links = self.links.values().any(Link::is_busy).then(|| now.after_ms(LOOK_MS));
        let due = [self.engine.next_timeout(), of_links].into_iter().flatten().min();
        let Some(due) = due else { return };
        if self.armed_at.is_none_or(|armed| due < armed) {
            self.armed_at = Some(due);
            let callback: &Function = self.on_timer.as_ref().unchecked_ref();
            set_timeout(callback, number(due.since_ms(now)));
        }
    }
}
