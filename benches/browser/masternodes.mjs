// Masternodes, each a `pop-node run` on loopback, and a film on them.

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POP_')));

/** Start them and publish: the film's link, and where a page begins. */
export async function startMasternodes(program, film, count) {
  const scratch = mkdtempSync(join(tmpdir(), 'pop-masternodes-'));
  const nodes = [];
  for (let index = 0; index < count; index++) nodes.push(await start(program, join(scratch, `${index}`), nodes[0]));
  const gateway = `http://${nodes[0].http}`;
  const look = async path => (await fetch(gateway + path)).json();
  while ((await look('/api/v1/status')).known_masternodes < count - 1) await new Promise(resolve => setTimeout(resolve, 50));
  const publisher = join(scratch, 'publisher');
  run(program, ['init', '--data-dir', publisher]);
  const everybody = nodes.map(node => node.address).join(',');
  const published = run(program, ['publish', film, '--json', '--diversity-exempt-loopback', '--data-dir', publisher, '--bootstrap', everybody]);
  return {
    link: JSON.parse(published.trim().split('\n').pop()).link,
    entries: (await look('/api/v1/web')).entries,
    end() {
      for (const node of nodes) node.child.kill('SIGKILL');
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function start(program, home, first) {
  const log = openSync(`${home}.log`, 'w');
  const flags = ['run', '--init', '--no-stake', '--json', '--exit-on-stdin-eof', '--diversity-exempt-loopback',
    '--listen', '/ip4/127.0.0.1/tcp/0', '--web-listen', '127.0.0.1:0', '--http-listen', first ? 'off' : '127.0.0.1:0',
    '--data-dir', home, ...(first ? ['--bootstrap', first.address] : [])];
  const child = spawn(program, flags, { stdio: ['pipe', 'pipe', log], env: environment });
  closeSync(log);
  for await (const line of createInterface({ input: child.stdout })) {
    const ready = JSON.parse(line);
    return { child, address: ready.addresses[0], http: ready.http };
  }
  throw new Error(`no masternode came up: ${home}.log`);
}

function run(program, flags) {
  const done = spawnSync(program, flags, { encoding: 'utf8', env: environment });
  if (done.status !== 0) throw new Error(`${flags[0]}: ${done.stderr}`);
  return done.stdout;
}
