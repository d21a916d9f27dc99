//! Frame splitting: however a stream is cut, the same frames and the same end come out, memory is
//! bounded by the largest frame, and what was split joins to what was fed.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use pop_wire::{FrameSplitter, limits::FRAME_BYTES_MAX, put_frame};

/// How far a splitter may be ahead of the frames it gave: one frame and its prefix.
const HELD_BYTES_MAX: usize = FRAME_BYTES_MAX + 10;

/// The frames of `stream`, fed in pieces whose lengths `cuts` gives in turn, and whether the
/// stream was refused.
fn split(stream: &[u8], cuts: &[u8]) -> (Vec<Bytes>, bool) {
    let mut splitter = FrameSplitter::new();
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let step = usize::from(*cuts.next().unwrap_or(&u8::MAX)) + 1;
        let (piece, later) = rest.split_at(step.min(rest.len()));
        if step % 2 == 0 {
            splitter.push(piece);
        } else {
            // Room for more than comes, as with a socket.
            splitter.unfilled(piece.len() + step)[..piece.len()].copy_from_slice(piece);
            splitter.fill(piece.len());
        }
        rest = later;
        loop {
            match splitter.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        assert!(splitter.buffered_bytes() <= HELD_BYTES_MAX);
    }
    (frames, false)
}

fuzz_target!(|data: &[u8]| {
    let cuts_len = data.first().map_or(0, |first| usize::from(first % 16));
    let (cuts, stream) = data.split_at((cuts_len + 1).min(data.len()));
    let whole = split(stream, &[]);
    let cut = split(stream, cuts.get(1..).unwrap_or(&[]));
    assert_eq!(whole, cut, "the frames depend on how the stream was cut");

    let mut joined = BytesMut::new();
    for frame in &whole.0 {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        put_frame(&mut joined, frame).expect("a frame that came in goes out");
    }
    assert!(stream.starts_with(&joined), "minimal prefixes leave one encoding of a frame");
});
