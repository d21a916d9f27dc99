// The dedicated worker: the engine with all bytes. The window sends it what the page wants and the
// channels of peer connections; service workers read from it over ports.

import init, { Shell } from './pop_web.js';
import { StandIn } from './stand-in.js';
import { Store } from './store.js';

const STATS_MS = 500, READS_MAX = 48;

let shell, store, options;
let films = new Set();
let nextRead = 1;
/** Open reads: number to port, oldest use first. */
const reads = new Map();

/** The engine's outputs. It must not be called from in here: it is at work. */
const outputs = {
  data({ read, bytes }) {
    reads.get(read)?.postMessage({ bytes: bytes.buffer }, [bytes.buffer]);
  },
  end({ read }) {
    endRead(read, { end: true });
  },
  readFailed({ read, error }) {
    endRead(read, { error: error.message });
  },
  cacheStore({ token, key, bytes }) {
    store.save(key, bytes).then((isStored) => shell.cacheStored(token, isStored));
  },
  cacheLoad({ token, key }) {
    store.load(key).then((bytes) => shell.cacheLoaded(token, bytes));
  },
  cacheDelete({ key }) {
    store.remove(key);
  },
  persist({ token, key, value }) {
    store.persist(key, value).then((isSafe) => shell.persisted(token, isSafe));
  },
};

function tell(message) {
  const act = outputs[message.type];
  if (act) act(message);
  else postMessage(message);
}

function endRead(read, last) {
  const port = reads.get(read);
  if (!port) return;
  reads.delete(read);
  port.postMessage(last);
}

/** Neither the store nor the compiler waits for what the window has to say. */
const opening = Store.open();
let compiled;
const compiling = new Promise((resolve) => { compiled = resolve; });

/** What the window asks. */
const orders = {
  async start(given) {
    options = given;
    const instantiating = compiling.then((module) => init({ module_or_path: module ?? options.wasm }));
    store = await opening;
    const cacheBytesMax = await store.cacheBytesMax(options.cacheBytesMax);
    await instantiating;
    shell = new Shell({
      ...options,
      secret: store.secret,
      seed: crypto.getRandomValues(new Uint8Array(32)),
      records: store.records,
      cached: store.cached,
      cacheBytesMax,
    }, tell);
    setInterval(report, STATS_MS);
    const { slot, problems } = store;
    postMessage({ type: 'ready', slot, problems, cacheBytesMax, wallet: shell.wallet });
  },
  open({ film, link }) {
    films.add(film);
    shell.open(film, link);
  },
  close({ film }) {
    films.delete(film);
    shell.close(film);
  },
  play: ({ film, position, rate, isWaiting }) => shell.play(film, position, rate, isWaiting),
  read({ film, start, end, port }) {
    const read = nextRead++;
    if (reads.size >= READS_MAX) {
      const [oldest] = reads.keys();
      shell.stop(oldest);
      endRead(oldest, { error: 'too many reads' });
    }
    reads.set(read, port);
    const stop = () => {
      if (reads.delete(read)) shell.stop(read);
    };
    port.onmessage = ({ data }) => {
      if (data.stop) return stop();
      if (!reads.has(read)) return;
      // Whoever was read last is dropped last.
      reads.delete(read);
      reads.set(read, port);
      shell.pull(read, data.pull);
    };
    // A service worker that is killed says nothing else.
    port.onclose = stop;
    shell.read(read, film, start, end);
    port.postMessage({ taken: true });
  },
  channel: ({ link, channel }) => shell.channel(link, channel),
  standIn: ({ link, port }) => shell.channel(link, new StandIn(port)),
  bind: ({ link, offerer, answerer }) => shell.bind(link, offerer, answerer),
  messageBytesMax: ({ link, bytes }) => shell.messageBytesMax(link, bytes),
  linkDown: ({ link }) => shell.linkDown(link),
  rtcDescription: ({ rtc, sdp }) => shell.rtcDescription(rtc, sdp),
  rtcCandidate: ({ rtc, candidate, sdpMid, sdpMLineIndex }) =>
    shell.rtcCandidate(rtc, candidate, sdpMid ?? undefined, sdpMLineIndex ?? undefined),
  rtcCandidatesDone: ({ rtc }) => shell.rtcCandidatesDone(rtc),
  rtcDown: ({ rtc }) => shell.rtcDown(rtc),
  upload: ({ limits }) => shell.upload(limits),
  online: ({ isOnline }) => shell.online(isOnline),
  deposit: ({ amount }) => shell.deposit(amount),
  redeem: () => shell.redeem(),
  lookAtWallet: () => shell.lookAtWallet(),
  exportKey: ({ question }) => postMessage({ type: 'answer', question, value: store.secret.slice() }),
  async importKey({ question, secret }) {
    const value = await store.importSecret(secret).then(() => true, () => false);
    postMessage({ type: 'answer', question, value });
  },
};

function report() {
  if (!films.size) return;
  const looks = Array.from(films, (film) => [film, shell.filmStats(film)]);
  postMessage({ type: 'stats', films: looks, engine: shell.engineStats() });
}

/** Orders are taken in the order in which they came, also while the engine is being started. */
let turn = Promise.resolve();
let started = false;
onmessage = ({ data }) => {
  if (data.type === 'module') return compiled(data.module);
  const act = () => orders[data.type](data);
  const failed = (error) => postMessage({ type: 'broken', message: String(error?.message ?? error) });
  if (started) {
    try {
      act();
    } catch (error) {
      failed(error);
    }
    return undefined;
  }
  turn = turn.then(act).then(() => {
    started = true;
  }, failed);
  return undefined;
};
