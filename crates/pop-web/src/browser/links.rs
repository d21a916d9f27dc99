//! Links as the browser has them: WebSockets and data channels, which differ in little.

use std::collections::VecDeque;
use std::rc::Weak;

use bytes::Bytes;
use wasm_bindgen::prelude::*;

use super::shell::Cell;
use crate::engine::LinkId;

/// Bytes in a transport's buffer above which nothing more is handed to it. Chromium kills a channel
/// whose buffer holds some 16 MiB.
const BUFFERED_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes in a transport's buffer below which it is filled again, and counts as empty.
const BUFFERED_BYTES_LOW: u32 = 256 * 1024;

/// Bytes of a WebSocket message that masternodes take.
const SOCKET_PIECE_BYTES: usize = 256 * 1024;

/// Bytes of a data-channel message that every browser and node takes.
const CHANNEL_PIECE_BYTES_MIN: usize = 16 * 1024;

/// Bytes of a data-channel message at most, whatever the other end takes: longer ones hold up the
/// other channels.
const CHANNEL_PIECE_BYTES_MAX: usize = 64 * 1024;

#[wasm_bindgen]
extern "C" {
    /// What a `WebSocket`, an `RTCDataChannel`, and the page's stand-in for one have in common.
    pub(super) type Socket;

    #[wasm_bindgen(method, structural, catch)]
    fn send(this: &Socket, bytes: &[u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn close(this: &Socket) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, getter, js_name = bufferedAmount)]
    fn buffered_amount(this: &Socket) -> f64;
    #[wasm_bindgen(method, structural, setter, js_name = bufferedAmountLowThreshold)]
    fn set_buffered_amount_low_threshold(this: &Socket, bytes: u32);
    #[wasm_bindgen(method, structural, setter, js_name = binaryType)]
    fn set_binary_type(this: &Socket, kind: &str);
    #[wasm_bindgen(method, structural, setter)]
    fn set_onopen(this: &Socket, callback: Option<&js_sys::Function>);
    #[wasm_bindgen(method, structural, setter)]
    fn set_onmessage(this: &Socket, callback: Option<&js_sys::Function>);
    #[wasm_bindgen(method, structural, setter)]
    fn set_onclose(this: &Socket, callback: Option<&js_sys::Function>);
    #[wasm_bindgen(method, structural, setter)]
    fn set_onerror(this: &Socket, callback: Option<&js_sys::Function>);
    #[wasm_bindgen(method, structural, setter)]
    fn set_onbufferedamountlow(this: &Socket, callback: Option<&js_sys::Function>);

    /// A `WebSocket`; throws for an address that the page may not dial.
    #[wasm_bindgen(extends = Socket, extends = js_sys::Object)]
    type WebSocket;
    #[wasm_bindgen(constructor, catch)]
    fn new(url: &str) -> Result<WebSocket, JsValue>;
}

/// What a socket tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    /// It is open.
    Open,
    /// A message came.
    Message,
    /// It is closed, or never opened.
    Closed,
    /// There is room in its buffer.
    Low,
}

/// One link.
pub(super) struct Link {
    socket: Socket,
    /// Waiting for room in the transport's buffer.
    waiting: VecDeque<Bytes>,
    /// Handed to the transport.
    sent_bytes: u64,
    /// Of those, reported as gone.
    flushed_bytes: u64,
    piece_bytes: usize,
    /// Called by the socket as long as it lives.
    _callbacks: [Closure<dyn FnMut(JsValue)>; 5],
}

impl Link {
    /// Dial a masternode's WebSocket; `None` if the page may not.
    pub(super) fn dial(id: LinkId, url: &str, shell: &Weak<Cell>) -> Option<Self> {
        let socket = WebSocket::new(url).ok()?;
        Some(Self::over(id, socket.unchecked_into(), SOCKET_PIECE_BYTES, shell))
    }

    /// Take over a data channel that is being opened.
    pub(super) fn channel(id: LinkId, channel: JsValue, shell: &Weak<Cell>) -> Self {
        Self::over(id, channel.unchecked_into(), CHANNEL_PIECE_BYTES_MIN, shell)
    }

    fn over(id: LinkId, socket: Socket, piece_bytes: usize, shell: &Weak<Cell>) -> Self {
        let tell = |signal| {
            let shell = shell.clone();
            Closure::<dyn FnMut(JsValue)>::new(move |event| {
                if let Some(cell) = shell.upgrade() {
                    Cell::signal(&cell, id, signal, &event);
                }
            })
        };
        use Signal::{Closed, Low, Message, Open};
        let callbacks = [tell(Open), tell(Message), tell(Closed), tell(Closed), tell(Low)];
        let [open, message, closed, error, low] = &callbacks;
        fn function(closure: &Closure<dyn FnMut(JsValue)>) -> Option<&js_sys::Function> {
            Some(closure.as_ref().unchecked_ref())
        }
        socket.set_binary_type("arraybuffer");
        socket.set_buffered_amount_low_threshold(BUFFERED_BYTES_LOW);
        socket.set_onopen(function(open));
        socket.set_onmessage(function(message));
        socket.set_onclose(function(closed));
        socket.set_onerror(function(error));
        socket.set_onbufferedamountlow(function(low));
        Self {
            socket,
            waiting: VecDeque::new(),
            sent_bytes: 0,
            flushed_bytes: 0,
            piece_bytes,
            _callbacks: callbacks,
        }
    }

    /// The other end of a data channel takes messages of so many bytes.
    pub(super) fn set_message_bytes_max(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.piece_bytes = bytes.clamp(CHANNEL_PIECE_BYTES_MIN, CHANNEL_PIECE_BYTES_MAX);
    }

    /// Send in time.
    pub(super) fn send(&mut self, bytes: Bytes) {
        self.waiting.push_back(bytes);
        self.fill();
    }

    /// Whether something waits or has not left the transport: it is to be looked at again.
    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.flushed_bytes < self.sent_bytes
    }

    /// Hand over what there is room for.
    pub(super) fn fill(&mut self) {
        while self.buffered_bytes() < BUFFERED_BYTES_MAX {
            let Some(bytes) = self.waiting.front_mut() else { return };
            let piece = bytes.split_to(bytes.len().min(self.piece_bytes));
            if bytes.is_empty() {
                self.waiting.pop_front();
            }
            // It throws once it is closed, of which it tells by itself.
            if self.socket.send(&piece).is_err() {
                self.waiting.clear();
                return;
            }
            self.sent_bytes += u64::try_from(piece.len()).unwrap_or_default();
        }
    }

    /// Bytes that left the transport's buffer since the last call, or are few.
    pub(super) fn newly_flushed(&mut self) -> u64 {
        let held = self.buffered_bytes().saturating_sub(u64::from(BUFFERED_BYTES_LOW));
        let flushed = self.sent_bytes.saturating_sub(held);
        let more = flushed.saturating_sub(self.flushed_bytes);
        self.flushed_bytes += more;
        more
    }

    fn buffered_bytes(&self) -> u64 {
        super::object::integer(self.socket.buffered_amount())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        self.socket.set_onerror(None);
        self.socket.set_onbufferedamountlow(None);
        // A socket that is closed already doesn't mind.
        let _ = self.socket.close();
    }
}
