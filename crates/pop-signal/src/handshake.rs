//! Who is at the other end of a link that has no identity of its own: a WebSocket, a WebRTC data
//! channel. Three frames before anything else; normative text: `spec/signal.md` §2.
//!
//! ```text
//! dialer    --- Challenge ------------------->  listener
//!           <-- Answer: Challenge, Proof -----
//!           --- Proof ----------------------->
//! ```
//!
//! ```
//! use pop_signal::Handshake;
//! use pop_signal::handshake::ChannelBinding;
//! use pop_wire::{FrameSplitter, Instant, Keypair};
//!
//! let alice = Keypair::from_secret_bytes(&[1; 32])?;
//! let bob = Keypair::from_secret_bytes(&[2; 32])?;
//! let now = Instant(0);
//! // The nonces come from the system's randomness, and are never used again.
//! let binding = ChannelBinding::none();
//! let (mut dialer, challenge) =
//!     Handshake::new_dialer(&alice, Some(bob.peer_id()), [3; 32], binding.clone(), now);
//! let mut listener = Handshake::new_listener(&bob, None, [4; 32], binding, now);
//!
//! // What a shell does with frames that come in: off with the length, then hand the body in.
//! let body = |frame: &[u8]| {
//!     let mut splitter = FrameSplitter::new();
//!     splitter.limit_bodies(pop_signal::limits::HANDSHAKE_FRAME_BYTES_MAX);
//!     splitter.push(frame);
//!     splitter.next_frame().map(|body| body.expect("one whole frame"))
//! };
//! let answer = listener.receive(now, &body(&challenge)?)?.send.expect("an answer");
//! let step = dialer.receive(now, &body(&answer)?)?;
//! assert_eq!(step.done.expect("proven").peer, bob.peer_id());
//! let proof = step.send.expect("the dialer's proof");
//! let step = listener.receive(now, &body(&proof)?)?;
//! assert_eq!(step.done.expect("proven").peer, alice.peer_id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use bytes::{Bytes, BytesMut};
use pop_wire::{Instant, Keypair, PeerId, ProtocolVersion, VersionRange, WireError, put_frame};

use crate::fingerprint::DtlsFingerprint;
use crate::layout::Reader;
use crate::limits::{CHANNEL_BINDING_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS};

const CHALLENGE_BYTES: usize = 2 + 2 + 33 + 32;
const SIGNATURE_BYTES: usize = 64;
const PROOF_CONTEXT: &str = "POP 2026 handshake proof v1";

const CHALLENGE: u8 = 1;
const ANSWER: u8 = 2;
const PROOF: u8 = 3;

const _: () = assert!(1 + CHALLENGE_BYTES + SIGNATURE_BYTES <= HANDSHAKE_FRAME_BYTES_MAX);

/// What ties a proof to one channel, so that a peer in the middle can't pass it on: both ends put
/// in the same bytes, or neither believes the other.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding(Vec<u8>);

impl ChannelBinding {
    /// Nothing: for a plain WebSocket, whose ends have nothing that only they know. Whoever sits in
    /// the middle of such a link can read it and write to it (`spec/signal.md` §2.4).
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// The certificates of both ends of a WebRTC connection, the offerer's first. Both come from
    /// the session descriptions, so they are what the browser insists on.
    pub fn webrtc(offerer: DtlsFingerprint, answerer: DtlsFingerprint) -> Self {
        let mut bytes = b"webrtc".to_vec();
        bytes.extend_from_slice(&offerer.0);
        bytes.extend_from_slice(&answerer.0);
        Self(bytes)
    }

    /// Bytes that only the two ends of a channel know or agree on: a TLS exporter, say.
    ///
    /// # Errors
    /// [`WireError::Length`] if there are more than [`CHANNEL_BINDING_BYTES_MAX`].
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > CHANNEL_BINDING_BYTES_MAX {
            let max = u64::try_from(CHANNEL_BINDING_BYTES_MAX).unwrap_or(u64::MAX);
            return Err(WireError::Length {
                field: "channel binding",
                expected: pop_wire::Bound::at_most(max),
                got: bytes.len(),
            });
        }
        Ok(Self(bytes.to_vec()))
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBinding({} bytes)", self.0.len())
    }
}

/// Who is there, proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The other end.
    pub peer: PeerId,
    /// Version of the handshake that both speak.
    pub version: ProtocolVersion,
}

/// What a frame led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// A frame to send, with its length prefix.
    pub send: Option<Bytes>,
    /// The other end, once it is proven. The link is the next protocol's from here on: after
    /// [`send`](Self::send), if there is one.
    pub done: Option<Proven>,
}

/// Why a handshake failed. Close the link: all but [`Over`](Self::Over) are the peer's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The frame is none of the handshake, or has a field that can't be.
    #[error("handshake: {0}")]
    Frame(#[from] WireError),
    /// A frame that this side doesn't expect now.
    #[error("handshake: expected {expected}, got another frame")]
    Unexpected {
        /// What it waits for.
        expected: &'static str,
    },
    /// Another peer than the one that was dialled.
    #[error("handshake: expected {expected}, got {got}")]
    WrongPeer {
        /// Whom the caller expects.
        expected: PeerId,
        /// Who it says it is.
        got: PeerId,
    },
    /// It has our own key: the link leads back to us, or somebody mirrors what we send.
    #[error("handshake: the other end has our own key")]
    Ourselves,
    /// The signature doesn't fit the key, the nonces, the role or the channel.
    #[error("handshake: the proof does not verify")]
    BadProof,
    /// It took longer than [`HANDSHAKE_TIMEOUT_MS`].
    #[error("handshake: expected an end within {limit_ms} ms")]
    Late {
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// The caller's fault: the handshake succeeded or failed before this frame.
    #[error("handshake: it is over")]
    Over,
}

/// One side of a handshake. Hand frames in until a [`Step`] is `done`, and close the link at the
/// first error, or when [`deadline`](Self::deadline) passes.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    keypair: Keypair,
    expected: Option<PeerId>,
    ours: Challenge,
    binding: ChannelBinding,
    deadline: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Dialer.
    AwaitsAnswer,
    /// Listener, first.
    AwaitsChallenge,
    /// Listener, then.
    AwaitsProof {
        theirs: Challenge,
        version: ProtocolVersion,
    },
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Dialer,
    Listener,
}

impl Handshake {
    /// Versions of the handshake that this crate speaks.
    pub fn versions() -> VersionRange {
        VersionRange::new(ProtocolVersion::V1, ProtocolVersion::V1).expect("one is a range")
    }

    /// The side that opened the link, and the frame to send first.
    ///
    /// `expected_peer` is whom the caller means to reach; `None` takes anybody. `nonce` is 32
    /// bytes of fresh randomness. `binding` must be what the other side puts in, too.
    pub fn new_dialer(
        keypair: &Keypair,
        expected_peer: Option<PeerId>,
        nonce: [u8; 32],
        binding: ChannelBinding,
        now: Instant,
    ) -> (Self, Bytes) {
        let handshake = Self {
            role: Role::Dialer,
            keypair: keypair.clone(),
            expected: expected_peer,
            ours: Challenge::new(keypair, nonce),
            binding,
            deadline: now.after_ms(HANDSHAKE_TIMEOUT_MS),
            state: State::AwaitsAnswer,
        };
        let mut body = vec![CHALLENGE];
        handshake.ours.put(&mut body);
        let first = frame(&body);
        (handshake, first)
    }

    /// The side that accepted the link. It waits for the dialer's challenge.
    ///
    /// As for [`new_dialer`](Self::new_dialer); a listener that knows who is to come says so.
    pub fn new_listener(
        keypair: &Keypair,
        expected_peer: Option<PeerId>,
        nonce: [u8; 32],
        binding: ChannelBinding,
        now: Instant,
    ) -> Self {
        Self {
            role: Role::Listener,
            keypair: keypair.clone(),
            expected: expected_peer,
            ours: Challenge::new(keypair, nonce),
            binding,
            deadline: now.after_ms(HANDSHAKE_TIMEOUT_MS),
            state: State::AwaitsChallenge,
        }
    }

    /// When to give up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Take the body of one frame.
    ///
    /// # Errors
    /// [`HandshakeError`]: close the link. The handshake is over then.
    pub fn receive(&mut self, now: Instant, body: &[u8]) -> Result<Step, HandshakeError> {
        let state = core::mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(HandshakeError::Over);
        }
        if now >= self.deadline {
            return Err(HandshakeError::Late { limit_ms: HANDSHAKE_TIMEOUT_MS });
        }
        match (state, Frame::decode(body)?) {
            (State::AwaitsAnswer, Frame::Answer(theirs, proof)) => self.answered(&theirs, &proof),
            (State::AwaitsChallenge, Frame::Challenge(theirs)) => self.challenged(theirs),
            (State::AwaitsProof { theirs, version }, Frame::Proof(proof)) => {
                self.proven(&theirs, version, &proof)
            }
            (State::AwaitsAnswer, _) => Err(HandshakeError::Unexpected { expected: "an answer" }),
            (State::AwaitsChallenge, _) => {
                Err(HandshakeError::Unexpected { expected: "a challenge" })
            }
            (State::AwaitsProof { .. }, _) => {
                Err(HandshakeError::Unexpected { expected: "a proof" })
            }
            (State::Over, _) => Err(HandshakeError::Over),
        }
    }

    fn challenged(&mut self, theirs: Challenge) -> Result<Step, HandshakeError> {
        let version = self.check(&theirs)?;
        let digest = self.digest(Role::Listener, version, &theirs);
        let mut body = vec![ANSWER];
        self.ours.put(&mut body);
        body.extend_from_slice(&self.keypair.sign_digest(&digest));
        self.state = State::AwaitsProof { theirs, version };
        Ok(Step { send: Some(frame(&body)), done: None })
    }

    fn answered(
        &mut self,
        theirs: &Challenge,
        proof: &[u8; SIGNATURE_BYTES],
    ) -> Result<Step, HandshakeError> {
        let version = self.check(theirs)?;
        self.verify(Role::Listener, version, theirs, proof)?;
        let digest = self.digest(Role::Dialer, version, theirs);
        let mut body = vec![PROOF];
        body.extend_from_slice(&self.keypair.sign_digest(&digest));
        let done = Some(Proven { peer: theirs.peer, version });
        Ok(Step { send: Some(frame(&body)), done })
    }

    fn proven(
        &mut self,
        theirs: &Challenge,
        version: ProtocolVersion,
        proof: &[u8; SIGNATURE_BYTES],
    ) -> Result<Step, HandshakeError> {
        self.verify(Role::Dialer, version, theirs, proof)?;
        Ok(Step { send: None, done: Some(Proven { peer: theirs.peer, version }) })
    }

    /// Before anything is signed: is this somebody to talk to?
    fn check(&self, theirs: &Challenge) -> Result<ProtocolVersion, HandshakeError> {
        let version = self.ours.versions.negotiate(&theirs.versions)?;
        // spec/signal.md §2.3: an end with our own key MUST be refused. It also is what comes
        // back when our frames are mirrored.
        if theirs.peer == self.ours.peer {
            return Err(HandshakeError::Ourselves);
        }
        match self.expected {
            Some(expected) if expected != theirs.peer => {
                Err(HandshakeError::WrongPeer { expected, got: theirs.peer })
            }
            _ => Ok(version),
        }
    }

    fn verify(
        &self,
        signer: Role,
        version: ProtocolVersion,
        theirs: &Challenge,
        proof: &[u8; SIGNATURE_BYTES],
    ) -> Result<(), HandshakeError> {
        let digest = self.digest(signer, version, theirs);
        theirs.peer.verify_digest(&digest, proof).map_err(|_| HandshakeError::BadProof)
    }

    /// What `signer` signs (`spec/signal.md` §2.2): everything that was said, by whom, on which
    /// channel. `theirs` is the other end's challenge, whoever signs.
    fn digest(&self, signer: Role, version: ProtocolVersion, theirs: &Challenge) -> [u8; 32] {
        let (dialer, listener) = match self.role {
            Role::Dialer => (&self.ours, theirs),
            Role::Listener => (theirs, &self.ours),
        };
        let mut transcript = vec![match signer {
            Role::Dialer => 1,
            Role::Listener => 2,
        }];
        transcript.extend_from_slice(&version.0.to_be_bytes());
        dialer.put(&mut transcript);
        listener.put(&mut transcript);
        let binding_len = u16::try_from(self.binding.0.len()).expect("bounded when it was made");
        transcript.extend_from_slice(&binding_len.to_be_bytes());
        transcript.extend_from_slice(&self.binding.0);
        blake3::derive_key(PROOF_CONTEXT, &transcript)
    }
}

/// What each side says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Challenge {
    versions: VersionRange,
    peer: PeerId,
    nonce: [u8; 32],
}

impl Challenge {
    fn new(keypair: &Keypair, nonce: [u8; 32]) -> Self {
        Self { versions: Handshake::versions(), peer: keypair.peer_id(), nonce }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.versions.min().0.to_be_bytes());
        out.extend_from_slice(&self.versions.max().0.to_be_bytes());
        out.extend_from_slice(self.peer.public_key());
        out.extend_from_slice(&self.nonce);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (min, max) = (reader.u16()?, reader.u16()?);
        Ok(Self {
            versions: VersionRange::new(ProtocolVersion(min), ProtocolVersion(max))?,
            peer: reader.peer()?,
            nonce: reader.array()?,
        })
    }
}

/// The three frames.
enum Frame {
    Challenge(Challenge),
    Answer(Challenge, [u8; SIGNATURE_BYTES]),
    Proof([u8; SIGNATURE_BYTES]),
}

impl Frame {
    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let unknown = WireError::UnknownKind { message: "handshake frame" };
        let (kind, fields) = body.split_first().ok_or(unknown.clone())?;
        match *kind {
            CHALLENGE => {
                let mut reader = Reader::exact("challenge", fields, CHALLENGE_BYTES)?;
                Ok(Self::Challenge(Challenge::take(&mut reader)?))
            }
            ANSWER => {
                let bytes = CHALLENGE_BYTES + SIGNATURE_BYTES;
                let mut reader = Reader::exact("answer", fields, bytes)?;
                Ok(Self::Answer(Challenge::take(&mut reader)?, reader.array()?))
            }
            PROOF => {
                let mut reader = Reader::exact("proof", fields, SIGNATURE_BYTES)?;
                Ok(Self::Proof(reader.array()?))
            }
            _ => Err(unknown),
        }
    }
}

fn frame(body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    put_frame(&mut out, body).expect("a frame of the handshake is far below the wire's limit");
    out.freeze()
}
