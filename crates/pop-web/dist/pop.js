// POP in a page: `const film = await Pop.open('pop:…?k=…'); film.attach(video)`.
//
// The window owns peer connections and players, a dedicated worker owns bytes, a service worker
// answers the ranges that a player asks for. Nothing here needs a bundler.

import init, { Peers } from './pop_web.js';
import { Problem, problem } from './problem.js';
import { Live } from './live.js';
import { playBySource } from './source.js';
import { serve } from './stand-in.js';
import { serviceWorker, PING_MS } from './service.js';

export { Problem };

const CACHE_BYTES_MAX = 512 * 1024 * 1024, WINDOW_BYTES = 32 * 1024 * 1024;
/** A player asks for bytes ahead of what it shows; the engine is told what it shows. */
const PLAYHEAD_MS = 250;
const READ_PULL_BYTES = 1024 * 1024;

const here = (path) => new URL(path, import.meta.url).href;

/** A `pop:` link out of one, or out of a player page's address. */
export function linkOf(text) {
  const plain = String(text).trim();
  if (plain.startsWith('pop:')) return plain;
  let url;
  try {
    url = new URL(plain, globalThis.location?.href);
  } catch {
    throw problem('bad_link');
  }
  const id = url.pathname.match(/\/(?:play|content)\/([\w-]+)\/?$/)?.[1];
  const key = (url.hash.match(/[#&]k=([\w-]+)/) || url.search.match(/[?&]k=([\w-]+)/))?.[1];
  if (!id) throw problem('bad_link');
  if (!key) throw problem('key_missing');
  return `pop:${id}?k=${key}`;
}

/** Compile while it is loaded; `null` leaves it to whoever needs it. */
const compile = (url) => WebAssembly.compileStreaming(fetch(url)).catch(() => null);

const isMetered = () => {
  const connection = globalThis.navigator?.connection;
  return Boolean(connection && (connection.saveData || connection.type === 'cellular'));
};

/** One node in this page: an identity, links, a cache, any number of films. */
export class Pop extends EventTarget {
  static #shared = null;

  /** Open a film with the page's one node, which is started with the first film's options. */
  static async open(link, options = {}) {
    if (!Pop.#shared) {
      const pop = new Pop();
      const starting = pop.#start(options);
      Pop.#shared = { pop, starting };
      starting.catch(() => { Pop.#shared = null; });
    }
    // The film need not wait until all else is ready, nor the other way round.
    const { pop, starting } = Pop.#shared;
    const [film] = await Promise.all([pop.open(link, options), starting]);
    return film;
  }

  /** Start a node of its own. */
  static async start(options = {}) {
    const pop = new Pop();
    await pop.#start(options);
    return pop;
  }

  #worker;
  #peers = null;
  #films = new Map();
  #nextFilm = 1;
  #questions = new Map();
  #nextQuestion = 1;
  #session = crypto.randomUUID ? crypto.randomUUID() : Math.random().toString(36).slice(2);
  #restream = { on: true };
  #closed = new AbortController();
  #ready;
  #wasm;
  #begun = Promise.resolve();
  #live = null;
  #problems = new Map();

  /** What is wrong now and ends nothing: no WebRTC, no storage, offline, the relay gone. */
  get problems() {
    return [...this.#problems.values()];
  }

  /** Everything that takes time goes on at once: the directory's answer, the service worker, the
   * worker's scripts, its storage, and the compiler, which is needed once for window and worker. */
  async #start(options) {
    if (typeof WebAssembly !== 'object' || typeof Worker !== 'function') throw problem('no_wasm');
    this.options = options;
    const asked = this.#entries(options);
    this.#wasm = compile(here('./pop_web_bg.wasm'));
    this.#worker = new Worker(here('./worker.js'), { type: 'module', name: 'pop' });
    const ready = new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.#worker.onerror = (event) => {
        event.preventDefault?.();
        reject(problem('broken', event.message));
      };
    });
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#wasm.then((module) => this.#send({ type: 'module', module }));
    const webrtc = options.webrtc !== false && typeof RTCPeerConnection === 'function';
    this.#restream = { on: options.restream !== false, ...options.restreamLimits };
    const sends = options.restream === 'srtp', takes = Boolean(options.live);
    this.#live = new Live({ sends, takes, onTrack: (detail) => this.#emit('liveTrack', detail) });
    this.service = options.serviceWorker === false
      ? Promise.resolve(null)
      : serviceWorker(options.serviceWorker || here('./sw.js'), options.scope, (read) => this.#serve(read));
    this.#begun = asked.then((entries) => this.#send({
      type: 'start',
      wasm: here('./pop_web_bg.wasm'),
      entries: entries.entries,
      ledger: options.ledger ?? null,
      ledgerAddresses: options.ledgerAddresses ?? entries.ledger ?? [],
      priceMax: String(options.priceMax ?? entries.price_max ?? 0),
      price: String(options.price ?? 0),
      securePage: location.protocol === 'https:',
      webrtc,
      windowBytes: options.windowBytes ?? WINDOW_BYTES,
      cacheBytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX,
      upload: this.#limits(),
    }));
    const { signal } = this.#closed;
    addEventListener('online', () => this.#online(true), { signal });
    addEventListener('offline', () => this.#online(false), { signal });
    navigator.connection?.addEventListener?.('change', () => this.#upload(), { signal });
    // Whoever waits for it hears of it here.
    this.#begun.catch(() => this.#worker.terminate());
    ready.catch(() => {});
    await this.#begun;
    const { problems, wallet } = await ready;
    this.wallet = wallet;
    this.#worker.onerror = (event) => this.#problem(problem('broken', event.message));
    if (!webrtc) this.#problem(problem('no_webrtc'));
    for (const code of problems) this.#problem(problem(code));
  }

  /** Where to begin: what the page says, else what the server of the page says. */
  async #entries(options) {
    if (options.entries) return { entries: [...options.entries] };
    try {
      const answer = await fetch(options.directory ?? '/api/v1/web', { signal: options.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      return await answer.json();
    } catch (error) {
      if (error?.name === 'AbortError') throw error;
      throw problem('no_entry', String(error?.message ?? error));
    }
  }

  /** Open a film: resolves once its publisher's description is here and the key fits. */
  async open(link, { signal } = {}) {
    signal?.throwIfAborted();
    await this.#begun;
    const film = new Film(this, this.#nextFilm++, linkOf(link), {
      send: (message, transfer) => this.#send(message, transfer),
      session: this.#session,
      forget: () => this.#films.delete(film.number),
    });
    this.#films.set(film.number, film);
    const opened = film.opened(signal);
    this.#send({ type: 'open', film: film.number, link: film.link });
    // Problems so far concern this film too.
    try {
      await opened;
    } catch (error) {
      film.close();
      throw error;
    }
    return film;
  }

  /** What is given to other viewers: `{ on, bytesPerSecondMax, bytesMax }`. */
  get restream() {
    return { ...this.#restream, metered: isMetered() };
  }

  set restream(limits) {
    this.#restream = { ...this.#restream, ...limits };
    this.#upload();
  }

  /** The viewer's private key, 32 bytes, for a backup. It never leaves the browser otherwise. */
  exportKey() {
    return this.#ask({ type: 'exportKey' });
  }

  /** Another private key, from the next start on. */
  importKey(secret) {
    return this.#ask({ type: 'importKey', secret });
  }

  /** Put POP, a decimal number, into the vault that viewing is paid from. */
  deposit(amount) {
    this.#send({ type: 'deposit', amount: String(amount) });
  }

  /** Cash in what was earned. */
  redeem() {
    this.#send({ type: 'redeem' });
  }

  /** Ask the ledger; a `wallet` event follows. */
  lookAtWallet() {
    this.#send({ type: 'lookAtWallet' });
  }

  /** @internal In `srtp` mode, send what this player shows. */
  showsLive(player) {
    if (this.#live.sends) this.#live.capture(player);
  }

  /** Leave: every film, link and connection. */
  close() {
    this.#closed.abort();
    for (const film of this.#films.values()) film.close();
    this.#worker?.terminate();
    this.#peers?.then((peers) => peers.close());
    this.service?.then((service) => service?.close());
    this.dispatchEvent(new Event('close'));
  }

  #limits() {
    return { ...this.#restream, on: this.#restream.on && !isMetered() };
  }

  #upload() {
    this.#send({ type: 'upload', limits: this.#limits() });
    this.dispatchEvent(new CustomEvent('restream', { detail: this.restream }));
  }

  #online(isOnline) {
    this.#send({ type: 'online', isOnline });
    if (!isOnline) this.#problem(problem('offline'));
    else {
      this.#problems.delete('offline');
      this.#emit('recovered', { code: 'offline' });
    }
  }

  #send(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  #ask(message) {
    const question = this.#nextQuestion++;
    return new Promise((resolve) => {
      this.#questions.set(question, resolve);
      this.#send({ ...message, question });
    });
  }

  /** A service worker wants bytes. */
  #serve({ session, film, start, end, port }) {
    if (session !== this.#session || !this.#films.has(film)) return false;
    this.#send({ type: 'read', film, start, end, port }, [port]);
    return true;
  }

  /** What the worker says. */
  #hear(message) {
    switch (message.type) {
      case 'ready': return this.#ready(message);
      case 'opened': return this.#films.get(message.film)?.took(message.info);
      case 'failed': return this.#films.get(message.film)?.failed(new Problem(message.error));
      case 'stats':
        for (const [film, stats] of message.films) this.#films.get(film)?.looked(stats, message.engine);
        return undefined;
      case 'event': return this.#event(message.event);
      case 'dial': case 'closeLink': case 'rtc': return this.#connect(message);
      case 'answer':
        this.#questions.get(message.question)?.(message.value);
        return this.#questions.delete(message.question);
      case 'broken': return this.#problem(problem('broken', message.message));
      default: return undefined;
    }
  }

  #event({ type, ...detail }) {
    if (type === 'problem') return this.#problem(new Problem(detail.error));
    if (type === 'relayUp') this.#problems.delete('relay_gone');
    if (type === 'recovered') this.#problems.delete('sources_gone');
    if (detail.film !== undefined) return this.#films.get(detail.film)?.tell(type, detail);
    return this.#emit(type, detail);
  }

  #problem(what) {
    this.#problems.set(what.code, what);
    return this.#emit('problem', what);
  }

  /** On the node, and on each of its films. */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    for (const film of this.#films.values()) film.tell(type, detail);
  }

  /** Peer connections, which only a window may have. */
  #connect(message) {
    if (!this.#peers) {
      if (message.type === 'closeLink') return;
      this.#peers = this.#wasm
        .then((module) => init({ module_or_path: module ?? here('./pop_web_bg.wasm') }))
        .then(() => new Peers(
          this.options.iceServers ?? [],
          (told) => this.#give(told),
          (connection, offers) => this.#live.prepare(connection, offers),
        ));
    }
    this.#peers.then((peers) => peers.handle(message));
  }

  /** A channel goes to the worker where a browser allows it; else its bytes do. */
  #give(message) {
    if (message.type !== 'channel') return this.#send(message);
    const { link, channel } = message;
    if (this.options.transferChannels !== false) {
      try {
        return this.#send({ type: 'channel', link, channel }, [channel]);
      } catch {
        // It stays here.
      }
    }
    const { port1, port2 } = new MessageChannel();
    serve(channel, port1);
    return this.#send({ type: 'standIn', link, port: port2 }, [port2]);
  }
}

/** An open content. Made by `Pop.open`. */
export class Film extends EventTarget {
  #hooks;
  #opening = null;
  #stats = null;
  #closed = new AbortController();

  constructor(pop, number, link, hooks) {
    super();
    this.pop = pop;
    this.number = number;
    this.link = link;
    this.#hooks = hooks;
  }

  /** What the publisher says of it. */
  info = null;

  get id() {
    return this.info?.content ?? this.link.match(/^pop:([\w-]+)/)?.[1] ?? '';
  }

  /** The latest look at it: bytes by origin, sources, buffer, money. Renewed twice a second. */
  stats() {
    return this.#stats;
  }

  /** Where a player finds it, while a service worker controls this page. */
  async url() {
    const service = await this.pop.service;
    if (!service) return null;
    const query = new URLSearchParams({
      bytes: String(this.info.lengthBytes), id: this.id, type: this.info.mediaType,
    });
    return `${service.scope}pop-stream/${this.#hooks.session}/${this.number}?${query}`;
  }

  /** Play it in a `<video>` or `<audio>`. Resolves once it has a source. */
  async attach(player, { signal } = {}) {
    const ends = [this.#closed.signal, signal].filter(Boolean);
    const end = new AbortController();
    for (const other of ends) {
      if (other.aborted) end.abort();
      other.addEventListener('abort', () => end.abort(), { once: true });
    }
    this.#followPlayhead(player, end.signal);
    await playBySource(this, player, end.signal);
    this.pop.showsLive(player);
    return { detach: () => end.abort() };
  }

  /** Bytes from `start` to before `end`, as a stream. */
  stream({ start = 0, end = this.info.lengthBytes, signal } = {}) {
    const { port1, port2 } = new MessageChannel();
    let pulled = null;
    const ends = [this.#closed.signal, signal].filter(Boolean);
    return new ReadableStream({
      start: (controller) => {
        const fail = (error) => {
          controller.error(error);
          port1.postMessage({ stop: true });
          port1.close();
        };
        for (const other of ends) {
          if (other.aborted) fail(other.reason);
          other.addEventListener('abort', () => {
            try { fail(other.reason); } catch { /* It ended before. */ }
          }, { once: true });
        }
        port1.onmessage = ({ data }) => {
          if (data.bytes) controller.enqueue(new Uint8Array(data.bytes));
          if (data.end) controller.close();
          if (data.error) controller.error(new Error(data.error));
          if (!data.taken) pulled?.();
        };
        this.#hooks.send({ type: 'read', film: this.number, start, end, port: port2 }, [port2]);
      },
      pull: () => new Promise((resolve) => {
        pulled = resolve;
        port1.postMessage({ pull: READ_PULL_BYTES });
      }),
      cancel: () => {
        port1.postMessage({ stop: true });
        port1.close();
      },
    }, { highWaterMark: 0 });
  }

  /** Bytes from `start` to before `end`, at once. */
  async read(start, end, { signal } = {}) {
    const stream = this.stream({ start, end, signal });
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** The whole film as a file, for a button that saves it. */
  async blob({ signal } = {}) {
    const bytes = await new Response(this.stream({ signal })).blob();
    return bytes.slice(0, bytes.size, this.info.mediaType);
  }

  /** Let go of it. What is cached stays, and is served on. */
  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new DOMException('the film is closed', 'AbortError'));
    this.#hooks.send({ type: 'close', film: this.number });
    this.#hooks.forget();
    this.tell('close');
  }

  /** @internal Resolves once it is open. */
  opened(signal) {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /** @internal */
  took(info) {
    this.info = info;
    this.#opening?.resolve();
  }

  /** @internal */
  failed(error) {
    this.#opening?.reject(error);
    this.tell('problem', error);
  }

  /** @internal */
  looked(stats, engine) {
    if (!stats) return;
    this.#stats = { ...stats, engine, at: performance.now() };
    this.tell('stats', this.#stats);
  }

  /** @internal */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #followPlayhead(player, signal) {
    const { lengthBytes, durationMs } = this.info;
    const look = () => {
      const seconds = Number.isFinite(player.duration) && player.duration > 0
        ? player.duration : durationMs / 1000;
      if (!(seconds > 0)) return;
      const pace = lengthBytes / seconds;
      const position = Math.min(lengthBytes, Math.floor(player.currentTime * pace));
      const rate = player.paused || player.ended ? 0 : Math.ceil(pace * player.playbackRate);
      const isWaiting = !player.ended && player.readyState < player.HAVE_FUTURE_DATA;
      this.#hooks.send({ type: 'play', film: this.number, position, rate, isWaiting });
    };
    look();
    const timer = setInterval(look, PLAYHEAD_MS);
    for (const event of ['play', 'pause', 'seeking', 'ratechange', 'waiting', 'canplay']) {
      player.addEventListener(event, look, { signal });
    }
    const ping = setInterval(() => this.pop.service.then((service) => service?.ping()), PING_MS);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      clearInterval(ping);
    }, { once: true });
  }
}
