//! Two programs that can't dial each other agree on a WebRTC connection through a relay that can't read
//! what they say.
//!
//! ```sh
//! cargo run -p examples --example signal_through_relay                     # all three, as threads
//! cargo run -p examples --example signal_through_relay -- relay 127.0.0.1:4700
//! cargo run -p examples --example signal_through_relay -- answer 127.0.0.1:4700
//! cargo run -p examples --example signal_through_relay -- offer 127.0.0.1:4700
//! ```
//!
//! Both know the link of a film, so both know its key: that is how they meet. The links are bare TCP
//! with the handshake before everything else. Descriptions are made up: a browser's would do.
#![expect(clippy::disallowed_methods, reason = "a program reads the clock that its machines lack")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use pop_signal::handshake::{ChannelBinding, Handshake, Proven};
use pop_signal::limits::HANDSHAKE_FRAME_BYTES_MAX;
use pop_signal::message::BODY_BYTES_MAX;
use pop_signal::relay::{self, Relay, RelayConfig};
use pop_signal::session::{Event, Now, Output, Sessions, SessionsConfig};
use pop_signal::{DtlsFingerprint, LinkId, Prefix, RelayMessage, SealKeypair};
use pop_wire::{ContentId, FrameSplitter, Instant, Keypair, UnixTime};

type Failure = Box<dyn Error + Send + Sync>;

/// Of the film that both watch; they have it from its link.
const CONTENT: (ContentId, [u8; 32]) = (ContentId([1; 32]), [2; 32]);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["relay", address] => serve(&TcpListener::bind(address)?),
        ["offer", address] => view(address, true),
        ["answer", address] => view(address, false),
        [] => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?.to_string();
            std::thread::spawn(move || serve(&listener));
            let other = address.clone();
            let answering = std::thread::spawn(move || view(&other, false));
            view(&address, true)?;
            answering.join().map_err(|_| "the answering side panicked")?
        }
        _ => Err("expected nothing, or: relay | offer | answer, and an address".into()),
    }
}

/// 32 bytes that nobody else knows. A program of any worth takes them from `getrandom`.
fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn now(started: Clock) -> Result<Now, Failure> {
    let elapsed_ms = u64::try_from(started.elapsed().as_millis())?;
    let unix = UnixTime(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    Ok(Now { instant: Instant(elapsed_ms), unix })
}

/// The next frame's body, or `None` at the end of the stream.
fn read(stream: &mut TcpStream, splitter: &mut FrameSplitter) -> Result<Option<Bytes>, Failure> {
    loop {
        if let Some(body) = splitter.next_frame()? {
            return Ok(Some(body));
        }
        let count = stream.read(splitter.unfilled(4_096))?;
        splitter.fill(count);
        if count == 0 {
            return Ok(None);
        }
    }
}

/// The first frames of every link: who is at the other end? Over bare TCP there is nothing to bind
/// the answer to, so whoever sits in between can still read and write.
fn prove(
    stream: &mut TcpStream,
    splitter: &mut FrameSplitter,
    keypair: &Keypair,
    dials: bool,
) -> Result<Proven, Failure> {
    splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
    let (started, binding) = (Clock::now(), ChannelBinding::none());
    let mut handshake = if dials {
        let (handshake, challenge) =
            Handshake::new_dialer(keypair, None, random()?, binding, Instant(0));
        stream.write_all(&challenge)?;
        handshake
    } else {
        Handshake::new_listener(keypair, None, random()?, binding, Instant(0))
    };
    stream.set_read_timeout(Some(Duration::from_millis(handshake.deadline().0)))?;
    let proven = loop {
        let body = read(stream, splitter)?.ok_or("closed during the handshake")?;
        let step = handshake.receive(now(started)?.instant, &body)?;
        if let Some(frame) = step.send {
            stream.write_all(&frame)?;
        }
        if let Some(proven) = step.done {
            break proven;
        }
    };
    stream.set_read_timeout(None)?;
    splitter.limit_bodies(BODY_BYTES_MAX);
    Ok(proven)
}

fn write(stream: &mut TcpStream, message: &RelayMessage) -> Result<(), Failure> {
    let mut frame = BytesMut::new();
    message.encode_frame(&mut frame);
    Ok(stream.write_all(&frame)?)
}

/// What the threads that read tell the one that has the machine.
enum Heard {
    Up(TcpStream, Proven),
    Message(RelayMessage),
    Down,
}

/// The relay: one thread for each link reads, this one thinks and writes.
fn serve(listener: &TcpListener) -> Result<(), Failure> {
    let keypair = Keypair::from_secret_bytes(&random()?)?;
    let (heard, inbox) = channel();
    let (listener, mine) = (listener.try_clone()?, keypair.clone());
    std::thread::spawn(move || -> Result<(), Failure> {
        for number in 0.. {
            let (stream, _) = listener.accept()?;
            let (heard, keypair) = (heard.clone(), mine.clone());
            std::thread::spawn(move || {
                let link = LinkId(number);
                if let Err(error) = listen(stream, link, &keypair, &heard) {
                    eprintln!("relay: {link}: {error}");
                }
                let _the_relay_is_gone = heard.send((link, Heard::Down));
            });
        }
        Ok(())
    });
    relay(&mut Relay::new(keypair.peer_id(), RelayConfig::default(), random()?), &inbox)
}

fn listen(
    mut stream: TcpStream,
    link: LinkId,
    keypair: &Keypair,
    heard: &Sender<(LinkId, Heard)>,
) -> Result<(), Failure> {
    let mut splitter = FrameSplitter::new();
    let proven = prove(&mut stream, &mut splitter, keypair, false)?;
    heard.send((link, Heard::Up(stream.try_clone()?, proven)))?;
    while let Some(body) = read(&mut stream, &mut splitter)? {
        heard.send((link, Heard::Message(RelayMessage::decode(body)?)))?;
    }
    Ok(())
}

fn relay(relay: &mut Relay, inbox: &Receiver<(LinkId, Heard)>) -> Result<(), Failure> {
    let started = Clock::now();
    let mut streams = BTreeMap::new();
    loop {
        let input = match inbox.recv_timeout(Duration::from_secs(1)) {
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => relay::Input::Tick,
            Ok((link, Heard::Message(message))) => relay::Input::Message { link, message },
            Ok((link, Heard::Down)) => {
                streams.remove(&link);
                relay::Input::LinkDown { link }
            }
            Ok((link, Heard::Up(stream, proven))) => {
                println!("relay: {link} is {}", proven.peer);
                let prefix = Prefix::of(stream.peer_addr()?.ip());
                streams.insert(link, stream);
                relay::Input::ClientUp { link, prefix }
            }
        };
        relay.handle(now(started)?.instant, input)?;
        while let Some(output) = relay.poll() {
            match output {
                relay::Output::Send { link, message } => {
                    let bytes = message.frame_bytes();
                    println!("relay: {bytes} bytes to {link}: that is all I know of them");
                    if let Some(stream) = streams.get_mut(&link) {
                        // If it breaks, the thread that reads it will say so.
                        let _broken = write(stream, &message);
                    }
                }
                relay::Output::Close { link, .. } => drop(streams.remove(&link)),
                _ => {}
            }
        }
    }
}

/// One viewer: meets the other, and offers or answers.
fn view(address: &str, offers: bool) -> Result<(), Failure> {
    let name = if offers { "alice" } else { "bob" };
    let keypair = Keypair::from_secret_bytes(&random()?)?;
    let mut stream = TcpStream::connect(address)?;
    let mut splitter = FrameSplitter::new();
    let relay = prove(&mut stream, &mut splitter, &keypair, true)?.peer;
    println!("{name}: the relay is {relay}");

    let (started, seal) = (Clock::now(), SealKeypair::from_secret_bytes(random()?));
    let mut sessions = Sessions::new(&keypair, seal, SessionsConfig::default(), random()?);
    sessions.relay_up(now(started)?, relay);
    let (content, key) = CONTENT;
    // Who seeks announces itself; who doesn't waits for those who do, and offers.
    sessions.attend(now(started)?, content, &key, !offers)?;

    let (heard, inbox) = channel();
    let mut reading = stream.try_clone()?;
    std::thread::spawn(move || -> Result<(), Failure> {
        while let Some(body) = read(&mut reading, &mut splitter)? {
            heard.send(RelayMessage::decode(body)?)?;
        }
        Ok(())
    });
    let (mut met, mut done) = (false, false);
    while !done {
        while let Some(output) = sessions.poll() {
            let event = match output {
                Output::Send(message) => {
                    write(&mut stream, &message)?;
                    continue;
                }
                Output::Event(event) => event,
                _ => continue,
            };
            match event {
                Event::Met { contact, .. } if !met => {
                    met = true;
                    println!("{name}: {} watches it, too", contact.peer);
                    sessions.offer(now(started)?, &contact, description(name)?)?;
                }
                Event::Offered { session, peer, fingerprint, .. } => {
                    println!("{name}: {peer} offers, by certificate {fingerprint}");
                    let _binding = sessions.answer(now(started)?, session, description(name)?)?;
                    done = true;
                }
                Event::Answered { session, peer, fingerprint, .. } => {
                    println!("{name}: {peer} answers, by certificate {fingerprint}");
                    sessions.connected(now(started)?, session);
                    done = true;
                }
                Event::Ended { reason, .. } => return Err(reason.into()),
                _ => {}
            }
        }
        let wait = Duration::from_millis(100);
        match inbox.recv_timeout(wait) {
            Ok(message) => sessions.receive(now(started)?, message),
            Err(RecvTimeoutError::Timeout) => sessions.tick(now(started)?),
            Err(RecvTimeoutError::Disconnected) if !done => return Err("the relay is gone".into()),
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }
    // What is still to be said: the answer.
    while let Some(output) = sessions.poll() {
        if let Output::Send(message) = output {
            write(&mut stream, &message)?;
        }
    }
    Ok(())
}

fn description(name: &str) -> Result<String, Failure> {
    let fingerprint = DtlsFingerprint(random()?);
    Ok(format!("v=0\r\ns={name}\r\na=fingerprint:sha-256 {fingerprint}\r\n"))
}
