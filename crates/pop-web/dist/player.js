// The player page: what happens to one film, drawn.

import { Pop, linkOf } from './pop.js';

const CHART_SPAN_MS = 120_000, SAMPLE_MS = 1000, DEMO_MS = 1000, LOG_MAX = 60, NODES_DRAWN_MAX = 90;
const LOST_PER_TEN_THOUSAND = 2957, MIB = 1024 * 1024;
const byId = (id) => document.getElementById(id);
const video = byId('film');
let film = null, problemShown = null;
const samples = [], moments = [], deaths = [];

// --- Words ------------------------------------------------------------------------------------

function figure(id, value, unit) {
  const small = document.createElement('small');
  small.textContent = unit;
  byId(id).replaceChildren(`${value} `, small);
}

/** Lines that say the same of several peers at once are told as one. */
const told = new Map();

function logOf(what, peer) {
  const known = told.get(what);
  if (known && performance.now() - known.at < 1500) {
    known.count += 1;
    known.line.lastChild.textContent = `${what}: ${known.count}, the last ${short(peer)}.`;
    return;
  }
  told.set(what, { at: performance.now(), count: 1, line: log(`${what}: ${short(peer)}.`) });
}

function log(text) {
  const item = document.createElement('li'), time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  item.append(time, text);
  byId('log').prepend(item);
  while (byId('log').children.length > LOG_MAX) byId('log').lastChild.remove();
  return item;
}

const speak = (text) => { byId('spoken').textContent = text; };
const short = (peer) => `${peer.slice(0, 6)}…${peer.slice(-4)}`;

function state(text, kind = '') {
  const pill = byId('state');
  if (pill.textContent !== text) pill.textContent = text;
  pill.className = `pill ${kind}`;
}

function notice(problem, asksForLink = false) {
  problemShown = problem?.code ?? null;
  byId('notice-text').textContent = problem?.message ?? '';
  byId('notice-next').textContent = problem?.nextStep ?? '';
  byId('link-form').hidden = !asksForLink;
  byId('notice').hidden = !problem;
}

/** Problems that end nothing are told in the log, the others above the film. */
const QUIET = new Set(['no_webrtc', 'storage_blocked', 'relay_gone', 'unfunded', 'vault_low', 'records_damaged', 'ledger']);

function tellProblem(problem) {
  log(`${problem.message} ${problem.nextStep ?? ''}`);
  if (QUIET.has(problem.code)) return;
  notice(problem, ['bad_link', 'key_missing', 'wrong_key', 'unknown_content'].includes(problem.code));
  state('Trouble', 'bad');
}

// --- Film -------------------------------------------------------------------------------------

async function load() {
  film?.close();
  film = null;
  const named = location.pathname.match(/^\/play\/([\w-]+)/)?.[1] ?? '';
  byId('content-id').textContent = named;
  notice(null);
  state('Connecting');
  try {
    const link = linkOf(location.href);
    byId('another').href = location.href;
    const path = `${location.origin}/content/${named}?k=${link.split('?k=')[1]}`;
    byId('other-players').textContent = ['mpv', 'vlc', 'curl -O'].map((it) => `${it} '${path}'`).join('\n');
    const asked = new URLSearchParams(location.search);
    const opening = Pop.open(link, {
      price: asked.get('price') ?? undefined,
      priceMax: asked.get('price_max') ?? undefined,
      restream: byId('restream').checked,
      restreamLimits: limits(),
    });
    film = await opening;
    globalThis.film = film;
    follow(film);
    film.pop.problems.forEach(tellProblem);
    log(`The publisher’s signature is right: ${(film.info.lengthBytes / MIB).toFixed(1)} MiB, ${film.info.columnsNeeded} of ${film.info.columns} pieces rebuild each part.`);
    await film.attach(video);
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) video.play().catch(() => {});
  } catch (error) {
    tellProblem(error.code ? error : { message: String(error.message ?? error), nextStep: 'Load the page again.' });
  }
}

function follow(opened) {
  const on = (type, act) => opened.addEventListener(type, ({ detail }) => act(detail));
  on('problem', tellProblem);
  on('stats', draw);
  on('wallet', ({ balance, vault }) => {
    if (Number.parseFloat(balance) + Number.parseFloat(vault) === 0) fundInDemo(opened.pop);
    figure('balance', tokens(Number.parseFloat(balance) + Number.parseFloat(vault)), 'POP');
    byId('balance').parentElement.hidden = false;
  });
  opened.pop.lookAtWallet();
  on('sourceUp', ({ peer, kind }) => kind === 'masternode' && logOf(`Linked to ${kind}s`, peer));
  on('sourceDown', ({ peer, kind }) => {
    logOf(`Lost ${kind}s`, peer);
    moments.push({ at: performance.now(), kind: 'lost' });
    if (video.duration) deaths.push(video.currentTime / video.duration);
  });
  on('peerFault', ({ peer, kind, rule }) => log(`Dropped ${kind} ${short(peer)}: ${rule}.`));
  on('sourceResting', ({ peer, silentMs }) => log(`${short(peer)} was silent for ${(silentMs / 1000).toFixed(1)} s and rests.`));
  on('starving', ({ reachable, needed }) => log(`Only ${reachable} of ${needed} pieces that are needed are within reach.`));
  on('recovered', () => {
    log('Enough sources again.');
    moments.push({ at: performance.now(), kind: 'restored' });
    if (problemShown) notice(null);
  });
  on('relayUp', ({ peer }) => log(`Meeting other viewers through ${short(peer)}.`));
  on('relayDown', ({ peer }) => log(`The relay ${short(peer)} is gone.`));
  on('viewerUp', ({ peer }) => { log(`Linked to viewer ${short(peer)}.`); speak('Another viewer is linked.'); });
  on('viewerDown', ({ peer }) => log(`Viewer ${short(peer)} left.`));
  on('retry', ({ at }) => log(`The player lost its stream and goes on at ${at.toFixed(1)} s.`));
}

byId('link-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('link-input').value.trim();
  const bare = /^[\w-]{16,}$/.test(text);
  try {
    const link = bare ? null : linkOf(text);
    const [, id, key] = link ? link.match(/^pop:([\w-]+)\?k=([\w-]+)/) ?? [] : [null, byId('content-id').textContent, text];
    if (!id || !key) throw new Error('There is no key in that text.');
    history.replaceState(null, '', `/play/${id}#k=${key}`);
    load();
  } catch (error) {
    notice(error, true);
  }
});
addEventListener('hashchange', load);

let stalls = 0, seeking = false;
video.addEventListener('seeking', () => { seeking = true; });
video.addEventListener('playing', () => {
  seeking = false;
  state('Playing', 'good');
  if (problemShown) notice(null);
});
video.addEventListener('pause', () => state(video.ended ? 'The end' : 'Paused'));
video.addEventListener('waiting', () => {
  if (seeking || video.currentTime === 0 || video.ended) return;
  stalls += 1;
  byId('stalls').textContent = stalls;
  state('Waiting', 'bad');
});

// --- Consent, wallet, saving --------------------------------------------------------------------

function limits() {
  const most = Number(byId('restream-max').value);
  return { bytesPerSecondMax: most || undefined };
}

function consent() {
  const on = byId('restream').checked;
  try { localStorage.setItem('pop-restream', JSON.stringify({ on, most: byId('restream-max').value })); } catch { /* It is asked again. */ }
  if (film) film.pop.restream = { on, ...limits() };
  metered();
}

function metered() {
  const held = navigator.connection?.saveData || navigator.connection?.type === 'cellular';
  byId('restream-words').textContent = held
    ? 'This connection is metered, so nothing is passed on to other viewers.'
    : 'While you watch, this tab passes encrypted pieces on to other viewers. They see your IP address, as you see theirs.';
}

try {
  const said = JSON.parse(localStorage.getItem('pop-restream') ?? 'null');
  if (said) {
    byId('restream').checked = Boolean(said.on);
    byId('restream-max').value = said.most;
  }
} catch { /* Nothing was said. */ }
byId('restream').addEventListener('change', consent);
byId('restream-max').addEventListener('change', consent);
navigator.connection?.addEventListener?.('change', metered);
metered();

function save(blob, name) {
  const anchor = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

byId('export-key').addEventListener('click', async () => {
  if (!film) return;
  const key = await film.pop.exportKey();
  const hex = Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('');
  save(new Blob([`${hex}\n`], { type: 'text/plain' }), 'pop-viewer-key.txt');
});
byId('save-film').addEventListener('click', async () => {
  if (!film) return;
  log('Saving the film.');
  const end = film.info.mediaType.split('/')[1] || 'bin';
  save(await film.blob(), `${film.id.slice(0, 12)}.${end}`);
});

const actions = {
  ' ': () => (video.paused ? video.play() : video.pause()),
  k: () => actions[' '](),
  ArrowLeft: () => { video.currentTime -= 5; },
  ArrowRight: () => { video.currentTime += 5; },
  m: () => { video.muted = !video.muted; },
  f: () => (document.fullscreenElement ? document.exitFullscreen() : video.requestFullscreen()),
};
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, button, select, summary, a, video, ul')) return;
  if (/^[0-9]$/.test(event.key) && video.duration) video.currentTime = video.duration * Number(event.key) / 10;
  else if (actions[event.key]) actions[event.key]();
  else return;
  event.preventDefault();
});

// --- Drawing --------------------------------------------------------------------------------------

function svg(name, attributes, text) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const percent = (part, whole) => (whole > 0 ? ` · ${Math.round((100 * part) / whole)} %` : '');
const mebibytes = (bytes) => (bytes / MIB).toFixed(bytes < 100 * MIB ? 1 : 0);
const tokens = (amount) => {
  const value = Number.parseFloat(amount);
  return value === 0 ? '0' : value < 0.0001 ? value.toExponential(2) : value.toFixed(4);
};

function draw(stats) {
  const { fromMasternodesBytes: masternodes, fromViewersBytes: viewers, upBytes: up } = stats;
  figure('from-masternodes', mebibytes(masternodes), `MiB${percent(masternodes, masternodes + viewers)}`);
  figure('from-viewers', mebibytes(viewers), `MiB${percent(viewers, masternodes + viewers)}`);
  figure('up', mebibytes(up), 'MiB');
  figure('ahead', (aheadMs(stats) / 1000).toFixed(1), 's');
  figure('spent', tokens(stats.spent), 'POP');
  figure('earned', tokens(stats.earned), 'POP');
  sample(stats.at, { masternodes, viewers, up });
  drawBuffer(stats);
  drawGraph(stats.sources);
}

/** What the engine has, or what the player has of it. */
function aheadMs(stats) {
  let own = 0;
  for (let i = 0; i < video.buffered.length; i += 1) {
    if (video.buffered.start(i) <= video.currentTime + 0.25 && video.currentTime <= video.buffered.end(i)) {
      own = (video.buffered.end(i) - video.currentTime) * 1000;
    }
  }
  return Math.max(own, stats.bufferedMs);
}

function sample(at, totals) {
  const before = samples.at(-1);
  if (before && at - before.at < SAMPLE_MS - 100) return;
  const rates = {};
  for (const name of ['masternodes', 'viewers', 'up']) {
    rates[name] = before ? (8 * Math.max(0, totals[name] - before.totals[name])) / ((at - before.at) * 1000) : 0;
    byId(`rate-${name}`).textContent = rates[name].toFixed(1);
  }
  samples.push({ at, totals, rates });
  while (samples[0].at < at - CHART_SPAN_MS) samples.shift();
  while (moments.length && moments[0].at < at - CHART_SPAN_MS) moments.shift();
  drawChart(at);
}

function drawChart(now) {
  const width = byId('chart').clientWidth || 720, height = 150, floor = 130, roof = 16;
  const top = Math.max(1, ...samples.flatMap(({ rates }) => Object.values(rates))) * 1.1;
  const x = (at) => width * (1 - (now - at) / CHART_SPAN_MS);
  const y = (rate) => floor - ((floor - roof) * rate) / top;
  const parts = [
    svg('line', { class: 'axis', x1: 0, x2: width, y1: floor, y2: floor }),
    svg('text', { x: 0, y: height - 4 }, '2 min ago'),
    svg('text', { x: width, y: height - 4, 'text-anchor': 'end' }, 'now'),
    svg('text', { x: 0, y: 11 }, `${top.toFixed(top < 10 ? 1 : 0)} Mbit/s`),
  ];
  for (const name of ['masternodes', 'viewers', 'up']) {
    const points = samples.map(({ at, rates }) => `${x(at).toFixed(1)},${y(rates[name]).toFixed(1)}`);
    if (points.length < 2) continue;
    if (name !== 'up') {
      parts.push(svg('polygon', { class: name, points: `${x(samples[0].at)},${floor} ${points.join(' ')} ${x(now)},${floor}` }));
    }
    parts.push(svg('polyline', { class: name, points: points.join(' ') }));
  }
  for (const moment of moments) {
    parts.push(svg('line', { class: moment.kind, x1: x(moment.at), x2: x(moment.at), y1: roof, y2: floor }));
  }
  byId('chart').replaceChildren(...parts);
}

function drawBuffer({ held, positionBytes }) {
  const length = film?.info?.lengthBytes || 1, width = byId('buffer').clientWidth || 720;
  const x = (bytes) => (width * bytes) / length;
  const at = video.duration ? (video.currentTime / video.duration) * length : positionBytes;
  const here = held.reduce((sum, [start, end]) => sum + end - start, 0);
  byId('buffer').setAttribute('viewBox', `0 0 ${width} 30`);
  byId('buffer').replaceChildren(
    svg('rect', { class: 'whole', x: 0, y: 7, width, height: 16, rx: 4 }),
    ...held.map(([start, end]) => svg('rect', { class: 'held', x: x(start), y: 7, width: Math.max(1, x(end - start)), height: 16 })),
    svg('rect', { class: 'played', x: 0, y: 7, width: x(at), height: 16 }),
    ...deaths.map((part) => svg('path', { class: 'died', d: `M${width * part - 4} 11l8 8m0 -8l-8 8` })),
    svg('rect', { class: 'head', x: Math.min(width - 3, x(at)), y: 1, width: 3, height: 28, rx: 1.5 }),
  );
  byId('buffer-words').textContent = `${Math.round((100 * here) / length)} % of the film`;
}

const demoDead = new Set();

function drawGraph(sources) {
  const drawn = sources.slice(0, NODES_DRAWN_MAX);
  const radius = drawn.length > 40 ? 8 : 12, links = [], nodes = [];
  const count = { masternode: 0, viewer: 0, gone: 0 };
  drawn.forEach((source, i) => {
    const gone = source.state === 'gone' || demoDead.has(source.peer);
    if (gone) count.gone += 1;
    else count[source.kind] += 1;
    const angle = (2 * Math.PI * i) / drawn.length - Math.PI / 2;
    const far = drawn.length > 24 && i % 2 ? 0.74 : 1;
    const x = 200 + 176 * far * Math.cos(angle), y = 150 + 130 * far * Math.sin(angle);
    const busy = !gone && source.inFlight > 0;
    if (!gone) links.push(svg('line', { class: `link ${source.kind}${busy ? ' busy' : ''}`, x1: x, y1: y, x2: 200, y2: 150 }));
    const waiting = !gone && source.state !== 'live';
    const group = svg('g', { class: `${source.kind}${gone ? ' gone' : waiting ? ' waiting' : ''}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
    const shape = source.kind === 'viewer'
      ? svg('rect', { class: 'disc', x: -radius, y: -radius, width: 2 * radius, height: 2 * radius, rx: 4 })
      : svg('circle', { class: 'disc', r: radius });
    group.append(shape, svg('title', {}, `${source.kind} ${source.peer}, ${gone ? 'gone' : source.state}, ${mebibytes(source.receivedBytes)} MiB received, ${mebibytes(source.sentBytes)} MiB sent`));
    if (gone) {
      const c = radius * 0.45;
      group.append(svg('path', { class: 'cross', d: `M${-c} ${-c}L${c} ${c}M${c} ${-c}L${-c} ${c}` }));
    }
    nodes.push(group);
  });
  byId('graph').replaceChildren(...links, svg('circle', { class: 'you', cx: 200, cy: 150, r: 22 }),
    svg('text', { x: 200, y: 154 }, 'you'), ...nodes);
  const more = sources.length - drawn.length;
  byId('graph-words').textContent = `${count.masternode} ${count.masternode === 1 ? 'masternode' : 'masternodes'} (round), ${count.viewer} ${count.viewer === 1 ? 'viewer' : 'viewers'} (square)`
    + `${count.gone ? `, ${count.gone} gone (✕)` : ''}${more > 0 ? `, ${more} more` : ''}`;
}

// --- Demo network ---------------------------------------------------------------------------------

let demoSaid = '';

function drawDemo({ nodes, phase, killed, columns_missing: missing, k, n }) {
  for (const node of nodes) {
    if (node.alive) demoDead.delete(node.peer);
    else demoDead.add(node.peer);
  }
  const words = String(phase).replaceAll('_', ' ').replace(/\.$/, '');
  byId('phase').textContent = `${words.charAt(0).toUpperCase()}${words.slice(1)} — ${nodes.length - killed} of ${nodes.length} nodes alive`;
  byId('phase').className = `phase ${missing > 0 ? 'losing' : killed > 0 ? 'whole' : ''}`;
  const bearable = Math.ceil((nodes.length * LOST_PER_TEN_THOUSAND) / 10_000);
  byId('promise').textContent = `29.57 % of the nodes, ${bearable} of ${nodes.length}, may vanish at the same moment and nothing is lost: any ${k} of ${n} pieces rebuild each part of the film.`;
  const held = new Set(nodes.filter((node) => node.alive).flatMap((node) => node.columns));
  byId('columns').replaceChildren(...Array.from({ length: n }, (_, column) => {
    const item = document.createElement('li');
    if (!held.has(column)) item.className = 'missing';
    return item;
  }));
  byId('columns-words').textContent = `${n - missing} of ${n} columns on a live node, ${k} needed`;
  const said = `${words}, ${killed} nodes killed`;
  if (said !== demoSaid) {
    demoSaid = said;
    speak(said);
    log(`Demo: ${said}.`);
  }
}

let funding = false;

/** A demo gives its viewers a little to pay with; elsewhere nobody answers. */
async function fundInDemo(pop) {
  if (funding) return;
  funding = true;
  try {
    const answer = await fetch('/api/v1/demo/wallet', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ address: pop.wallet }),
    });
    if (!answer.ok) return;
    const { funded } = await answer.json();
    pop.deposit(Number(funded) / 2);
    log(`The demo gives this viewer ${funded} POP; half of it goes into the vault that pays for the film.`);
  } catch {
    log('The demo could not fund this viewer. Load the page again for another try.');
  }
}

async function watchDemo() {
  try {
    const answer = await fetch('/api/v1/demo', { cache: 'no-store' });
    if (answer.status === 404) return;
    if (answer.ok) {
      byId('demo').hidden = false;
      drawDemo(await answer.json());
    }
  } catch {
    byId('phase').textContent = 'The demo has ended or does not answer';
  }
  setTimeout(watchDemo, DEMO_MS);
}

load();
watchDemo();
