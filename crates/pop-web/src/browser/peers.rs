//! Peer connections, in the window: nowhere else may they be made. Their channels are given away
//! in the very task that creates them, which is the only one in which a browser lets them go.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use js_sys::Function;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    RtcConfiguration, RtcDataChannelInit, RtcIceCandidateInit, RtcPeerConnection,
    RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};

use pop_wire::sorted::{SortedMap, SortedSet};

use super::object::{Writer, bytes_field, field, list_field, number_field};
use crate::sdp::{self, Endpoint};

/// All peer connections of a page.
#[wasm_bindgen]
pub struct Peers {
    table: Rc<RefCell<Table>>,
}

struct Table {
    ice_servers: JsValue,
    /// Called with one object for each thing that the worker is to know.
    tell: Function,
    /// Called with each connection to another viewer before it is described, and whether it offers:
    /// whoever sends or takes media adds it there.
    prepare: Function,
    /// To other viewers, by the engine's number.
    viewers: SortedMap<u64, ToViewer>,
    /// To masternodes, by our own number.
    masternodes: SortedMap<u64, ToMasternode>,
    next_masternode: u64,
}

struct ToViewer {
    connection: Connection,
    /// Links that are its channels.
    links: Vec<u64>,
}

struct ToMasternode {
    connection: Connection,
    /// Host, port and certificate.
    address: (String, u16, [u8; 32]),
    /// The browser's own certificate, once it is known.
    own: Option<[u8; 32]>,
    /// Links that are or may yet be channels of this connection.
    links: SortedSet<u64>,
    /// Channels that were ever used: none is used twice.
    channels: SortedSet<u16>,
}

/// A connection with the functions that it calls.
struct Connection {
    rtc: RtcPeerConnection,
    _on_candidate: Closure<dyn FnMut(RtcPeerConnectionIceEvent)>,
    _on_state: Closure<dyn FnMut()>,
}

/// Which connection.
#[derive(Debug, Clone, Copy)]
enum Id {
    Viewer(u64),
    Masternode(u64),
}

#[wasm_bindgen]
impl Peers {
    /// No connections yet. `ice_servers` is a list as `RTCPeerConnection` takes it; `tell` is
    /// called with what the worker is to know, `prepare` with each connection to another viewer
    /// before it is described and whether it offers.
    #[wasm_bindgen(constructor)]
    pub fn new(ice_servers: JsValue, tell: Function, prepare: Function) -> Self {
        let table = Table {
            ice_servers,
            tell,
            prepare,
            viewers: SortedMap::new(),
            masternodes: SortedMap::new(),
            next_masternode: 0,
        };
        Self { table: Rc::new(RefCell::new(table)) }
    }

    /// Carry out what the worker asks: `dial`, `closeLink` or `rtc`.
    pub fn handle(&self, message: &JsValue) {
        let done = match field(message, "type").as_string().as_deref() {
            Some("dial") => self.dial(message),
            Some("closeLink") => {
                let link = number_field(message, "link");
                link.map(|link| self.table.borrow_mut().close_link(link));
                Ok(())
            }
            Some("rtc") => self.rtc(message),
            _ => Ok(()),
        };
        if done.is_err() {
            let mut table = self.table.borrow_mut();
            if let Some(rtc) = number_field(message, "rtc") {
                table.viewer_down(rtc);
            } else if let Some(link) = number_field(message, "link") {
                table.close_link(link);
                table.link_down(link);
            }
        }
    }

    /// Close everything.
    pub fn close(&self) {
        let mut table = self.table.borrow_mut();
        table.viewers.clear();
        table.masternodes.clear();
    }

    /// A channel to a masternode, over a connection that there is or a new one.
    fn dial(&self, message: &JsValue) -> Result<(), JsValue> {
        let link = number_field(message, "link").ok_or(JsValue::NULL)?;
        let small = |name| number_field(message, name).and_then(|it| u16::try_from(it).ok());
        let port = small("port").ok_or(JsValue::NULL)?;
        let channel = small("channel").ok_or(JsValue::NULL)?;
        let host = field(message, "host").as_string().ok_or(JsValue::NULL)?;
        let certificate = bytes_field(message, "certificate").ok_or(JsValue::NULL)?;
        let certificate: [u8; 32] = certificate.try_into().map_err(|_| JsValue::NULL)?;
        let address = (host, port, certificate);
        let mut table = self.table.borrow_mut();
        let fits = |it: &ToMasternode| it.address == address && !it.channels.contains(&channel);
        let known = table.masternodes.iter().find(|(_, it)| fits(it)).map(|(id, _)| *id);
        let id = match known {
            Some(id) => id,
            None => {
                let id = table.next_masternode;
                table.next_masternode += 1;
                let connection = table.connection(&self.table, Id::Masternode(id))?;
                let to = ToMasternode {
                    connection,
                    address: address.clone(),
                    own: None,
                    links: SortedSet::new(),
                    channels: SortedSet::new(),
                };
                table.masternodes.insert(id, to);
                id
            }
        };
        let tell = table.tell.clone();
        let Some(to) = table.masternodes.get_mut(&id) else { return Err(JsValue::NULL) };
        to.links.insert(link);
        to.channels.insert(channel);
        give_channel(&to.connection.rtc, channel, link, &tell);
        match to.own {
            Some(own) => say(&tell, bind(link, &own, &certificate)),
            None if known.is_none() => {
                let rtc = to.connection.rtc.clone();
                let weak = Rc::downgrade(&self.table);
                spawn_local(connect_to_masternode(weak, id, rtc));
            }
            // The connection is on its way: all its links are bound then.
            None => {}
        }
        Ok(())
    }

    fn rtc(&self, message: &JsValue) -> Result<(), JsValue> {
        let id = number_field(message, "rtc").ok_or(JsValue::NULL)?;
        let sdp = field(message, "sdp").as_string();
        let mut table = self.table.borrow_mut();
        match field(message, "command").as_string().as_deref() {
            Some("offer" | "answer") => {
                let connection = table.connection(&self.table, Id::Viewer(id))?;
                let rtc = connection.rtc.clone();
                let links = list_field(message, "links").into_iter();
                let links: Vec<u64> =
                    links.filter_map(|it| it.as_f64()).map(super::object::integer).collect();
                for (channel, link) in (0..).zip(&links) {
                    give_channel(&rtc, channel, *link, &table.tell);
                }
                table.viewers.insert(id, ToViewer { connection, links });
                let prepare = table.prepare.clone();
                spawn_local(describe(Rc::downgrade(&self.table), id, rtc, sdp, prepare));
            }
            Some("setAnswer") => {
                let rtc = table.viewers.get(&id).ok_or(JsValue::NULL)?.connection.rtc.clone();
                let answer = description(RtcSdpType::Answer, &sdp.ok_or(JsValue::NULL)?);
                let weak = Rc::downgrade(&self.table);
                spawn_local(async move {
                    let set = JsFuture::from(rtc.set_remote_description(&answer)).await;
                    if set.is_err() {
                        with(&weak, |table| table.viewer_down(id));
                    }
                });
            }
            Some("addCandidate") => {
                let rtc = &table.viewers.get(&id).ok_or(JsValue::NULL)?.connection.rtc;
                let candidate = field(message, "candidate").as_string().unwrap_or_default();
                let init = RtcIceCandidateInit::new(&candidate);
                init.set_sdp_mid(field(message, "sdpMid").as_string().as_deref());
                let line = number_field(message, "sdpMLineIndex");
                init.set_sdp_m_line_index(line.and_then(|it| u16::try_from(it).ok()));
                let added = rtc.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
                // One that the browser doesn't understand is one way less.
                spawn_local(async move { drop(JsFuture::from(added).await) });
            }
            Some("close") => drop(table.viewers.remove(&id)),
            _ => {}
        }
        Ok(())
    }
}

impl Table {
    fn connection(&self, table: &Rc<RefCell<Table>>, id: Id) -> Result<Connection, JsValue> {
        let configuration = RtcConfiguration::new();
        configuration.set_ice_servers(&self.ice_servers);
        let rtc = RtcPeerConnection::new_with_configuration(&configuration)?;
        let weak = Rc::downgrade(table);
        let on_candidate = Closure::<dyn FnMut(RtcPeerConnectionIceEvent)>::new(
            move |event: RtcPeerConnectionIceEvent| {
                if let Id::Viewer(id) = id {
                    with(&weak, |table| say(&table.tell, candidate(id, &event)));
                }
            },
        );
        let (weak, state_of) = (Rc::downgrade(table), rtc.clone());
        let on_state = Closure::<dyn FnMut()>::new(move || {
            let state = state_of.connection_state();
            with(&weak, |table| table.state_changed(id, state));
        });
        rtc.set_onicecandidate(Some(on_candidate.as_ref().unchecked_ref()));
        rtc.set_onconnectionstatechange(Some(on_state.as_ref().unchecked_ref()));
        Ok(Connection { rtc, _on_candidate: on_candidate, _on_state: on_state })
    }

    fn state_changed(&mut self, id: Id, state: RtcPeerConnectionState) {
        match state {
            RtcPeerConnectionState::Failed | RtcPeerConnectionState::Closed => match id {
                Id::Viewer(id) => self.viewer_down(id),
                Id::Masternode(id) => self.masternode_down(id),
            },
            RtcPeerConnectionState::Connected => self.connected(id),
            _ => {}
        }
    }

    /// How long messages may be is known now.
    fn connected(&self, id: Id) {
        let (rtc, links): (_, Vec<u64>) = match id {
            Id::Viewer(id) => match self.viewers.get(&id) {
                Some(to) => (&to.connection.rtc, to.links.clone()),
                None => return,
            },
            Id::Masternode(id) => match self.masternodes.get(&id) {
                Some(to) => (&to.connection.rtc, to.links.iter().copied().collect()),
                None => return,
            },
        };
        let sctp = field(rtc, "sctp");
        let Some(bytes) = number_field(&sctp, "maxMessageSize") else { return };
        for link in links {
            let message = Writer::of_type("messageBytesMax").number("link", link);
            say(&self.tell, message.number("bytes", bytes));
        }
    }

    fn viewer_down(&mut self, id: u64) {
        if self.viewers.remove(&id).is_some() {
            say(&self.tell, Writer::of_type("rtcDown").number("rtc", id));
        }
    }

    fn masternode_down(&mut self, id: u64) {
        let Some(gone) = self.masternodes.remove(&id) else { return };
        for link in gone.links {
            self.link_down(link);
        }
    }

    fn link_down(&self, link: u64) {
        say(&self.tell, Writer::of_type("linkDown").number("link", link));
    }

    /// A link is of no use any more; its connection neither, if it was the last.
    fn close_link(&mut self, link: u64) {
        self.masternodes.retain(|_, to| !(to.links.remove(&link) && to.links.is_empty()));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.rtc.set_onicecandidate(None);
        self.rtc.set_onconnectionstatechange(None);
        self.rtc.close();
    }
}

fn with(table: &Weak<RefCell<Table>>, act: impl FnOnce(&mut Table)) {
    if let Some(table) = table.upgrade() {
        act(&mut table.borrow_mut());
    }
}

fn say(tell: &Function, message: Writer) {
    // What the page does with it is its own affair.
    let _ = tell.call1(&JsValue::NULL, &message.into());
}

/// Create a negotiated channel, and give it to the worker in the same task.
fn give_channel(rtc: &RtcPeerConnection, channel: u16, link: u64, tell: &Function) {
    let init = RtcDataChannelInit::new();
    init.set_negotiated(true);
    init.set_id(channel);
    let channel = rtc.create_data_channel_with_data_channel_dict("pop", &init);
    say(tell, Writer::of_type("channel").number("link", link).with("channel", channel));
}

fn bind(link: u64, offerer: &[u8; 32], answerer: &[u8; 32]) -> Writer {
    let writer = Writer::of_type("bind").number("link", link);
    writer.bytes("offerer", offerer).bytes("answerer", answerer)
}

fn candidate(id: u64, event: &RtcPeerConnectionIceEvent) -> Writer {
    match event.candidate() {
        // Some browsers end with an empty candidate before the one that is none.
        Some(it) if !it.candidate().is_empty() => Writer::of_type("rtcCandidate")
            .number("rtc", id)
            .with("candidate", it.candidate())
            .with("sdpMid", it.sdp_mid())
            .with("sdpMLineIndex", it.sdp_m_line_index()),
        _ => Writer::of_type("rtcCandidatesDone").number("rtc", id),
    }
}

fn description(kind: RtcSdpType, sdp: &str) -> RtcSessionDescriptionInit {
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(sdp);
    description
}

/// The browser's own description of a connection, once it has made and set it.
async fn local_description(rtc: &RtcPeerConnection, kind: RtcSdpType) -> Result<String, JsValue> {
    let made = match kind {
        RtcSdpType::Answer => rtc.create_answer(),
        _ => rtc.create_offer(),
    };
    let made: RtcSessionDescriptionInit = JsFuture::from(made).await?.unchecked_into();
    JsFuture::from(rtc.set_local_description(&made)).await?;
    let local = rtc.local_description().ok_or(JsValue::NULL)?;
    Ok(local.sdp())
}

/// Offer, or answer to `offer`, and tell the description.
async fn describe(
    table: Weak<RefCell<Table>>,
    id: u64,
    rtc: RtcPeerConnection,
    offer: Option<String>,
    prepare: Function,
) {
    let described = async {
        let Some(offer) = offer else {
            prepare.call2(&JsValue::NULL, &rtc, &JsValue::TRUE)?;
            return local_description(&rtc, RtcSdpType::Offer).await;
        };
        let offer = description(RtcSdpType::Offer, &offer);
        JsFuture::from(rtc.set_remote_description(&offer)).await?;
        prepare.call2(&JsValue::NULL, &rtc, &JsValue::FALSE)?;
        local_description(&rtc, RtcSdpType::Answer).await
    };
    let described = described.await;
    with(&table, |table| match described {
        Ok(sdp) => {
            let message = Writer::of_type("rtcDescription").number("rtc", id).with("sdp", sdp);
            say(&table.tell, message);
        }
        Err(_) => table.viewer_down(id),
    });
}

/// Offer, and answer in the masternode's place.
async fn connect_to_masternode(table: Weak<RefCell<Table>>, id: u64, rtc: RtcPeerConnection) {
    let connected = async {
        let offer = local_description(&rtc, RtcSdpType::Offer).await?;
        let mut answer = None;
        with(&table, |table| answer = table.answer_of(id, &offer));
        let answer = description(RtcSdpType::Answer, &answer.ok_or(JsValue::NULL)?);
        JsFuture::from(rtc.set_remote_description(&answer)).await
    };
    if connected.await.is_err() {
        with(&table, |table| table.masternode_down(id));
    }
}

impl Table {
    /// A masternode's answer, after its links were bound to both certificates.
    fn answer_of(&mut self, id: u64, offer: &str) -> Option<String> {
        let to = self.masternodes.get_mut(&id)?;
        let own = sdp::fingerprint(offer)?;
        to.own = Some(own);
        let (host, port, certificate) = &to.address;
        for link in &to.links {
            say(&self.tell, bind(*link, &own, certificate));
        }
        sdp::answer(offer, Endpoint { host, port: *port, certificate })
    }
}
