import { type Clock, systemClock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { trackKey } from "../http/track-path.ts";
import { Burst } from "./burst.ts";
import type { DailyBudget } from "./daily-budget.ts";
import type { Playback } from "./playback.ts";

export interface LookAheadOptions {
  /**
   * Replaces this player's own wish list: the heads of all tracks are to be fetched before the rest of any. A rejection is
   * tried again a little later.
   */
  readonly prefetch: (tracks: readonly TrackKey[]) => void | Promise<void>;
  /** While it is true nothing is fetched ahead, nor while playback itself waits for its source. */
  readonly isOffline?: () => boolean;
  /** A cap a day on what is fetched ahead; it may be passed by what comes within 5 s. */
  readonly budget?: {
    readonly daily: DailyBudget;
    /** Bytes of a track that are in the cache. */
    readonly cachedBytes: (track: TrackKey) => number | Promise<number>;
  };
  readonly clock?: Clock;
}

interface Looked {
  readonly track: TrackKey;
  readonly bytes: number;
}

const AHEAD = 3;
/** How long the last word to a server may take, ms. */
const FAREWELL_MS = 1000;
/** Changes that follow each other faster are one, ms. */
const QUIET_MS = 200;
/** How often it is looked at what came, and tried again what was not taken, ms. */
const CHECK_EVERY_MS = 5000;

/** Wishes for the next tracks of a playback, in play order, whenever that changes. `close` wishes for none. */
export class LookAhead {
  readonly #playback: Playback;
  readonly #options: LookAheadOptions;
  readonly #clock: Clock;
  readonly #burst: Burst;
  readonly #unlisten: () => void;
  #wished: readonly TrackKey[] = [];
  /** Playback waited for its source, and nothing was heard since. */
  #isAway = false;
  /** The list was not taken. */
  #refused = false;
  /** What was in the cache of what is wished for, when it was last looked at. */
  #looked = new Map<string, Looked>();
  #cancelCheck: () => void;
  #closed = false;

  constructor(playback: Playback, options: LookAheadOptions) {
    this.#playback = playback;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#burst = new Burst(this.#clock, QUIET_MS);
    this.#unlisten = playback.listen(({ type }) => {
      if (type === "state") this.#update();
    });
    this.#cancelCheck = this.#clock.after(CHECK_EVERY_MS, () => void this.#check());
    this.#update();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unlisten();
    this.#cancelCheck();
    this.#burst.cancel();
    if (this.#wished.length === 0) return;
    // A server that is away is not waited for: it has forgotten, or will.
    const late = new Promise<void>((resolve) => this.#clock.after(FAREWELL_MS, resolve));
    const sent = (async () => await this.#options.prefetch([]))();
    await Promise.race([sent.catch(() => {}), late]);
  }

  /** Wishes for the same once more: whoever was told may have begun anew since. */
  renew(): void {
    void this.#send();
  }

  #update(): void {
    const wanted = this.#wanted();
    const isSame = (track: TrackKey, index: number): boolean => {
      const other = this.#wished[index];
      return other !== undefined && nameOf(track) === nameOf(other);
    };
    if (wanted.length === this.#wished.length && wanted.every(isSame)) return;
    this.#wished = wanted;
    this.#burst.run(() => void this.#send());
  }

  /** Each once, and not what plays. */
  #wanted(): readonly TrackKey[] {
    const { queue, state } = this.#playback;
    const { isOffline, budget } = this.#options;
    const { status } = state;
    if (status === "waiting") this.#isAway = true;
    else if (status !== "loading") this.#isAway = false;
    const active = status === "playing" || status === "paused" || (status === "loading" && !this.#isAway);
    if (!active || isOffline?.() === true || budget?.daily.isSpent === true) return [];
    const playing = queue.current === undefined ? "" : nameOf(queue.current);
    const byName = new Map(queue.upcoming(AHEAD).map(({ source, id }) => [nameOf({ source, id }), { source, id }]));
    byName.delete(playing);
    return [...byName.values()];
  }

  async #send(): Promise<void> {
    const wished = this.#wished;
    try {
      await this.#count();
      if (this.#wished !== wished || this.#closed) return;
      await this.#options.prefetch(wished);
      this.#refused = false;
    } catch {
      this.#refused = true;
    }
  }

  async #check(): Promise<void> {
    if (this.#refused) await this.#send();
    else await this.#count().catch(() => {});
    if (this.#closed) return;
    this.#update();
    this.#cancelCheck = this.#clock.after(CHECK_EVERY_MS, () => void this.#check());
  }

  /** Adds to the day's sum what came since the last look, also of what is not wished for any more. */
  async #count(): Promise<void> {
    const { budget } = this.#options;
    if (budget === undefined) return;
    const wished = new Map(this.#wished.map((track) => [nameOf(track), track]));
    const before = this.#looked;
    const tracks = new Map([...before].map(([name, { track }]) => [name, track]));
    const now = new Map<string, Looked>();
    for (const [name, track] of new Map([...tracks, ...wished])) {
      const bytes = await budget.cachedBytes(track);
      budget.daily.spend(Math.max(0, bytes - (before.get(name)?.bytes ?? bytes)));
      if (wished.has(name)) now.set(name, { track, bytes });
    }
    this.#looked = now;
  }
}

function nameOf({ source, id }: TrackKey): string {
  return trackKey(source, id);
}
