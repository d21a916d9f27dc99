//! Messages over byte streams of every kind of unkindness.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::executor::block_on;
use futures::io::{AsyncRead, AsyncReadExt, Cursor};
use futures::stream;
use pop_exchange::link::{LinkError, MessageReader, MessageWriter, write_all};
use pop_wire::message::{Credit, Shard};
use pop_wire::{Digest, Message, RequestId};

fn messages() -> Vec<Message> {
    let shard = |id: u64, bytes: usize| {
        Message::Shard(Shard {
            id: RequestId(id),
            segment_path: vec![Digest([1; 32]); 5],
            content_path: vec![Digest([2; 32]); 9],
            payload: Bytes::from(vec![7; bytes]),
        })
    };
    let credit = Message::Credit(Credit { bytes: 9 });
    (0..40).flat_map(|id| [shard(id, 32 * 1024), credit.clone(), shard(id, 1)]).collect()
}

/// Gives at most `step` bytes at a time, and is not ready every other time.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
    ready: bool,
}

impl AsyncRead for Dribble<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.step.min(self.bytes.len()).min(buffer.len());
        let (now, later) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(count))
    }
}

fn read_all(io: impl AsyncRead + Unpin) -> (Vec<Message>, Result<bool, LinkError>) {
    let mut reader = MessageReader::new(io);
    let mut messages = VecDeque::new();
    loop {
        match block_on(reader.read(&mut messages)) {
            Ok(true) => {}
            end => return (messages.into(), end),
        }
    }
}

fn written() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut flushed = 0;
    block_on(write_all(&mut out, stream::iter(messages()), |count| flushed += count)).unwrap();
    assert_eq!(flushed, messages().len(), "every message is reported once");
    out.into_inner()
}

#[test]
fn what_is_written_is_read_however_the_stream_is_cut() {
    let bytes = written();
    for step in [1, 100, 4_096, 70_000, usize::MAX] {
        let (read, end) = read_all(Dribble { bytes: &bytes, step, ready: false });
        assert!(matches!(end, Ok(false)));
        assert!(read == messages(), "step {step}");
    }
}

#[test]
fn a_stream_that_ends_inside_a_frame_gives_what_was_whole_and_says_so() {
    let bytes = written();
    let cut = &bytes[..bytes.len() - 1];
    let (read, end) = read_all(Cursor::new(cut));
    assert!(matches!(end, Err(LinkError::Truncated { .. })));
    assert_eq!(read.len(), messages().len() - 1);
}

#[test]
fn garbage_and_oversized_frames_end_the_link_as_the_peers_fault() {
    let oversized = [0xff, 0xff, 0xff, 0x7f, 0, 0];
    let garbage = [4, 0xff, 0xff, 0xff, 0xff];
    for bytes in [&oversized[..], &garbage[..]] {
        let mut stream = BytesMut::new();
        messages()[1].encode_frame(&mut stream).unwrap();
        stream.extend_from_slice(bytes);
        let (read, end) = read_all(Cursor::new(stream));
        assert_eq!(read.len(), 1, "what came before counts");
        assert!(matches!(end, Err(LinkError::Wire(_))));
    }
}

#[test]
fn the_writers_queue_is_bounded() {
    let mut out = Cursor::new(Vec::new());
    let mut writer = MessageWriter::new(&mut out);
    let shard = &messages()[0];
    let mut queued = 0;
    while writer.push(shard).unwrap() {
        queued += 1;
        assert!(queued < 100);
    }
    assert_eq!(block_on(writer.flush()).unwrap(), queued + 1);
    drop(writer);
    let mut bytes = Vec::new();
    block_on(Cursor::new(out.into_inner()).read_to_end(&mut bytes)).unwrap();
    assert!(bytes.len() < 512 * 1024);
}
