// One viewer: a Chromium process of its own with a new profile, and what it measures.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const TICKS_PER_SECOND = 100;

/** Runs in every page before its own scripts. */
function observe() {
  const find = node => {
    const video = node.querySelector?.('video');
    if (video) return video;
    for (const element of node.querySelectorAll('*')) {
      const inside = element.shadowRoot && find(element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  const measured = { stalls: 0, seeking: false };
  window.measured = measured;
  const look = setInterval(() => {
    const video = document.documentElement && find(document);
    if (!video) return;
    clearInterval(look);
    measured.video = video;
    video.muted = true;
    video.requestVideoFrameCallback(() => { measured.firstFrame = performance.now(); });
    video.addEventListener('waiting', () => {
      if (measured.firstFrame && !measured.seeking && !video.seeking) measured.stalls++;
    });
    video.addEventListener('canplay', () => video.play().catch(() => {}));
  }, 1);
  measured.seek = share => new Promise(resolve => {
    const { video } = measured;
    const target = video.duration * share;
    const started = performance.now();
    measured.seeking = true;
    const frame = (now, { mediaTime }) => {
      if (Math.abs(mediaTime - target) > 1.5) return video.requestVideoFrameCallback(frame);
      measured.seeking = false;
      resolve(performance.now() - started);
    };
    video.requestVideoFrameCallback(frame);
    video.currentTime = target;
  });
}

export class Viewer {
  static async start() {
    const viewer = new Viewer();
    viewer.profile = mkdtempSync(join(tmpdir(), 'pop-viewer-'));
    viewer.context = await chromium.launchPersistentContext(viewer.profile, {
      executablePath: process.env.POP_CHROMIUM ?? '/usr/bin/chromium',
      args: ['--headless=new', '--no-sandbox', '--mute-audio', '--disable-gpu',
        '--autoplay-policy=no-user-gesture-required', '--disable-background-networking',
        '--disable-features=WebRtcHideLocalIpsWithMdns'],
    });
    viewer.process = processOf(viewer.profile);
    viewer.page = viewer.context.pages()[0] ?? (await viewer.context.newPage());
    viewer.page.on('pageerror', error => console.error('page:', error.message));
    if (process.env.DEBUG) viewer.page.on('console', it => console.error('console:', it.text()));
    await viewer.page.addInitScript(observe);
    return viewer;
  }

  /** Open a page; milliseconds from the start of the navigation to the first frame. */
  async open(url) {
    await this.page.goto(url);
    const first = await this.page.waitForFunction(() => window.measured?.firstFrame, null, { timeout: 60_000 });
    return first.jsonValue();
  }

  /** Seek to this share of the film; milliseconds to the first frame from there. */
  seek(share) {
    return this.page.evaluate(share => window.measured.seek(share), share);
  }

  /** Let it play for so many seconds of the clock. */
  play(seconds) {
    return new Promise(resolve => setTimeout(resolve, 1000 * seconds));
  }

  stalls() {
    return this.page.evaluate(() => window.measured.stalls);
  }

  /** What this viewer is called by the others. */
  name() {
    return this.page.evaluate(() => window.viewer.name());
  }

  /** Bytes of the film by source: `origin`, and `peers`, other viewers. With a name, only that
   * viewer counts as a peer. */
  sources(peer) {
    return this.page.evaluate(peer => window.viewer.sources(peer), peer);
  }

  /** User and system time of all processes of the browser. */
  cpuSeconds() {
    const stats = new Map();
    for (const pid of readdirSync('/proc').filter(it => /^\d+$/.test(it))) {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ');
        stats.set(Number(pid), { parent: Number(fields[1]), ticks: fields.slice(11, 15).reduce((a, b) => a + Number(b), 0) });
      } catch { /* it ended meanwhile */ }
    }
    const belongs = pid => pid === this.process || (stats.has(pid) && belongs(stats.get(pid).parent));
    const ticks = [...stats].filter(([pid]) => belongs(pid)).map(([, it]) => it.ticks);
    return ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND;
  }

  async close() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

/** The browser process that has this profile. */
function processOf(profile) {
  for (const pid of readdirSync('/proc').filter(it => /^\d+$/.test(it))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      if (line.includes(profile) && !line.includes('--type=')) return Number(pid);
    } catch { /* it ended meanwhile */ }
  }
  throw new Error('the browser has no process');
}
