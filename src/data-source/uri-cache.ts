import { LRUCache } from "lru-cache";
import type { Clock } from "./clock.ts";
import type { Resolution } from "./resolution.ts";

/** A resolution that was kept. An expired one tells why another is asked for, and is of no other use. */
export interface KeptResolution {
  readonly resolution: Resolution;
  readonly expired: boolean;
}

/** Resolutions by track and quality. Asynchronous, so that a shared tier can stand behind it. */
export interface UriCache {
  get(key: string): Promise<KeptResolution | undefined>;
  /** Keeps a resolution in place of the one before. One that has no life left is not kept. */
  set(key: string, resolution: Resolution): Promise<void>;
  /** Forgets the resolution of `key` if its URL is `url`: one that came later is kept. */
  delete(key: string, url: string): Promise<void>;
}

const MAX_LIFETIME_MS = 6 * 3_600_000;
const MAX_MARGIN_MS = 60_000;
const MARGIN_SHARE = 0.1;

interface Entry {
  readonly resolution: Resolution;
  readonly receivedAt: number;
  readonly lifetimeMs: number;
  /** Epoch milliseconds after which it is not used, whatever the monotonic clock says: machines sleep. */
  readonly notAfter: number;
}

/**
 * In memory. The one place that judges how long a URL lives: min(6 h, `expiresAt` − margin), where the margin is
 * min(60 s, 10 % of the lifetime as received), by the monotonic clock, with the wall clock as a check.
 */
export class MemoryUriCache implements UriCache {
  readonly #clock: Clock;
  readonly #entries: LRUCache<string, Entry>;

  constructor(clock: Clock, { max = 5000 }: { max?: number } = {}) {
    this.#clock = clock;
    this.#entries = new LRUCache({ max });
  }

  async get(key: string): Promise<KeptResolution | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const age = this.#clock.now() - entry.receivedAt;
    const expired = age >= entry.lifetimeMs || this.#clock.wall() >= entry.notAfter;
    return { resolution: entry.resolution, expired };
  }

  async set(key: string, resolution: Resolution): Promise<void> {
    const wall = this.#clock.wall();
    const received = resolution.expiresAt === undefined ? MAX_LIFETIME_MS : resolution.expiresAt - wall;
    const margin = resolution.expiresAt === undefined ? 0 : Math.min(MAX_MARGIN_MS, received * MARGIN_SHARE);
    const lifetimeMs = Math.min(MAX_LIFETIME_MS, received - margin);
    this.#entries.delete(key);
    if (lifetimeMs <= 0) return;
    this.#entries.set(key, {
      resolution,
      receivedAt: this.#clock.now(),
      lifetimeMs,
      notAfter: wall + lifetimeMs,
    });
  }

  async delete(key: string, url: string): Promise<void> {
    if (this.#entries.get(key)?.resolution.url === url) this.#entries.delete(key);
  }
}
