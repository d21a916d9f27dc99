// What a viewer keeps in this browser: its key and its records about money in IndexedDB, verified
// ciphertext in the origin's private file system. Runs in the dedicated worker.

const DATABASE = 'pop', VERSION = 1, SLOTS_MAX = 64;
/** Part of what the browser would let this origin store that the cache may fill. */
const QUOTA_PART = 0.6;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** An identity of its own for each tab: two tabs with one key would be one peer to the network. */
async function takeSlot() {
  if (!navigator.locks) return 0;
  for (let slot = 0; slot < SLOTS_MAX; slot += 1) {
    const taken = await new Promise((tell) => {
      // Held until the worker ends.
      navigator.locks.request(`pop-viewer-${slot}`, { ifAvailable: true }, (lock) => {
        tell(Boolean(lock));
        return lock ? new Promise(() => {}) : undefined;
      }).catch(() => tell(false));
    });
    if (taken) return slot;
  }
  throw new Error('too many tabs');
}

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

async function openDatabase() {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('keys');
    request.result.createObjectStore('records');
  };
  return done(request);
}

export class Store {
  /** Open what there is. Never fails: `problems` says what is missing. */
  static async open() {
    const store = new Store();
    store.problems = [];
    store.slot = await takeSlot().catch(() => SLOTS_MAX);
    try {
      store.database = await openDatabase();
      store.secret = await store.#secret();
      store.records = await store.#records();
    } catch {
      store.problems.push('storage_blocked');
      store.database = null;
      store.secret = crypto.getRandomValues(new Uint8Array(32));
      store.records = [];
    }
    store.cached = [];
    try {
      const root = await navigator.storage.getDirectory();
      const all = await root.getDirectoryHandle('pop', { create: true });
      store.directory = await all.getDirectoryHandle(String(store.slot), { create: true });
      for await (const [name, file] of store.directory.entries()) {
        store.cached.push([name, (await file.getFile()).size]);
      }
    } catch {
      if (!store.problems.length) store.problems.push('storage_blocked');
      store.directory = null;
    }
    return store;
  }

  /** How much the cache may hold; zero if nothing can be kept. */
  async cacheBytesMax(wanted) {
    if (!this.directory) return 0;
    const { quota = 0, usage = 0 } = await navigator.storage.estimate().catch(() => ({}));
    const own = this.cached.reduce((sum, [, size]) => sum + size, 0);
    return Math.max(0, Math.min(wanted, Math.floor((quota - usage + own) * QUOTA_PART)));
  }

  /** Replace the key with an imported one; it counts from the next start. */
  async importSecret(secret) {
    const store = this.#transaction('keys', 'readwrite');
    store.put(secret, this.slot);
    return this.#committed(store.transaction);
  }

  /** Store a record durably, or delete it if it is empty. */
  persist(key, value) {
    if (!this.database) return Promise.resolve(false);
    try {
      const store = this.#transaction('records', 'readwrite');
      const name = [this.slot, hex(key)];
      if (value.length) store.put([key, value], name);
      else store.delete(name);
      return this.#committed(store.transaction).then(() => true, () => false);
    } catch {
      return Promise.resolve(false);
    }
  }

  save(name, bytes) {
    return this.#inTurn(async () => {
      const file = await this.directory.getFileHandle(name, { create: true });
      const handle = await file.createSyncAccessHandle();
      try {
        handle.truncate(0);
        if (handle.write(bytes, { at: 0 }) !== bytes.length) throw new Error('short write');
      } finally {
        handle.close();
      }
      return true;
    }).catch(() => this.remove(name).then(() => false));
  }

  load(name) {
    return this.#inTurn(async () => {
      const file = await this.directory.getFileHandle(name);
      const handle = await file.createSyncAccessHandle();
      try {
        const bytes = new Uint8Array(handle.getSize());
        return handle.read(bytes, { at: 0 }) === bytes.length ? bytes : undefined;
      } finally {
        handle.close();
      }
    }).catch(() => undefined);
  }

  remove(name) {
    return this.#inTurn(() => this.directory.removeEntry(name)).catch(() => {});
  }

  /** One after the other: a file has one handle at a time. */
  #inTurn(act) {
    if (!this.directory) return Promise.reject(new Error('nothing can be kept'));
    const turn = (this.last || Promise.resolve()).then(act);
    this.last = turn.catch(() => {});
    return turn;
  }

  #transaction(name, mode) {
    return this.database.transaction(name, mode, { durability: 'strict' }).objectStore(name);
  }

  #committed(transaction) {
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  async #secret() {
    const known = await done(this.#transaction('keys', 'readonly').get(this.slot));
    if (known instanceof Uint8Array && known.length === 32) return known;
    const secret = crypto.getRandomValues(new Uint8Array(32));
    await this.importSecret(secret);
    return secret;
  }

  #records() {
    const own = IDBKeyRange.bound([this.slot, ''], [this.slot, '\uffff']);
    return done(this.#transaction('records', 'readonly').getAll(own));
  }
}
