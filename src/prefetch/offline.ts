import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TrackCache, TrackChange } from "../cache/track-cache.ts";
import { trackKey } from "../cache/track-index.ts";
import type { Clock } from "../data-source/clock.ts";
import { Priority, type TrackKey } from "../data-source/data-source.ts";
import { AfterbayError, abortReason } from "../errors.ts";
import { Pins } from "./pins.ts";
import { Prefetcher, type PrefetcherOptions } from "./prefetcher.ts";

export interface OfflineOptions extends Pick<PrefetcherOptions, "onProgress" | "onChunk"> {
  /** The folder of the cache's files. */
  readonly root: string;
  readonly clock: Clock;
  /** Bytes a day that may be fetched to complete tracks of which little is missing; 0 turns that off. */
  readonly healBudget: number;
  /** False: fetches only what wish lists name, so that a command that looks downloads nothing. Default true. */
  readonly background?: boolean;
}

const DAY_MS = 24 * 3_600_000;
/** A track of which this share is stored is worth completing. */
const TAIL_SHARE = 0.8;

/** What is fetched without being played: wish lists, what is to be kept offline, and the tails of what was nearly all heard. */
export class Offline {
  readonly pins: Pins;
  readonly #options: OfflineOptions;
  readonly #tails = new Map<string, TrackKey>();
  #cache: TrackCache | undefined;
  #prefetcher: Prefetcher | undefined;
  #healedBytes = 0;
  #dayBegan: number;

  constructor(options: OfflineOptions) {
    this.#options = options;
    this.pins = new Pins(join(options.root, "pins.log"));
    this.#dayBegan = options.clock.now();
  }

  /** Begins; what was pinned and is not whole goes on. */
  async start(cache: TrackCache): Promise<void> {
    const { clock, background = true, onProgress, onChunk } = this.#options;
    await this.pins.load();
    this.#cache = cache;
    this.#prefetcher = new Prefetcher({
      cache,
      clock,
      pinned: background ? this.pins : { has: () => false, all: () => [] },
      tails: {
        has: (key) => this.#mayHeal() && this.#tails.has(trackKey(key)),
        all: () => (this.#mayHeal() ? this.#tails.values() : []),
      },
      onTail: (bytes) => {
        this.#healedBytes += bytes;
      },
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(onChunk === undefined ? {} : { onChunk }),
    });
    this.#prefetcher.update();
  }

  get prefetcher(): Prefetcher {
    if (this.#prefetcher === undefined) throw new Error("Not started");
    return this.#prefetcher;
  }

  isPinned(key: TrackKey): boolean {
    return this.pins.has(key);
  }

  isWished(key: TrackKey): boolean {
    return this.#prefetcher?.wishes(key) ?? false;
  }

  /**
   * Keeps a track offline from now on. Throws `no-space` if it does not fit beside the other pins; where its size is not
   * known yet, its source is asked first.
   */
  async pin(key: TrackKey, signal: AbortSignal): Promise<void> {
    if (this.pins.has(key)) return;
    const cache = this.#cache as TrackCache;
    const known = cache.find(key)?.facts.size;
    const want = { ...key, position: 0, level: Priority.background, signal };
    const track = known === undefined ? await cache.enter(want) : undefined;
    try {
      if (signal.aborted) throw abortReason(signal);
      this.#assertRoom(known ?? track?.variant.size ?? 0);
      await this.pins.add(key);
      this.prefetcher.forget(key);
      this.prefetcher.update();
      // Where it is its turn, the prefetch goes on with what the question has begun.
      await nextTurn();
    } finally {
      track?.close();
    }
  }

  #assertRoom(size: number): void {
    const cache = this.#cache as TrackCache;
    let pinned = 0;
    for (const other of this.pins.all()) pinned += cache.find(other)?.facts.size ?? 0;
    if (pinned + size > cache.budget) {
      throw new AfterbayError(
        "no-space",
        "The cache's budget does not hold this track beside what is kept offline already",
      );
    }
  }

  /** True if it was pinned. What is stored of it stays until space is needed. */
  async unpin(key: TrackKey): Promise<boolean> {
    const was = await this.pins.remove(key);
    if (!was) return false;
    this.prefetcher.onRoom();
    this.#cache?.keepToBudget();
    return true;
  }

  /** Nobody wants it any more: it is neither kept, nor wished for, nor completed. True if it was pinned. */
  async forget(key: TrackKey): Promise<boolean> {
    this.#tails.delete(trackKey(key));
    this.prefetcher.cancel(key);
    return await this.unpin(key);
  }

  /** The same for all tracks. */
  async forgetAll(): Promise<void> {
    this.#tails.clear();
    this.prefetcher.cancelAll();
    await this.pins.clear();
    this.prefetcher.update();
  }

  onTrackChanged(key: TrackKey, change: TrackChange): void {
    if (this.#prefetcher === undefined) return;
    // Bytes went bad, or were deleted: what is wanted of them is fetched again.
    if (change === "lost") this.#prefetcher.forget(key);
    if (change === "evicted") this.#prefetcher.evicted(key);
    if (change === "idle" && this.#isTail(key)) {
      this.#tails.set(trackKey(key), { source: key.source, id: key.id });
      this.#prefetcher.update();
    }
    if (change === "complete" || change === "evicted") this.#tails.delete(trackKey(key));
  }

  close(): void {
    this.#prefetcher?.close();
  }

  #isTail(key: TrackKey): boolean {
    if (!this.#mayHeal()) return false;
    const stored = this.#cache?.find(key);
    const size = stored?.facts.size;
    return stored !== undefined && !stored.complete && size !== undefined && stored.bytes >= TAIL_SHARE * size;
  }

  #mayHeal(): boolean {
    const { clock, healBudget } = this.#options;
    if (clock.now() - this.#dayBegan >= DAY_MS) {
      this.#dayBegan = clock.now();
      this.#healedBytes = 0;
    }
    return this.#healedBytes < healBudget;
  }
}
