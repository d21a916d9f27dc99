// How a film reaches a player: through the service worker if one controls the page, else as media
// segments if it is fragmented, else whole.

import { playByMediaSource, isFragmented } from './media-source.js';
import { problem } from './problem.js';

/** A film that is loaded whole may be so large. */
const WHOLE_BYTES_MAX = 512 * 1024 * 1024;
const RETRIES_MAX = 8, RETRY_MS = 500, CALM_MS = 30_000;
/** `MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED` */
const NOT_SUPPORTED = 4;

export async function playBySource(film, player, signal) {
  const url = film.pop.options.delivery === 'media-source' ? null : await film.url();
  signal.throwIfAborted();
  if (url) return playByServiceWorker(film, player, url, signal);
  const head = await film.read(0, Math.min(film.info.lengthBytes, 65_536), { signal });
  if (isFragmented(head) && await playByMediaSource(film, player, signal)) return undefined;
  film.tell('problem', problem('no_service_worker'));
  if (film.info.lengthBytes > WHOLE_BYTES_MAX) throw problem('too_large');
  const whole = URL.createObjectURL(await film.blob({ signal }));
  player.src = whole;
  signal.addEventListener('abort', () => {
    detach(player, whole);
    URL.revokeObjectURL(whole);
  }, { once: true });
  return undefined;
}

/** A browser gives up on a stream that broke, as when the service worker was killed or every
 * source was gone for long; the player goes on where it was. */
function playByServiceWorker(film, player, url, signal) {
  let retries = 0, lastAt = 0;
  player.addEventListener('error', () => {
    const played = player.currentTime > 0 || player.readyState > 0;
    if (player.error?.code === NOT_SUPPORTED && !played && retries > 1) {
      film.tell('problem', problem('not_playable', player.error.message));
      return;
    }
    if (performance.now() - lastAt > CALM_MS) retries = 0;
    if (retries >= RETRIES_MAX) {
      film.tell('problem', problem('broken', player.error?.message));
      return;
    }
    lastAt = performance.now();
    const at = player.currentTime, wasPlaying = !player.paused;
    setTimeout(() => {
      if (signal.aborted) return;
      player.src = url;
      if (at > 0) player.addEventListener('loadedmetadata', () => { player.currentTime = at; }, { once: true, signal });
      if (wasPlaying) player.play().catch(() => {});
      film.tell('retry', { at });
    }, RETRY_MS * 2 ** retries);
    retries += 1;
  }, { signal });
  player.src = url;
  signal.addEventListener('abort', () => detach(player, url), { once: true });
}

function detach(player, url) {
  if (player.src !== url && player.currentSrc !== url) return;
  player.removeAttribute('src');
  player.load();
}
