//! What goes into an engine and what comes out.

use std::ops::Range;

use bytes::Bytes;
use pop_wire::{Amount, ContentId, PeerId};

pub use pop_exchange::LinkId;

use super::{Address, EngineError, Event, Protocol, Upload};

/// Number of an open content, given by the shell and never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilmId(pub u64);

/// Number of a read, given by the shell and never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// Number of a peer connection to another viewer, given by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RtcId(pub u64);

/// Number of something that the shell does and reports, given by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What one entry of the cache is: a whole segment, as ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    /// Of which content.
    pub content: ContentId,
    /// Which segment.
    pub segment: u64,
}

/// Certificates of the two ends of a peer connection, as SHA-256: what ties a link to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the side that made the offer.
    pub offerer: [u8; 32],
    /// Of the side that answered.
    pub answerer: [u8; 32],
}

/// What the shell tells the engine. Wrong or late numbers (a link that is gone, a read that ended)
/// are ignored: the shell need not keep order with what is on its way.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Open a content: [`Output::Opened`] or [`Output::Failed`] follows.
    Open {
        /// A new number.
        film: FilmId,
        /// `pop:<content id>?k=<key>`.
        link: String,
    },
    /// Let go of a content and its reads; it is served no more. What is cached stays for the next
    /// time.
    Close {
        /// Which.
        film: FilmId,
    },
    /// Read bytes of a film that was opened; also before, then the read waits. What
    /// [`Input::Pull`] allows comes in order as [`Output::Data`], then [`Output::End`]; or
    /// [`Output::ReadFailed`].
    Read {
        /// A new number.
        read: ReadId,
        /// Of which film.
        film: FilmId,
        /// Which bytes, end excluded; an end of `u64::MAX` is the film's.
        range: Range<u64>,
    },
    /// Take so many more bytes of a read.
    Pull {
        /// Which read.
        read: ReadId,
        /// Bytes more.
        bytes: u64,
    },
    /// No more of a read is wanted; nothing more comes of it.
    Stop {
        /// Which read.
        read: ReadId,
    },
    /// Where playback is: deadlines and the buffer in [`FilmStats`](super::FilmStats) are counted
    /// from here. Give it a few times a second while playing, and at every pause and seek. Without
    /// it the newest read is taken for the playhead.
    Play {
        /// Of which film.
        film: FilmId,
        /// First byte that is not played yet, as far as is known.
        position_bytes: u64,
        /// Bytes a second that playback takes now; zero while it is paused.
        bytes_per_s: u64,
        /// It has nothing to show, and waits for bytes.
        is_waiting: bool,
    },
    /// A link is up: one that [`Output::Dial`] asked for, or the channel that it was promised to.
    LinkUp {
        /// Which link.
        link: LinkId,
        /// For a data channel of a peer connection made by [`Output::Dial`]: the certificates of
        /// both ends. `None` for WebSockets, and for connections to other viewers, of which the
        /// engine knows them.
        fingerprints: Option<Fingerprints>,
    },
    /// Bytes came; cut anywhere.
    LinkBytes {
        /// From where.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// The transport took so many bytes more of what was sent: they left its buffer. Sources are
    /// asked without it; who is served waits for it.
    LinkFlushed {
        /// Which link.
        link: LinkId,
        /// Bytes more.
        bytes: u64,
    },
    /// A link is gone, or didn't come up. Not needed after [`Output::CloseLink`].
    LinkDown {
        /// Which link.
        link: LinkId,
    },
    /// Something about a peer connection to another viewer.
    Rtc {
        /// Which.
        rtc: RtcId,
        /// What.
        event: RtcEvent,
    },
    /// The end of [`Output::CacheLoad`]: the bytes that were stored, or `None` if they are gone.
    CacheLoaded {
        /// Of which load.
        token: Token,
        /// What was stored.
        bytes: Option<Bytes>,
    },
    /// The end of [`Output::CacheStore`].
    CacheStored {
        /// Of which one.
        token: Token,
        /// Whether it is stored.
        is_stored: bool,
    },
    /// The end of [`Output::Persist`]: it is safe on disk, or never will be.
    Persisted {
        /// Of which one.
        token: Token,
        /// Whether it is.
        is_safe: bool,
    },
    /// What is given to other viewers from now on.
    Upload(Upload),
    /// Whether the browser is online. Going online makes everything be tried again at once.
    Online(bool),
    /// Put so much of the wallet's balance into the vault that viewing is paid from; then
    /// [`Event::Wallet`] or [`Event::WalletFailed`].
    Deposit {
        /// Base units.
        amount: Amount,
    },
    /// Cash in what was earned; then [`Event::Wallet`] or [`Event::WalletFailed`].
    Redeem,
    /// Ask the ledger what the wallet has; then [`Event::Wallet`] or [`Event::WalletFailed`].
    LookAtWallet,
    /// Time passed: give it when `Engine::next_timeout`(super::Engine::next_timeout) is due.
    Tick,
}

/// What happens to a peer connection to another viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcEvent {
    /// `setLocalDescription` is done; this is what it made, unchanged.
    LocalDescription {
        /// `localDescription.sdp`.
        sdp: String,
    },
    /// A candidate was found.
    LocalCandidate(Candidate),
    /// No further candidates come.
    CandidatesDone,
    /// The connection failed, or is closed. Its channels are down too; no
    /// [`Input::LinkDown`] is needed for them.
    Down,
}

/// An ICE candidate, with the fields of `RTCIceCandidateInit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `candidate`.
    pub candidate: String,
    /// `sdpMid`.
    pub sdp_mid: Option<String>,
    /// `sdpMLineIndex`.
    pub sdp_m_line_index: Option<u16>,
}

/// What the engine asks of the shell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a link, then say [`Input::LinkUp`] or [`Input::LinkDown`]. Several links to one
    /// WebRTC address may share a peer connection, each its channel
    /// ([`Protocol::channel`]), as long as no channel is used twice.
    Dial {
        /// A new number.
        link: LinkId,
        /// Where.
        address: Address,
        /// What will be spoken there.
        protocol: Protocol,
    },
    /// Send bytes; cut them as the transport likes.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// Close a link, or stop opening it. What still comes from it is ignored.
    CloseLink {
        /// Which.
        link: LinkId,
    },
    /// Do something about a peer connection to another viewer.
    Rtc {
        /// Which; new with [`RtcCommand::Offer`] and [`RtcCommand::Answer`].
        rtc: RtcId,
        /// What.
        command: RtcCommand,
    },
    /// A content is open; from now on it can be read.
    Opened {
        /// Which.
        film: FilmId,
        /// What it is.
        info: FilmInfo,
    },
    /// A content can't be opened, or not any more; it is closed.
    Failed {
        /// Which.
        film: FilmId,
        /// Why.
        error: EngineError,
    },
    /// Bytes of a read, the next in order, never more than were pulled.
    Data {
        /// Of which read.
        read: ReadId,
        /// The bytes, at least one.
        bytes: Bytes,
    },
    /// Everything of a read was given.
    End {
        /// Of which read.
        read: ReadId,
    },
    /// A read ended before its time.
    ReadFailed {
        /// Which.
        read: ReadId,
        /// Why.
        error: EngineError,
    },
    /// Store an entry of the cache, in place of an older one; then [`Input::CacheStored`].
    CacheStore {
        /// To be given back.
        token: Token,
        /// Under which name.
        key: CacheKey,
        /// What: a segment's shards and 80 KiB at most.
        bytes: Bytes,
    },
    /// Read an entry of the cache; then [`Input::CacheLoaded`].
    CacheLoad {
        /// To be given back.
        token: Token,
        /// Under which name.
        key: CacheKey,
    },
    /// Delete an entry of the cache. No answer.
    CacheDelete {
        /// Under which name.
        key: CacheKey,
    },
    /// Store a record about money durably, in place of an older one of the same key; then
    /// [`Input::Persisted`]. Nothing that depends on it is sent before.
    Persist {
        /// To be given back.
        token: Token,
        /// Its name, at most 64 bytes.
        key: Bytes,
        /// What, at most 512 bytes; empty deletes it.
        value: Bytes,
    },
    /// Something that whoever watches may want to know.
    Event(Event),
}

/// What to do with a peer connection to another viewer. It has two pre-negotiated, ordered,
/// reliable channels: 0 and 1; their links come with the command that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcCommand {
    /// Make a peer connection with both channels, `createOffer`, `setLocalDescription`, then say
    /// [`RtcEvent::LocalDescription`].
    Offer {
        /// The links of channels 0 and 1.
        links: [LinkId; 2],
    },
    /// Make a peer connection with both channels, `setRemoteDescription` with this offer,
    /// `createAnswer`, `setLocalDescription`, then say [`RtcEvent::LocalDescription`].
    Answer {
        /// The links of channels 0 and 1.
        links: [LinkId; 2],
        /// SDP of the offer.
        offer: String,
    },
    /// `setRemoteDescription` with this answer.
    SetAnswer {
        /// SDP of the answer.
        sdp: String,
    },
    /// `addIceCandidate`.
    AddCandidate(Candidate),
    /// Close it and forget it. Nothing more is to be said about it.
    Close,
}

/// What a content is, as its publisher signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilmInfo {
    /// Its name.
    pub content: ContentId,
    /// Who published it.
    pub publisher: PeerId,
    /// Bytes of the plaintext.
    pub length_bytes: u64,
    /// RFC 6838 media type; empty if the publisher didn't say.
    pub media_type: String,
    /// Playing time in milliseconds; zero if the publisher didn't say.
    pub duration_ms: u64,
    /// Bytes of plaintext in a segment.
    pub segment_bytes: u64,
    /// Columns that rebuild it, and columns that there are: k and n.
    pub geometry: (u16, u16),
}
