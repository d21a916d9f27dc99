// The second way to a player: fragmented MP4 as media segments, for pages that no service worker
// controls. The window of what is buffered is ours, not the browser's.

import { fragmentIn, initialisation } from './mp4.js';

const AHEAD_SECONDS = 30, BEHIND_SECONDS = 20, LOOK_MS = 500;
/** How far to look for a fragment after a jump into a film without an index. */
const SCAN_BYTES = 4 * 1024 * 1024;

const MediaSourceHere = () => globalThis.ManagedMediaSource ?? globalThis.MediaSource;

export const isFragmented = (head) => Boolean(initialisation(head));

/** Whether it plays. */
export async function playByMediaSource(film, player, signal) {
  const Source = MediaSourceHere();
  const head = await film.read(0, Math.min(film.info.lengthBytes, 262_144), { signal });
  const beginning = initialisation(head);
  if (!Source || !beginning?.codecs.length) return false;
  const kind = player.tagName === 'AUDIO' ? 'audio' : 'video';
  const type = `${kind}/mp4; codecs="${beginning.codecs.join(', ')}"`;
  if (!Source.isTypeSupported(type)) return false;
  const source = new Source();
  const url = URL.createObjectURL(source);
  player.disableRemotePlayback = true;
  player.src = url;
  await once(source, 'sourceopen', signal);
  if (film.info.durationMs) source.duration = film.info.durationMs / 1000;
  const feed = new Feed(film, player, source, source.addSourceBuffer(type), beginning, signal);
  await feed.append(head.subarray(0, beginning.end));
  feed.run(beginning.end);
  player.addEventListener('seeking', () => feed.jump(), { signal });
  signal.addEventListener('abort', () => {
    if (player.src === url) {
      player.removeAttribute('src');
      player.load();
    }
    URL.revokeObjectURL(url);
  }, { once: true });
  return true;
}

class Feed {
  constructor(film, player, source, buffer, beginning, signal) {
    Object.assign(this, { film, player, source, buffer, beginning, signal });
    this.running = null;
  }

  /** Feed from an offset on, until the end or a jump. */
  async run(offset) {
    this.running?.abort();
    const running = this.running = new AbortController();
    const stop = () => running.abort();
    this.signal.addEventListener('abort', stop, { once: true });
    const stream = this.film.stream({ start: offset, signal: running.signal });
    try {
      for await (const bytes of stream) {
        while (this.ahead() > AHEAD_SECONDS) await pause(LOOK_MS, running.signal);
        running.signal.throwIfAborted();
        await this.append(bytes);
      }
      if (this.source.readyState === 'open') this.source.endOfStream();
    } catch (error) {
      if (!running.signal.aborted) this.film.tell('problem', error);
    } finally {
      this.signal.removeEventListener('abort', stop);
    }
  }

  /** The player jumped to where nothing is buffered. */
  async jump() {
    const at = this.player.currentTime;
    const { buffered } = this.player;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= at && at < buffered.end(i)) return;
    }
    this.running?.abort();
    const offset = await this.offsetOf(at).catch(() => null);
    if (offset === null || this.player.currentTime !== at) return;
    await this.idle();
    if (this.source.readyState === 'ended') this.source.duration = this.source.duration;
    this.buffer.abort();
    this.run(offset);
  }

  async offsetOf(seconds) {
    const { index, end } = this.beginning;
    const known = index.findLast((entry) => entry.seconds <= seconds);
    if (known) return known.offset;
    const { lengthBytes, durationMs } = this.film.info;
    const part = Math.max(0, seconds * 1000 / (durationMs || this.player.duration * 1000) - 0.02);
    const from = Math.max(end, Math.floor(lengthBytes * part));
    const to = Math.min(lengthBytes, from + SCAN_BYTES);
    const found = fragmentIn(await this.film.read(from, to, { signal: this.signal }));
    return found < 0 ? null : from + found;
  }

  async append(bytes) {
    await this.idle();
    try {
      this.buffer.appendBuffer(bytes);
    } catch (error) {
      if (error.name !== 'QuotaExceededError') throw error;
      const keepFrom = this.player.currentTime - BEHIND_SECONDS;
      if (keepFrom > 0) this.buffer.remove(0, keepFrom);
      await pause(LOOK_MS, this.signal);
      return this.append(bytes);
    }
    return this.idle();
  }

  idle() {
    return this.buffer.updating ? once(this.buffer, 'updateend', this.signal) : Promise.resolve();
  }

  ahead() {
    const { buffered, currentTime } = this.player;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + 0.5 && currentTime < buffered.end(i)) {
        return buffered.end(i) - currentTime;
      }
    }
    return 0;
  }
}

function once(target, event, signal) {
  return new Promise((resolve, reject) => {
    target.addEventListener(event, resolve, { once: true, signal });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  setTimeout(resolve, milliseconds);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
});
