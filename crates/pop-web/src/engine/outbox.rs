//! What is to be done, in order. Frames for one link that follow each other leave as one piece.

use std::collections::VecDeque;

use bytes::BytesMut;
use pop_wire::Message;

use super::limits::PIECE_BYTES_MAX;
use super::{LinkId, Output};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    ready: VecDeque<Output>,
    /// Frames that others may be added to.
    open: Option<(LinkId, BytesMut)>,
}

impl Outbox {
    pub(super) fn push(&mut self, output: Output) {
        self.seal();
        self.ready.push_back(output);
    }

    /// Send a frame that has its length already.
    pub(super) fn frame(&mut self, link: LinkId, frame: &[u8]) {
        self.room(link).extend_from_slice(frame);
    }

    /// Send an exchange message; returns the bytes of its frame.
    pub(super) fn message(&mut self, link: LinkId, message: &Message) -> usize {
        let buffer = self.room(link);
        let before = buffer.len();
        // Our machines make no message beyond a frame; nothing is appended then.
        let _too_long = message.encode_frame(buffer);
        buffer.len() - before
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        if self.ready.is_empty() {
            self.seal();
        }
        self.ready.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.open.is_none()
    }

    fn room(&mut self, link: LinkId) -> &mut BytesMut {
        let fits = |open: &(LinkId, BytesMut)| open.0 == link && open.1.len() < PIECE_BYTES_MAX;
        if !self.open.as_ref().is_some_and(fits) {
            self.seal();
        }
        &mut self.open.get_or_insert_with(|| (link, BytesMut::new())).1
    }

    fn seal(&mut self) {
        if let Some((link, bytes)) = self.open.take().filter(|(_, bytes)| !bytes.is_empty()) {
            self.ready.push_back(Output::Send { link, bytes: bytes.freeze() });
        }
    }
}
