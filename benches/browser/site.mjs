// The web server of the cases that have no other: pages, packages, the film with byte ranges.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.mp4': 'video/mp4',
  '.m3u8': 'application/vnd.apple.mpegurl', '.m4s': 'video/iso.segment', '.torrent': 'application/x-bittorrent', '.wasm': 'application/wasm', '.css': 'text/css',
};

/** Serve `pages` (path to text or bytes) and `files` (path, or prefix that ends in a slash, to a
 * place on disk). */
export async function serve({ pages, files }) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://site').pathname);
    const type = TYPES[extname(path)] ?? 'text/html';
    if (pages.has(path)) return response.writeHead(200, { 'content-type': type }).end(pages.get(path));
    const prefix = [...files.keys()].find(it => path === it || (it.endsWith('/') && path.startsWith(it)));
    const file = prefix && files.get(prefix) + path.slice(prefix.length);
    if (!file || !existsSync(file)) return response.writeHead(404).end();
    const size = statSync(file).size;
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = asked ? Number(asked[1]) : 0;
    const end = asked?.[2] ? Math.min(Number(asked[2]), size - 1) : size - 1;
    const headers = { 'content-type': type, 'service-worker-allowed': '/', 'accept-ranges': 'bytes', 'content-length': end - start + 1 };
    if (asked) headers['content-range'] = `bytes ${start}-${end}/${size}`;
    response.writeHead(asked ? 206 : 200, headers);
    createReadStream(file, { start, end }).on('error', () => response.destroy()).pipe(response);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, end: () => server.close() };
}
