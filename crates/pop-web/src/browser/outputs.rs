//! What the engine asks of the page, as plain objects with a `type`. `crates/pop-web/js/worker.js`
//! reads them; fields are named as in the engine.

use pop_wire::PeerId;
use wasm_bindgen::JsValue;

use super::config::cache_name;
use super::object::{Writer, count, number};
use crate::engine::{
    Address, EngineError, Event, FilmId, FilmInfo, Host, LinkId, Output, Protocol, RtcCommand,
    RtcId, SourceKind, Transport,
};

/// Connect to a masternode's WebRTC endpoint: the window's work.
pub(super) fn dial(link: LinkId, address: &Address, protocol: Protocol) -> JsValue {
    let host = match &address.host {
        Host::Ip4(ip) => ip.to_string(),
        Host::Ip6(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    let writer = Writer::of_type("dial").number("link", link.0).with("host", host);
    let writer = writer.with("port", address.port).with("channel", protocol.channel());
    match &address.transport {
        Transport::WebRtcDirect { certificate } => writer.bytes("certificate", certificate),
        Transport::WebSocket | Transport::SecureWebSocket => writer,
    }
    .into()
}

/// A link is gone, or of no use: so may be the connection that it was a channel of.
pub(super) fn close_link(link: LinkId) -> JsValue {
    Writer::of_type("closeLink").number("link", link.0).into()
}

/// Everything else.
pub(super) fn message(output: Output) -> JsValue {
    match output {
        // The shell's own work.
        Output::Dial { .. } | Output::Send { .. } | Output::CloseLink { .. } => Writer::new(),
        Output::Rtc { rtc, command } => rtc_command(rtc, command),
        Output::Opened { film, info } => {
            Writer::of_type("opened").number("film", film.0).with("info", film_info(&info))
        }
        Output::Failed { film, error } => {
            Writer::of_type("failed").number("film", film.0).with("error", problem(&error))
        }
        Output::Data { read, bytes } => {
            Writer::of_type("data").number("read", read.0).bytes("bytes", &bytes)
        }
        Output::End { read } => Writer::of_type("end").number("read", read.0),
        Output::ReadFailed { read, error } => {
            Writer::of_type("readFailed").number("read", read.0).with("error", problem(&error))
        }
        Output::CacheStore { token, key, bytes } => Writer::of_type("cacheStore")
            .number("token", token.0)
            .with("key", cache_name(&key))
            .bytes("bytes", &bytes),
        Output::CacheLoad { token, key } => {
            Writer::of_type("cacheLoad").number("token", token.0).with("key", cache_name(&key))
        }
        Output::CacheDelete { key } => Writer::of_type("cacheDelete").with("key", cache_name(&key)),
        Output::Persist { token, key, value } => Writer::of_type("persist")
            .number("token", token.0)
            .bytes("key", &key)
            .bytes("value", &value),
        Output::Event(event) => Writer::of_type("event").with("event", self::event(&event)),
    }
    .into()
}

fn rtc_command(rtc: RtcId, command: RtcCommand) -> Writer {
    let writer = Writer::of_type("rtc").number("rtc", rtc.0);
    let links = |writer: Writer, links: [LinkId; 2]| {
        writer.list("links", links.map(|link| JsValue::from_f64(number(link.0))))
    };
    match command {
        RtcCommand::Offer { links: two } => links(writer.with("command", "offer"), two),
        RtcCommand::Answer { links: two, offer } => {
            links(writer.with("command", "answer"), two).with("sdp", offer)
        }
        RtcCommand::SetAnswer { sdp } => writer.with("command", "setAnswer").with("sdp", sdp),
        RtcCommand::AddCandidate(it) => writer
            .with("command", "addCandidate")
            .with("candidate", it.candidate)
            .with("sdpMid", it.sdp_mid)
            .with("sdpMLineIndex", it.sdp_m_line_index),
        RtcCommand::Close => writer.with("command", "close"),
    }
}

fn film_info(info: &FilmInfo) -> Writer {
    Writer::new()
        .with("content", info.content.to_string())
        .with("publisher", info.publisher.to_string())
        .number("lengthBytes", info.length_bytes)
        .with("mediaType", info.media_type.as_str())
        .number("durationMs", info.duration_ms)
        .number("segmentBytes", info.segment_bytes)
        .with("columnsNeeded", info.geometry.0)
        .with("columns", info.geometry.1)
}

/// An error as the page shows it.
pub(super) fn problem(error: &EngineError) -> Writer {
    Writer::new()
        .with("code", error.code())
        .with("message", error.to_string())
        .with("nextStep", error.next_step())
}

/// `masternode` or `viewer`.
pub(super) fn kind_name(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Masternode => "masternode",
        SourceKind::Viewer => "viewer",
    }
}

fn event(event: &Event) -> Writer {
    let of_source = |name: &str, film: &FilmId, peer: &PeerId, kind: SourceKind| {
        of_peer(name, peer).number("film", film.0).with("kind", kind_name(kind))
    };
    match event {
        Event::SourceUp { film, peer, kind } => of_source("sourceUp", film, peer, *kind),
        Event::SourceDown { film, peer, kind } => of_source("sourceDown", film, peer, *kind),
        Event::PeerFault { peer, kind, rule } => {
            of_peer("peerFault", peer).with("kind", kind_name(*kind)).with("rule", rule.as_str())
        }
        Event::SourceResting { film, peer, silent_ms } => {
            of_peer("sourceResting", peer).number("film", film.0).number("silentMs", *silent_ms)
        }
        Event::Starving { film, reachable, needed } => Writer::of_type("starving")
            .number("film", film.0)
            .with("reachable", count(*reachable))
            .with("needed", count(*needed)),
        Event::Recovered { film } => Writer::of_type("recovered").number("film", film.0),
        Event::Late { film, segment } => {
            Writer::of_type("late").number("film", film.0).number("segment", *segment)
        }
        Event::Problem { error } => Writer::of_type("problem").with("error", problem(error)),
        Event::RelayUp { peer } => of_peer("relayUp", peer),
        Event::RelayDown { peer } => of_peer("relayDown", peer),
        Event::ViewerUp { peer } => of_peer("viewerUp", peer),
        Event::ViewerDown { peer } => of_peer("viewerDown", peer),
        Event::Spent { peer, total } => of_peer("spent", peer).with("total", total.to_string()),
        Event::Earned { peer, total } => of_peer("earned", peer).with("total", total.to_string()),
        Event::Wallet { balance, vault } => Writer::of_type("wallet")
            .with("balance", balance.to_string())
            .with("vault", vault.to_string()),
        Event::WalletFailed { error } => {
            Writer::of_type("walletFailed").with("error", problem(error))
        }
    }
}

fn of_peer(name: &str, peer: &PeerId) -> Writer {
    Writer::of_type(name).with("peer", peer.to_string())
}
