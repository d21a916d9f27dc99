// A film in a tab: POP beside WebTorrent, p2p-media-loader and plain HTTP.
//
//     node benches/browser/compare.mjs [--rounds 5] [--film film.mp4] [--cases plain,webtorrent]
//                                      [--node target/release/pop-node] [--masternodes 27]
//                                      [--json results.json]
//
// Needs Chromium (POP_CHROMIUM, or /usr/bin/chromium), npm, and ffmpeg for the HLS of
// p2p-media-loader. What npm installs goes to a directory in TMPDIR, and all of it stays on
// loopback. Every case takes its turn in every round; each viewer is a browser process with a new
// profile. In a round and case:
//
// - one viewer opens the page: `first_frame_ms` from the start of the navigation, and at once seeks
//   to 80, 10, 95 and 50 %: `seek_cold_ms` is the first of them, `seek_ms` all;
// - a second one opens the page and plays for 20 s: `cpu_s` of all its processes from the
//   navigation on, `stalls` after the first frame, and `one_origin_percent`, what it had from the
//   seeder, server or masternodes;
// - a third joins while the second plays on: `two_peer_percent`, its bytes that came from that
//   viewer, and its `two_first_frame_ms`.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    film: { type: 'string', default: join(root, 'crates/pop-node/assets/big-buck-bunny.mp4') },
    cases: { type: 'string', default: 'plain,webtorrent,p2pml,pop' },
    node: { type: 'string', default: join(root, 'target/release/pop-node') },
    masternodes: { type: 'string', default: '27' },
    dist: { type: 'string', default: join(root, 'crates/pop-web/dist') },
    play: { type: 'string', default: '20' },
    json: { type: 'string' },
  },
});

/** The packages, installed once, with these sources beside them. */
function install() {
  const scratch = join(tmpdir(), 'pop-browser-comparison');
  mkdirSync(scratch, { recursive: true });
  for (const name of ['package.json', 'browser.mjs', 'cases.mjs', 'masternodes.mjs', 'site.mjs'])
    cpSync(join(here, name), join(scratch, name));
  if (!existsSync(join(scratch, 'node_modules/webtorrent'))) {
    // Without scripts: one of them wants to fetch a program from elsewhere.
    const flags = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
    const done = spawnSync('npm', flags, { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'] });
    if (done.status !== 0) throw new Error('npm install failed');
  }
  return scratch;
}

const scratch = install();
const from = name => import(pathToFileURL(join(scratch, name)));
const { Viewer } = await from('browser.mjs');
const { prepare } = await from('cases.mjs');

const middle = values => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};

async function round(subject) {
  const figures = {};
  const first = await Viewer.start();
  figures.first_frame_ms = await first.open(subject.url);
  const seeks = [];
  for (const share of [0.8, 0.1, 0.95, 0.5]) seeks.push(await first.seek(share));
  figures.seek_cold_ms = seeks[0];
  figures.seek_ms = seeks;
  await first.close();
  if (subject.settled) await subject.settled();

  const second = await Viewer.start();
  const before = second.cpuSeconds();
  await second.open(subject.url);
  await second.play(Number(options.play));
  figures.cpu_s = second.cpuSeconds() - before;
  figures.stalls = await second.stalls();
  const one = await second.sources();
  figures.one_origin_percent = percent(one.origin, one.origin + one.peers);

  const third = await Viewer.start();
  figures.two_first_frame_ms = await third.open(subject.url);
  await third.play(Number(options.play));
  const two = await third.sources(await second.name());
  figures.two_peer_percent = percent(two.peers, two.origin + two.peers);
  figures.stalls += await third.stalls();
  await third.close();
  await second.close();
  return figures;
}

const percent = (part, whole) => (whole === 0 ? 0 : Math.round((1000 * part) / whole) / 10);

const subjects = await prepare({ ...options, names: options.cases.split(',') });
const results = Object.fromEntries(subjects.map(subject => [subject.name, []]));
for (let index = 0; index < Number(options.rounds); index++) {
  for (const subject of subjects) {
    const figures = await round(subject);
    results[subject.name].push(figures);
    console.error(index + 1, subject.name, JSON.stringify(figures));
  }
}

const rows = ['first_frame_ms', 'seek_cold_ms', 'seek_ms', 'cpu_s', 'stalls', 'one_origin_percent', 'two_first_frame_ms', 'two_peer_percent'];
console.log(`| median (min..max), n = ${options.rounds} | ${subjects.map(it => it.name).join(' | ')} |`);
console.log(`|---|${subjects.map(() => '---:').join('|')}|`);
const shown = value => (Math.abs(value) < 100 ? Number(value.toFixed(1)) : Math.round(value));
for (const row of rows) {
  const cells = subjects.map(subject => {
    const values = results[subject.name].flatMap(it => it[row]);
    return `${shown(middle(values))} (${shown(Math.min(...values))}..${shown(Math.max(...values))})`;
  });
  console.log(`| ${row} | ${cells.join(' | ')} |`);
}
console.log(`| bundle, bytes of gzip -9 | ${subjects.map(it => it.bundleBytes).join(' | ')} |`);
if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 1));
for (const subject of subjects) await subject.end();
process.exit(0);
