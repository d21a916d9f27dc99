// `<pop-player src="pop:…?k=…" entries="/ip4/…/ws …" controls></pop-player>`: a `<video>` with a
// film in it. Attributes other than `src`, `entries`, `restream` and `service-worker` are the video's.

import { Pop } from './pop.js';

const OWN = new Set(['src', 'entries', 'restream', 'service-worker', 'class', 'id', 'style']);
const STYLE = 'pop-player{display:block}pop-player video{width:100%;height:100%;display:block;background:#000}pop-player p{font:14px/1.5 system-ui,sans-serif;margin:0;padding:8px 0}';

export class PopPlayer extends HTMLElement {
  static observedAttributes = ['src'];

  #end = null;
  #film = null;

  /** The `<video>`. */
  video = document.createElement('video');

  /** The open film; `null` before. */
  get film() {
    return this.#film;
  }

  connectedCallback() {
    if (!document.getElementById('pop-player-style')) {
      const style = Object.assign(document.createElement('style'), { id: 'pop-player-style', textContent: STYLE });
      document.head.append(style);
    }
    for (const { name, value } of this.attributes) if (!OWN.has(name)) this.video.setAttribute(name, value);
    this.message = Object.assign(document.createElement('p'), { hidden: true });
    this.message.setAttribute('role', 'alert');
    this.replaceChildren(this.video, this.message);
    this.#open();
  }

  disconnectedCallback() {
    this.#close();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.message) this.#open();
  }

  #close() {
    this.#end?.abort();
    this.#film?.close();
    this.#film = null;
  }

  async #open() {
    this.#close();
    const link = this.getAttribute('src');
    if (!link) return;
    const end = this.#end = new AbortController();
    const options = { signal: end.signal, restream: this.getAttribute('restream') !== 'off' };
    const entries = this.getAttribute('entries');
    const script = this.getAttribute('service-worker');
    if (script) options.serviceWorker = new URL(script, document.baseURI).href;
    if (entries) options.entries = entries.split(/\s+/).filter(Boolean);
    try {
      const film = await Pop.open(link, options);
      if (end.signal.aborted) return film.close();
      this.#film = film;
      for (const type of ['stats', 'problem', 'recovered', 'starving']) {
        film.addEventListener(type, ({ detail }) => this.#tell(type, detail));
      }
      await film.attach(this.video, { signal: end.signal });
      this.#tell('open', film);
    } catch (error) {
      if (!end.signal.aborted) this.#tell('problem', error);
    }
    return undefined;
  }

  #tell(type, detail) {
    if (type === 'problem') {
      this.message.textContent = [detail.message, detail.nextStep].filter(Boolean).join(' ');
      this.message.hidden = false;
    } else if (type === 'recovered') {
      this.message.hidden = true;
    }
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

customElements.define('pop-player', PopPlayer);
