//! One byte stream as two tasks and a queue each way: the same for serving and for asking.

use std::collections::VecDeque;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use pop_exchange::LinkId;
use pop_exchange::link::{LinkError, MessageReader, MessageWriter};
use pop_wire::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Messages put into one flush at most, so that a long queue still reports progress.
const MESSAGES_PER_FLUSH_MAX: usize = 64;

/// Whether the owner of a link wants to hear what the transport took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushes {
    /// It counts what waits to be sent.
    Told,
    /// It sends only what it was asked for.
    Untold,
}

/// What comes of a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The peer said this, in this order: everything that was there at once.
    Messages(VecDeque<Message>),
    /// The transport took so many of the messages given to the sender.
    Flushed(usize),
    /// The link is gone; nothing more comes of it.
    Down,
}

/// Puts messages on a link. The queue behind it is bounded by the machine that fills it: it sends
/// no more than its peer asked and gave credit for. Dropping it closes the link.
#[derive(Debug)]
pub(crate) struct LinkSender {
    messages: mpsc::UnboundedSender<Message>,
    stop: CancellationToken,
}

impl LinkSender {
    /// Queue a message. After the link's end it goes nowhere, and [`LinkEvent::Down`] said so.
    pub(crate) fn send(&self, message: Message) {
        let _down = self.messages.send(message);
    }
}

impl Drop for LinkSender {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Run `stream` as link `link` until `stop`: its events go to `events`, which slows the peer down
/// while full.
pub(crate) fn spawn(
    (tasks, stop): (&TaskTracker, &CancellationToken),
    link: LinkId,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    (events, flushes): (mpsc::Sender<(LinkId, LinkEvent)>, Flushes),
) -> LinkSender {
    let (read_half, write_half) = stream.split();
    let (messages, queue) = mpsc::unbounded_channel();
    let node_stop = stop.clone();
    let stop = stop.child_token();
    let reader = MessageReader::new(read_half);
    let writer = MessageWriter::new(write_half);
    let flushed = (flushes == Flushes::Told).then(|| events.clone());
    tasks.spawn(read(link, reader, events, stop.clone()));
    tasks.spawn(write(link, writer, (queue, flushed), (stop.clone(), node_stop)));
    LinkSender { messages, stop }
}

async fn read<R: futures::AsyncRead + Unpin>(
    link: LinkId,
    mut reader: MessageReader<R>,
    events: mpsc::Sender<(LinkId, LinkEvent)>,
    stop: CancellationToken,
) {
    let messages = async {
        loop {
            let mut batch = VecDeque::new();
            match reader.read(&mut batch).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(%link, %error, "link ends");
                    return;
                }
            }
            if events.send((link, LinkEvent::Messages(batch))).await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(messages).await;
    stop.cancel();
    let _owner_gone = events.send((link, LinkEvent::Down)).await;
}

async fn write<W: futures::AsyncWrite + Unpin>(
    link: LinkId,
    mut writer: MessageWriter<W>,
    (mut queue, events): (
        mpsc::UnboundedReceiver<Message>,
        Option<mpsc::Sender<(LinkId, LinkEvent)>>,
    ),
    (stop, node_stop): (CancellationToken, CancellationToken),
) {
    let mut batch = Vec::with_capacity(MESSAGES_PER_FLUSH_MAX);
    loop {
        let waiting = queue.recv_many(&mut batch, MESSAGES_PER_FLUSH_MAX);
        // An owner that lets go may have sent a last word: only the node's end cuts that off.
        if !matches!(node_stop.run_until_cancelled(waiting).await, Some(1..)) {
            break;
        }
        match write_batch(&mut writer, batch.drain(..)).await {
            Ok(flushed) => {
                let Some(events) = &events else { continue };
                if events.send((link, LinkEvent::Flushed(flushed))).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                tracing::debug!(%link, %error, "link does not take messages");
                break;
            }
        }
    }
    // What was queued before the owner let go has been sent; now the stream ends.
    let _closing = node_stop.run_until_cancelled(writer.close()).await;
    stop.cancel();
}

async fn write_batch<W: futures::AsyncWrite + Unpin>(
    writer: &mut MessageWriter<W>,
    messages: impl Iterator<Item = Message>,
) -> Result<usize, LinkError> {
    let mut flushed = 0;
    for message in messages {
        if !writer.push(&message)? {
            flushed += writer.flush().await?;
        }
    }
    Ok(flushed + writer.flush().await?)
}
