// POP's service worker: answers Range requests of <video> and <audio> for films that a page has
// open. It keeps no state: what it must know stands in the address, and the bytes come over a port
// from the page's worker. The browser may kill it at any time.
'use strict';

const PULL_BYTES = 262144, TAKEN_MS = 5000;

addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
// A ping needs no answer: the event alone keeps the worker alive. A page after a hard reload asks
// to be taken under control.
addEventListener('message', (event) => {
  if (event.data && event.data.pop === 'claim') event.waitUntil(clients.claim());
});
addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  const path = url.pathname.match(/\/pop-stream\/([\w-]+)\/(\d+)$/);
  if (path && url.origin === location.origin) event.respondWith(answer(event, url.searchParams, path));
});

/** The bytes asked for, end excluded; null for all, false for none. Only the first range counts. */
function select(range, length) {
  const parts = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*(?:,|$)/i.exec(range || '');
  if (!parts || (!parts[1] && !parts[2])) return null;
  const last = parts[2] ? Number(parts[2]) : Infinity;
  if (!parts[1]) return last > 0 && length > 0 ? [Math.max(0, length - last), length] : false;
  const first = Number(parts[1]);
  if (first > last) return null;
  return first < length ? [first, Math.min(last + 1, length)] : false;
}

function answer(event, query, [, session, film]) {
  const { method, headers } = event.request;
  const length = Number(query.get('bytes')), tag = `"${query.get('id')}"`, type = query.get('type') || '';
  const out = {
    'Accept-Ranges': 'bytes', 'Cache-Control': 'no-store', 'Content-Security-Policy': 'sandbox', ETag: tag,
    // What is opened as a page must never run as one.
    'Content-Type': /^(video|audio)\/[\w.+-]+$/.test(type) ? type : 'application/octet-stream',
    'X-Content-Type-Options': 'nosniff',
  };
  if (!/^(GET|HEAD)$/.test(method)) return new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } });
  if (!Number.isSafeInteger(length)) return new Response(null, { status: 400 });
  const condition = headers.get('If-Range');
  const chosen = condition && condition !== tag ? null : select(headers.get('Range'), length);
  if (chosen === false) {
    return new Response(null, { status: 416, headers: { ...out, 'Content-Range': `bytes */${length}` } });
  }
  const [start, end] = chosen || [0, length];
  out['Content-Length'] = String(end - start);
  if (chosen) out['Content-Range'] = `bytes ${start}-${end - 1}/${length}`;
  // Headers go out at once: a player that waits for them gives up.
  const body = method === 'HEAD' || end === start ? null : stream(event.clientId, session, Number(film), start, end);
  return new Response(body, { status: chosen ? 206 : 200, headers: out });
}

function stream(clientId, session, film, start, end) {
  let port, pulled, failed;
  return new ReadableStream({
    async start(controller) {
      port = await ask(clientId, { pop: 'read', session, film, start, end });
      port.onmessage = ({ data }) => {
        if (data.bytes) controller.enqueue(new Uint8Array(data.bytes));
        else if (!failed) {
          failed = true;
          if (data.end) controller.close();
          else controller.error(new Error(data.error));
          port.close();
        }
        if (pulled) pulled();
      };
    },
    // One pull, one piece: the page reads no further than the player does.
    pull() {
      return new Promise((done) => {
        pulled = done;
        port.postMessage({ pull: PULL_BYTES });
      });
    },
    cancel() {
      if (port) {
        port.postMessage({ stop: true });
        port.close();
      }
    },
  }, { highWaterMark: 1 });
}

/** The port to whoever has the session open: the page that asked, if it is known, else any. */
async function ask(clientId, question) {
  const own = clientId && await clients.get(clientId);
  const asked = own ? [own] : await clients.matchAll({ type: 'window', includeUncontrolled: true });
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no page has this film open')), TAKEN_MS);
    for (const client of asked) {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => data.taken && resolve(port1);
      client.postMessage(question, [port2]);
    }
  });
}
