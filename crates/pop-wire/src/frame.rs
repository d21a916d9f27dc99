//! Frames: an unsigned varint (at most ten bytes, minimal) with the body's length, then the body.
//! Normative text: `spec/wire.md` §2.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{StreamError, WireError, limits::FRAME_BYTES_MAX};

/// Cuts a stream of bytes into frame bodies.
///
/// Feed it with [`unfilled`](Self::unfilled) and [`fill`](Self::fill) (read straight into it) or
/// [`push`](Self::push), then take bodies until [`next_frame`](Self::next_frame) says `None`.
/// Bodies are slices of the buffer, not copies. Memory: what was fed and not yet taken; a frame
/// over the limit is refused when its prefix is read, before anything is reserved for it.
///
/// ```
/// use pop_wire::{FrameSplitter, put_frame};
/// let mut stream = bytes::BytesMut::new();
/// put_frame(&mut stream, b"hello")?;
/// let mut splitter = FrameSplitter::new();
/// splitter.push(&stream[..3]);
/// assert_eq!(splitter.next_frame()?, None);
/// splitter.push(&stream[3..]);
/// assert_eq!(splitter.next_frame()?.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), pop_wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct FrameSplitter {
    /// What was fed, then zeros to read into.
    buffer: BytesMut,
    /// Bytes that were fed.
    filled_bytes: usize,
    body_bytes_max: usize,
}

impl Default for FrameSplitter {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), filled_bytes: 0, body_bytes_max: FRAME_BYTES_MAX }
    }
}

impl FrameSplitter {
    /// A splitter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuse bodies over `body_bytes_max` from now on, [`FRAME_BYTES_MAX`] at most: a protocol of
    /// short messages, or a peer that has not proven who it is, needs less of the receiver's memory.
    pub fn limit_bodies(&mut self, body_bytes_max: usize) {
        self.body_bytes_max = body_bytes_max.min(FRAME_BYTES_MAX);
    }

    /// Room for `bytes` more, to read into; then say with [`fill`](Self::fill) how many came.
    /// What stays unfilled is kept for the next time.
    pub fn unfilled(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled_bytes + bytes;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        &mut self.buffer[self.filled_bytes..end]
    }

    /// Take the first `bytes` of what [`unfilled`](Self::unfilled) returned last as fed.
    ///
    /// # Panics
    /// If that are more than there was room for (a bug of the caller).
    pub fn fill(&mut self, bytes: usize) {
        assert!(bytes <= self.buffer.len() - self.filled_bytes, "more bytes filled than room");
        self.filled_bytes += bytes;
    }

    /// Append a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.truncate(self.filled_bytes);
        self.buffer.extend_from_slice(bytes);
        self.filled_bytes = self.buffer.len();
    }

    /// Bytes held and not yet returned.
    pub fn buffered_bytes(&self) -> usize {
        self.filled_bytes
    }

    /// The stream has ended, once [`next_frame`](Self::next_frame) says `None`.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] if it ended inside a frame.
    pub fn end(&self) -> Result<(), StreamError> {
        match self.filled_bytes {
            0 => Ok(()),
            got => Err(StreamError::Truncated { got }),
        }
    }

    /// Let go of room that is not filled. Worth it where a stream pauses.
    pub fn shrink(&mut self) {
        self.buffer.truncate(self.filled_bytes);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// The next whole body, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`WireError::FrameLength`] if the prefix is over the limit ([`FRAME_BYTES_MAX`], or what
    /// [`limit_bodies`](Self::limit_bodies) set) or not a minimal varint. The stream can't be resynchronised after that: close it.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        let refused = |got| WireError::FrameLength { max: self.body_bytes_max, got };
        let (length, prefix_bytes) = match unsigned_varint::decode::u64(self.filled()) {
            Ok((length, rest)) => (length, self.filled_bytes - rest.len()),
            Err(unsigned_varint::decode::Error::Insufficient) => return Ok(None),
            Err(_) => return Err(refused(u64::MAX)),
        };
        let body_bytes = usize::try_from(length).map_err(|_| refused(length))?;
        // spec/wire.md §2: a frame over the limit MUST be refused before it is buffered.
        if body_bytes > self.body_bytes_max {
            return Err(refused(length));
        }
        // The library lets bits beyond the 64th fall off a ten-byte prefix, so that zero had a
        // second encoding.
        let mut minimal = unsigned_varint::encode::u64_buffer();
        if unsigned_varint::encode::u64(length, &mut minimal).len() != prefix_bytes {
            return Err(refused(u64::MAX));
        }
        let frame_bytes = prefix_bytes + body_bytes;
        if self.filled_bytes < frame_bytes {
            self.buffer.reserve(frame_bytes.saturating_sub(self.buffer.len()));
            return Ok(None);
        }
        self.filled_bytes -= frame_bytes;
        self.buffer.advance(prefix_bytes);
        Ok(Some(self.buffer.split_to(body_bytes).freeze()))
    }

    fn filled(&self) -> &[u8] {
        &self.buffer[..self.filled_bytes]
    }
}

/// Append one frame with `body`.
///
/// # Errors
/// [`WireError::FrameLength`] if `body` is over [`FRAME_BYTES_MAX`] (the caller's fault).
pub fn put_frame(out: &mut BytesMut, body: &[u8]) -> Result<(), WireError> {
    put_prefix(out, body.len())?;
    out.put_slice(body);
    Ok(())
}

/// Append the length prefix of a body of `body_bytes` that the caller appends next.
pub(crate) fn put_prefix(out: &mut BytesMut, body_bytes: usize) -> Result<(), WireError> {
    if body_bytes > FRAME_BYTES_MAX {
        return Err(WireError::FrameLength {
            max: FRAME_BYTES_MAX,
            got: u64::try_from(body_bytes).unwrap_or(u64::MAX),
        });
    }
    let mut prefix = unsigned_varint::encode::usize_buffer();
    let prefix = unsigned_varint::encode::usize(body_bytes, &mut prefix);
    out.reserve(prefix.len() + body_bytes);
    out.put_slice(prefix);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            step in 1_usize..64,
        ) {
            let mut stream = BytesMut::new();
            for body in &bodies {
                put_frame(&mut stream, body).unwrap();
            }
            let mut splitter = FrameSplitter::new();
            let mut seen = Vec::new();
            for (turn, chunk) in stream.chunks(step).enumerate() {
                match turn % 3 {
                    0 => splitter.push(chunk),
                    1 => {
                        splitter.unfilled(chunk.len() + turn)[..chunk.len()].copy_from_slice(chunk);
                        splitter.fill(chunk.len());
                    }
                    _ => {
                        splitter.unfilled(chunk.len()).copy_from_slice(chunk);
                        splitter.fill(chunk.len());
                        splitter.shrink();
                    }
                }
                while let Some(frame) = splitter.next_frame().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, bodies);
            prop_assert_eq!(splitter.buffered_bytes(), 0);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_prefix_without_reserving() {
        let mut prefix = unsigned_varint::encode::usize_buffer();
        let prefix = unsigned_varint::encode::usize(FRAME_BYTES_MAX + 1, &mut prefix);
        let mut splitter = FrameSplitter::new();
        splitter.push(prefix);
        let capacity = splitter.buffer.capacity();
        assert!(matches!(splitter.next_frame(), Err(WireError::FrameLength { .. })));
        assert_eq!(splitter.buffer.capacity(), capacity);
    }

    #[test]
    fn a_lower_limit_holds_for_frames_that_come_after_it() {
        let mut stream = BytesMut::new();
        put_frame(&mut stream, &[7; 10]).unwrap();
        put_frame(&mut stream, &[7; 11]).unwrap();
        let mut splitter = FrameSplitter::new();
        splitter.push(&stream);
        splitter.limit_bodies(10);
        assert_eq!(splitter.next_frame().unwrap().unwrap().len(), 10);
        assert_eq!(splitter.next_frame(), Err(WireError::FrameLength { max: 10, got: 11 }));
        splitter.limit_bodies(usize::MAX);
        assert_eq!(splitter.next_frame().unwrap().unwrap().len(), 11);
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes() {
        let mut stream = BytesMut::new();
        put_frame(&mut stream, &vec![7; FRAME_BYTES_MAX]).unwrap();
        let mut splitter = FrameSplitter::new();
        splitter.push(&stream);
        assert_eq!(splitter.next_frame().unwrap().unwrap().len(), FRAME_BYTES_MAX);
        assert!(put_frame(&mut stream, &vec![7; FRAME_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_padded_or_endless_varint_is_refused() {
        let beyond_64_bits = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        for garbage in [&[0x80, 0x00][..], &[0xff; 11][..], &beyond_64_bits[..]] {
            let mut splitter = FrameSplitter::new();
            splitter.push(garbage);
            assert!(matches!(splitter.next_frame(), Err(WireError::FrameLength { .. })));
        }
    }
}
