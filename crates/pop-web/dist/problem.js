// What can go wrong, with a stable code, a sentence, and what to do next.

const KNOWN = {
  bad_link: ['This is no link to a POP content.', 'Copy the whole link, from its beginning to its end.'],
  key_missing: ['The link has no key, so the film can’t be opened.', 'Ask for the whole link: the key stands behind “k=”.'],
  no_wasm: ['This browser can’t run the player: it has no WebAssembly or no workers.', 'Use a current browser.'],
  no_entry: ['No masternode to begin with is known or within reach.', 'Check the connection, then load the page again.'],
  no_webrtc: ['This browser has no WebRTC, so no other viewers can be reached.', 'Nothing to do: the film plays from masternodes.'],
  no_service_worker: ['This page can’t have a service worker, so the film is loaded whole before it plays.', 'Open the page over https, or from this machine.'],
  storage_blocked: ['The browser refuses to store, so nothing is kept for later or for others, and the wallet is new each time.', 'Allow this site to store data, or leave private browsing.'],
  offline: ['This browser is offline.', 'Playback goes on by itself once the connection is back.'],
  not_playable: ['This browser can’t play the format of this film.', 'Save the film and open it in another player.'],
  too_large: ['Without a service worker, a film of this size and format can’t be played here.', 'Open the page over https, or from this machine.'],
  broken: ['The player stopped working.', 'Load the page again.'],
};

/** An error with a `code` that never changes, and the `nextStep`. */
export class Problem extends Error {
  constructor({ code, message, nextStep, cause }) {
    // The engine's sentences are parts of others.
    super(message.charAt(0).toUpperCase() + message.slice(1).replace(/([^.])$/, '$1.'));
    this.name = 'Problem';
    this.code = code;
    this.nextStep = nextStep;
    if (cause) this.detail = cause;
  }
}

export function problem(code, cause) {
  const [message, nextStep] = KNOWN[code];
  return new Problem({ code, message, nextStep, cause });
}
