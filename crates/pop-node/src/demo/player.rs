//! A player without a screen: fetches over HTTP ahead of its playhead, plays at the media's own
//! pace, and counts when it had to wait.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::monotonic_now;
use crate::error::NodeError;
use crate::http_client;

/// Media that a player wants to have before it starts, and again after a stall.
const START_BUFFER: Duration = Duration::from_millis(500);

/// Media that a player fetches ahead of its playhead; then it stops reading.
const BUFFER_MAX: Duration = Duration::from_secs(10);

/// How often the playhead moves.
const TICK: Duration = Duration::from_millis(20);

/// What the player saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Playback {
    pub(super) stalls: u64,
    pub(super) stall_ms: u64,
    pub(super) first_byte_ms: u64,
    pub(super) identical: bool,
    pub(super) bytes: u64,
}

/// Where playback is, for whoever watches it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) played_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) stalls: u64,
    pub(super) buffered_ms: u64,
}

/// What is played, and how fast.
#[derive(Debug, Clone)]
pub(super) struct Film {
    pub(super) gateway: SocketAddr,
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
    pub(super) digest: blake3::Hash,
}

impl Film {
    /// Bytes that `media` plays.
    fn bytes_of(&self, media: Duration) -> u64 {
        let share = media.as_secs_f64() / self.duration.as_secs_f64().max(0.001);
        let total = u32_parts(self.bytes) * share;
        float_to_bytes(total).min(self.bytes)
    }

    fn media_of(&self, bytes: u64) -> Duration {
        if self.bytes == 0 {
            return Duration::ZERO;
        }
        self.duration.mul_f64(u32_parts(bytes) / u32_parts(self.bytes))
    }
}

/// Play the film from its first byte to its last.
pub(super) async fn play(
    film: &Film,
    position: &watch::Sender<Position>,
) -> Result<Playback, NodeError> {
    let asked = monotonic_now();
    let mut response = http_client::get(film.gateway, &film.path, None).await?;
    let mut hasher = blake3::Hasher::new();
    let mut clock = Playhead::new(film.clone());
    let mut playback = Playback::default();
    let mut tick = tokio::time::interval(TICK);
    let mut ended = film.bytes == 0;
    while !clock.finished() {
        let room = !ended && clock.ahead() < BUFFER_MAX;
        tokio::select! {
            piece = response.next(), if room => match piece? {
                Some(piece) => {
                    if playback.bytes == 0 {
                        playback.first_byte_ms = milliseconds(asked.elapsed());
                    }
                    hasher.update(&piece);
                    playback.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    clock.received(playback.bytes);
                }
                None => ended = true,
            },
            _ = tick.tick() => {
                clock.advance(monotonic_now());
                position.send_replace(clock.position());
            }
        }
        if ended && playback.bytes < film.bytes {
            let (got, expected) = (playback.bytes, film.bytes);
            return Err(NodeError::Demo(format!("playback ended after {got} of {expected} bytes")));
        }
    }
    playback.stalls = clock.stalls;
    playback.stall_ms = milliseconds(clock.stalled);
    playback.identical = hasher.finalize() == film.digest;
    Ok(playback)
}

/// The playhead: moves with the clock while there is something to play.
struct Playhead {
    film: Film,
    received: u64,
    played: Duration,
    last: Option<Instant>,
    state: State,
    stalls: u64,
    stalled: Duration,
}

/// ```text
/// Starting --enough buffered--> Playing --nothing left--> Stalled --enough buffered--> Playing
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Playing,
    Stalled,
}

impl Playhead {
    fn new(film: Film) -> Self {
        Self {
            film,
            received: 0,
            played: Duration::ZERO,
            last: None,
            state: State::Starting,
            stalls: 0,
            stalled: Duration::ZERO,
        }
    }

    fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// Media received and not yet played.
    fn ahead(&self) -> Duration {
        self.film.media_of(self.received).saturating_sub(self.played)
    }

    fn finished(&self) -> bool {
        self.played >= self.film.duration && self.received >= self.film.bytes
            || self.film.bytes == 0
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = self.last.map_or(Duration::ZERO, |last| now.duration_since(last));
        self.last = Some(now);
        let complete = self.received >= self.film.bytes;
        if self.state == State::Playing {
            let playable = self.film.media_of(self.received);
            let next = self.played + elapsed;
            if next <= playable || complete {
                self.played = next.min(self.film.duration);
                return;
            }
            self.played = playable;
            self.state = State::Stalled;
            self.stalls += 1;
            self.stalled += next - playable;
        } else {
            if self.state == State::Stalled {
                self.stalled += elapsed;
            }
            if complete || self.ahead() >= START_BUFFER {
                self.state = State::Playing;
            }
        }
    }

    fn position(&self) -> Position {
        Position {
            played_bytes: self.film.bytes_of(self.played),
            received_bytes: self.received,
            stalls: self.stalls,
            buffered_ms: milliseconds(self.ahead()),
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A count of bytes as a float: exact up to 2^53, far above any file.
#[expect(clippy::cast_precision_loss, reason = "a playhead needs no exact bytes")]
fn u32_parts(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and capped by the file's length"
)]
fn float_to_bytes(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Film {
        Film {
            gateway: SocketAddr::from(([127, 0, 0, 1], 1)),
            path: String::new(),
            bytes: 10_000,
            duration: Duration::from_secs(10),
            digest: blake3::hash(b""),
        }
    }

    #[test]
    fn a_gap_in_the_data_is_one_stall_of_its_length() {
        let start = monotonic_now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut playhead = Playhead::new(film());
        playhead.received(2_000);
        playhead.advance(at(0));
        for second in 1..=5 {
            playhead.advance(at(second));
        }
        assert_eq!((playhead.stalls, playhead.played), (1, Duration::from_secs(2)));
        playhead.received(10_000);
        playhead.advance(at(6));
        assert_eq!(playhead.stalled, Duration::from_secs(4));
        for second in 7..=14 {
            playhead.advance(at(second));
        }
        assert!(playhead.finished());
        assert_eq!(playhead.stalls, 1);
    }

    #[test]
    fn data_that_is_always_ahead_never_stalls() {
        let start = monotonic_now();
        let mut playhead = Playhead::new(film());
        for second in 0..=11 {
            playhead.received((second + 1) * 1_000);
            playhead.advance(start + Duration::from_secs(second));
        }
        assert!(playhead.finished());
        assert_eq!((playhead.stalls, playhead.stalled), (0, Duration::ZERO));
    }
}
