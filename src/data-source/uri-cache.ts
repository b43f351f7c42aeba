import { LRUCache } from "lru-cache";
import type { Clock } from "./clock.ts";
import type { Resolution } from "./resolution.ts";

/** A resolution with its life, which is judged whenever it is asked for. */
export interface KeptResolution {
  readonly resolution: Resolution;
  /** Its life is over: it tells why another is asked for, and is of no other use. */
  readonly expired: boolean;
  /** Its end is near: whoever goes on with it asks for another while this one still serves. */
  readonly due: boolean;
}

/** Resolutions by track and quality. Asynchronous, so that a shared tier can stand behind it. */
export interface UriCache {
  get(key: string): Promise<KeptResolution | undefined>;
  /** Keeps a resolution in place of the one before, and answers it with its life. One that has none left is not kept. */
  set(key: string, resolution: Resolution): Promise<KeptResolution>;
  /** Forgets the resolution of `key` if its URL is `url`: one that came later is kept. */
  delete(key: string, url: string): Promise<void>;
}

const MAX_LIFETIME_MS = 6 * 3_600_000;
const MAX_MARGIN_MS = 60_000;
const MARGIN_SHARE = 0.1;

/** The life that is left when another resolution is asked for ahead: the lesser of this time and this share of it all. */
const MAX_LEAD_MS = 5 * 60_000;
const LEAD_SHARE = 0.2;

/**
 * The one place that judges how long a URL lives: min(6 h, `expiresAt` − margin), where the margin is min(60 s, 10 % of
 * the lifetime as received), by the monotonic clock; and by the wall clock as a check, since the monotonic one may stand
 * still while the machine sleeps. A wall clock that jumps back prolongs nothing.
 */
class Life implements KeptResolution {
  readonly resolution: Resolution;
  readonly #clock: Clock;
  readonly #receivedAt: number;
  readonly #receivedWall: number;
  readonly #lifetimeMs: number;

  constructor(resolution: Resolution, clock: Clock) {
    this.resolution = resolution;
    this.#clock = clock;
    this.#receivedAt = clock.now();
    this.#receivedWall = clock.wall();
    const { expiresAt } = resolution;
    const received = expiresAt === undefined ? MAX_LIFETIME_MS : expiresAt - this.#receivedWall;
    const margin = expiresAt === undefined ? 0 : Math.min(MAX_MARGIN_MS, received * MARGIN_SHARE);
    this.#lifetimeMs = Math.min(MAX_LIFETIME_MS, received - margin);
  }

  get expired(): boolean {
    return this.#leftMs <= 0;
  }

  get due(): boolean {
    return this.#leftMs <= Math.min(MAX_LEAD_MS, this.#lifetimeMs * LEAD_SHARE);
  }

  get #leftMs(): number {
    const age = Math.max(this.#clock.now() - this.#receivedAt, this.#clock.wall() - this.#receivedWall);
    return this.#lifetimeMs - age;
  }
}

/** In memory. */
export class MemoryUriCache implements UriCache {
  readonly #clock: Clock;
  readonly #entries: LRUCache<string, Life>;

  constructor(clock: Clock, { max = 5000 }: { max?: number } = {}) {
    this.#clock = clock;
    this.#entries = new LRUCache({ max });
  }

  async get(key: string): Promise<KeptResolution | undefined> {
    return this.#entries.get(key);
  }

  async set(key: string, resolution: Resolution): Promise<KeptResolution> {
    const life = new Life(resolution, this.#clock);
    if (life.expired) this.#entries.delete(key);
    else this.#entries.set(key, life);
    return life;
  }

  async delete(key: string, url: string): Promise<void> {
    if (this.#entries.get(key)?.resolution.url === url) this.#entries.delete(key);
  }
}
