// What is compared: for each a URL whose page plays the film and has `window.viewer`, with its name
// and where its bytes came from.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import Tracker from 'bittorrent-tracker/server';
import { Viewer } from './browser.mjs';
import { startMasternodes } from './masternodes.mjs';
import { serve } from './site.mjs';

const packages = join(dirname(fileURLToPath(import.meta.url)), 'node_modules');

export async function prepare({ names, ...what }) {
  const subjects = [];
  for (const name of names) subjects.push({ name, ...(await CASES[name](what)) });
  return subjects;
}

const CASES = { plain, webtorrent, p2pml, pop };

const gzipBytes = files => files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);

const page = script => `<!doctype html><video controls muted width=640></video><script type=module>
const video = document.querySelector('video');
${script}</script>`;

async function tracker() {
  const server = new Tracker({ udp: false, http: false, ws: true, stats: false });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `ws://127.0.0.1:${server.ws.address().port}`, end: () => server.close() };
}

/** The floor: the browser's own fetching from one server, no peers. */
async function plain({ film }) {
  const html = page(`
    video.src = '/film.mp4';
    window.viewer = { name: () => 'none', sources: () => ({ origin: 1, peers: 0 }) };`);
  const site = await serve({ pages: new Map([['/', html]]), files: new Map([['/film.mp4', film]]) });
  return { url: `${site.origin}/`, bundleBytes: 0, end: site.end };
}

/** One seeder, a Chromium of its own; the viewers have the .torrent file from the web server. */
async function webtorrent({ film }) {
  const dist = join(packages, 'webtorrent/dist');
  const announce = await tracker();
  const client = `
    import WebTorrent from '/dist/webtorrent.min.js';
    const client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } } });
    client.on('error', error => console.error(error));`;
  const seed = page(`${client}
    const blob = await (await fetch('/film.mp4')).blob();
    client.seed(new File([blob], 'film.mp4', { type: 'video/mp4' }), { announce: ['${announce.url}'] }, torrent => {
      window.torrentFile = btoa(String.fromCharCode(...torrent.torrentFile));
      window.seeding = true;
    });`);
  const watch = page(`${client}
    const registration = await navigator.serviceWorker.register('/sw.min.js', { scope: '/' });
    const worker = registration.active ?? registration.waiting ?? registration.installing;
    if (worker.state !== 'activated') await new Promise(resolve =>
      worker.addEventListener('statechange', () => worker.state === 'activated' && resolve()));
    client.createServer({ controller: registration });
    const torrentFile = new Uint8Array(await (await fetch('/film.torrent')).arrayBuffer());
    const torrent = client.add(torrentFile, { announce: ['${announce.url}'] });
    torrent.on('ready', () => torrent.files[0].streamTo(video));
    const from = new Map();
    torrent.on('wire', wire => wire.on('download', bytes => from.set(wire.peerId, (from.get(wire.peerId) ?? 0) + bytes)));
    window.viewer = {
      name: () => client.peerId,
      sources(peer) {
        const of = is => [...from].filter(([id]) => is(id)).reduce((sum, [, bytes]) => sum + bytes, 0);
        return { origin: of(id => id !== peer), peers: of(id => id === peer) };
      },
    };`);
  const pages = new Map([['/seed', seed], ['/', watch]]);
  const files = new Map([['/film.mp4', film], ['/dist/', `${dist}/`], ['/sw.min.js', join(dist, 'sw.min.js')]]);
  const site = await serve({ pages, files });
  const seeder = await Viewer.start();
  await seeder.page.goto(`${site.origin}/seed`);
  await seeder.page.waitForFunction(() => window.seeding, null, { timeout: 60_000 });
  pages.set('/film.torrent', Buffer.from(await seeder.page.evaluate(() => window.torrentFile), 'base64'));
  return {
    url: `${site.origin}/`,
    bundleBytes: gzipBytes([join(dist, 'webtorrent.min.js'), join(dist, 'sw.min.js')]),
    end: async () => { await seeder.close(); site.end(); announce.end(); },
  };
}

/** HLS with segments of about 4 s from the web server, and viewers that share them. */
async function p2pml({ film }) {
  const hls = mkdtempSync(join(tmpdir(), 'pop-hls-'));
  const cut = spawnSync('ffmpeg', ['-v', 'error', '-i', film, '-c', 'copy', '-f', 'hls', '-hls_time', '4',
    '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4', join(hls, 'film.m3u8')], { stdio: 'inherit' });
  if (cut.status !== 0) throw new Error('ffmpeg failed');
  const announce = await tracker();
  const bundles = {
    'hls.js': 'hls.js/dist/hls.min.js',
    'p2p-media-loader-core': 'p2p-media-loader-core/dist/p2p-media-loader-core.es.min.js',
    'p2p-media-loader-hlsjs': 'p2p-media-loader-hlsjs/dist/p2p-media-loader-hlsjs.es.min.js',
  };
  const files = new Map([['/hls/', `${hls}/`]]);
  const imports = {};
  for (const [name, path] of Object.entries(bundles)) {
    imports[name] = `/packages/${name}.js`;
    files.set(imports[name], join(packages, path));
  }
  const html = `<!doctype html><script type=importmap>${JSON.stringify({ imports })}</script>
    <script src="/packages/hls.js.js"></script>` + page(`
    import { HlsJsP2PEngine } from 'p2p-media-loader-hlsjs';
    const bytes = { origin: 0, peers: 0 };
    const name = crypto.randomUUID();
    const HlsWithP2P = HlsJsP2PEngine.injectMixin(Hls);
    const player = new HlsWithP2P({ p2p: {
      core: { announceTrackers: ['${announce.url}'], rtcConfig: { iceServers: [] } },
      onHlsJsCreated: hls => hls.p2pEngine.addEventListener('onChunkDownloaded', (count, source) => {
        bytes[source === 'p2p' ? 'peers' : 'origin'] += count;
      }),
    } });
    player.attachMedia(video);
    player.loadSource(location.origin + '/hls/film.m3u8');
    window.viewer = { name: () => name, sources: () => bytes };`);
  const site = await serve({ pages: new Map([['/', html]]), files });
  return {
    url: `${site.origin}/`,
    bundleBytes: gzipBytes(Object.values(bundles).map(path => join(packages, path))),
    end: () => { site.end(); announce.end(); },
  };
}

/** Masternodes, any 19 of 27 of which can rebuild the film, and viewers that re-stream it. */
async function pop({ film, node, masternodes: count, dist }) {
  const masternodes = await startMasternodes(node, film, Number(count));
  const html = page(`
    import { Pop } from '/web/pop.js';
    const film = await Pop.open('${masternodes.link}', { entries: ${JSON.stringify(masternodes.entries)}, scope: '/' });
    await film.attach(video);
    window.viewer = {
      name: () => '',
      sources: () => ({ origin: film.stats().fromMasternodesBytes, peers: film.stats().fromViewersBytes }),
    };`);
  const site = await serve({ pages: new Map([['/', html]]), files: new Map([['/web/', `${dist}/`]]) });
  const bundle = readdirSync(dist).filter(name => /\.(js|wasm)$/.test(name) && name !== 'player.js');
  return {
    url: `${site.origin}/`,
    bundleBytes: gzipBytes(bundle.map(name => join(dist, name))),
    end: () => { site.end(); masternodes.end(); },
  };
}
