// `restream: 'srtp'`: a viewer captures its player and sends it as a live track, DTLS-SRTP, to
// viewers that ask. Nobody can verify such a picture, so it is marked, never paid for, and never
// put into the cache. The player is encoded anew for each viewer.

const KINDS = ['video', 'audio'];

/** Sends what a player shows; takes what others send. */
export class Live {
  #tracks = new Map();
  #senders = new Set();

  constructor({ sends, takes, onTrack }) {
    Object.assign(this, { sends, takes, onTrack });
  }

  /** Before a connection is described. Offering, one line for each kind says what is sent and what
   * is asked for; answering, what was asked for is sent, and what wasn't asked for is refused. */
  prepare(connection, offers) {
    connection.addEventListener('track', ({ track }) => this.#take(track));
    if (offers) {
      // Most viewers want neither, and their descriptions are short.
      for (const kind of this.sends || this.takes ? KINDS : []) connection.addTransceiver(kind, { direction: this.#direction(this.sends, this.takes) });
    } else {
      for (const transceiver of connection.getTransceivers()) {
        transceiver.direction = this.#direction(this.sends, this.takes);
        // What was offered was told of before anybody could listen.
        this.#take(transceiver.receiver.track);
      }
    }
    if (!this.sends) return;
    for (const { sender, receiver } of connection.getTransceivers()) {
      const entry = { sender, kind: receiver.track.kind };
      this.#senders.add(entry);
      this.#fill(entry);
      connection.addEventListener('connectionstatechange', () => {
        if (/failed|closed/.test(connection.connectionState)) this.#senders.delete(entry);
      });
    }
  }

  /** Send what this player shows, from now on. */
  capture(player) {
    const stream = (player.captureStream ?? player.mozCaptureStream)?.call(player);
    if (!stream) return false;
    const take = () => {
      for (const track of stream.getTracks()) this.#tracks.set(track.kind, track);
      this.#senders.forEach((entry) => this.#fill(entry));
    };
    stream.addEventListener('addtrack', take);
    take();
    return true;
  }

  /** Nothing is told of a track before anything comes over it. */
  #take(track) {
    if (!this.takes) return;
    const tell = () => this.onTrack({ track, stream: new MediaStream([track]), verified: false });
    if (track.muted) track.addEventListener('unmute', tell, { once: true });
    else tell();
  }

  #direction(sends, takes) {
    return sends && takes ? 'sendrecv' : sends ? 'sendonly' : takes ? 'recvonly' : 'inactive';
  }

  #fill({ sender, kind }) {
    const track = this.#tracks.get(kind);
    if (track && sender.track !== track) sender.replaceTrack(track).catch(() => {});
  }
}
