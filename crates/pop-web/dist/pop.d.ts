/** What the publisher of a film says of it. */
export interface FilmInfo {
  content: string;
  publisher: string;
  lengthBytes: number;
  /** Empty if the publisher didn't say. */
  mediaType: string;
  /** Zero if the publisher didn't say. */
  durationMs: number;
  segmentBytes: number;
  /** Columns that rebuild the film. */
  columnsNeeded: number;
  columns: number;
}

export type SourceKind = 'masternode' | 'viewer';

export interface SourceStats {
  peer: string;
  kind: SourceKind;
  state: 'connecting' | 'live' | 'resting' | 'gone';
  columns: number;
  receivedBytes: number;
  sentBytes: number;
  bytesPerSecond: number;
  inFlight: number;
}

export interface EngineStats {
  entriesUp: number;
  relaysUp: number;
  viewersUp: number;
  cachedBytes: number;
  upBytes: number;
  /** POP, a decimal number with its unit. */
  spent: string;
  earned: string;
}

/** Counts since the film was opened, in bytes of verified payload. */
export interface FilmStats {
  fromMasternodesBytes: number;
  fromViewersBytes: number;
  fromCacheBytes: number;
  upBytes: number;
  wastedBytes: number;
  readBytes: number;
  lateSegments: number;
  positionBytes: number;
  bufferedBytes: number;
  bufferedMs: number;
  /** Ranges that are here, end excluded. */
  held: [number, number][];
  sources: SourceStats[];
  spent: string;
  earned: string;
  engine: EngineStats;
  /** `performance.now()` of the look. */
  at: number;
}

export type ProblemCode =
  | 'bad_link' | 'key_missing' | 'wrong_key' | 'unknown_content' | 'no_entry' | 'bad_manifest'
  | 'sources_gone' | 'undecryptable' | 'equivocation' | 'relay_gone' | 'storage_blocked'
  | 'no_webrtc' | 'no_service_worker' | 'no_wasm' | 'offline' | 'not_playable' | 'too_large'
  | 'unfunded' | 'vault_low' | 'ledger' | 'broken' | (string & {});

/** What went wrong: a code that never changes, a sentence, and what to do next. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly nextStep: string;
  readonly detail?: string;
}

export interface Restream {
  on: boolean;
  /** No limit if it is left out. */
  bytesPerSecondMax?: number;
  bytesMax?: number;
}

export interface PopOptions {
  /** Masternodes to begin with, as multiaddrs; asked of the page's server if left out. */
  entries?: string[];
  /** Where the page's server names masternodes; `/api/v1/web` if left out. */
  directory?: string;
  /** Whether pieces are given to other viewers; never on metered links. `true` if left out. */
  /** `'srtp'` also sends what the player shows, as a live track, to viewers that ask for it. */
  restream?: boolean | 'srtp';
  /** Ask viewers for live tracks: `liveTrack` events bring them. Nothing in them is verified. */
  live?: boolean;
  restreamLimits?: Omit<Restream, 'on'>;
  /** Address of `sw.js` on the page's own origin; `false` for none. */
  serviceWorker?: string | false;
  /** Scope of the service worker; the widest that the server allows if left out. */
  scope?: string;
  /** `media-source` keeps the service worker out of playing. */
  delivery?: 'media-source';
  /** Paid at most: POP per megabit and 100 kbit/s tier, a decimal number; as the page's server says
   * if left out. */
  priceMax?: string | number;
  /** Asked of other viewers; `0` if left out. */
  price?: string | number;
  /** Who answers for the ledger, as multiaddrs; as the page's server says if left out. */
  ledgerAddresses?: string[];
  /** Which ledger it is, if the page knows; else it is asked. */
  ledger?: { chainId: number; contract: string } | null;
  cacheBytesMax?: number;
  windowBytes?: number;
  webrtc?: boolean;
  iceServers?: RTCIceServer[];
  /** `false` keeps data channels in the window. */
  transferChannels?: boolean;
  signal?: AbortSignal;
}

/** A `pop:` link out of one, or out of the address of a player page. */
export function linkOf(text: string): string;

/** One node in a page. Events: `problem`, `recovered`, `restream`, `wallet`, `walletFailed`,
 * `liveTrack`, `relayUp`, `relayDown`, `viewerUp`, `viewerDown`, `peerFault`, `spent`, `earned`, `close`. */
export class Pop extends EventTarget {
  /** Open a film with the page's one node, which the first call's options start. */
  static open(link: string, options?: PopOptions): Promise<Film>;
  static start(options?: PopOptions): Promise<Pop>;
  open(link: string, options?: { signal?: AbortSignal }): Promise<Film>;
  get restream(): Restream & { metered: boolean };
  set restream(limits: Partial<Restream>);
  /** The viewer's wallet address, `0x…`. */
  readonly wallet: string;
  /** What is wrong now and ends nothing. */
  readonly problems: Problem[];
  exportKey(): Promise<Uint8Array>;
  importKey(secret: Uint8Array): Promise<boolean>;
  deposit(amount: string | number): void;
  redeem(): void;
  lookAtWallet(): void;
  close(): void;
}

/** An open content. Events, with details: `stats` (`FilmStats`), `problem` (`Problem`),
 * `recovered`, `starving`, `sourceUp`, `sourceDown`, `sourceResting`, `late`, `retry`, `close`,
 * and those of the node. */
export class Film extends EventTarget {
  readonly pop: Pop;
  readonly link: string;
  readonly id: string;
  readonly info: FilmInfo;
  /** `null` before the first look. */
  stats(): FilmStats | null;
  /** `null` while no service worker controls the page. */
  url(): Promise<string | null>;
  attach(player: HTMLMediaElement, options?: { signal?: AbortSignal }): Promise<{ detach(): void }>;
  stream(options?: { start?: number; end?: number; signal?: AbortSignal }): ReadableStream<Uint8Array>;
  read(start: number, end: number, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  blob(options?: { signal?: AbortSignal }): Promise<Blob>;
  close(): void;
}
