import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { TrackCache } from "../cache/track-cache.ts";
import { trackKey } from "../cache/track-index.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { abortReason } from "../errors.ts";
import type { PrefetchMode, WishList } from "./plan.ts";
import type { Prefetcher } from "./prefetcher.ts";

/** How a prefetch ended. */
export interface Fetched {
  readonly state: "cached" | "failed" | "cancelled";
  /** Why it failed. */
  readonly code?: string;
}

/** Soon at first, for what is there already; then seldom, ms. */
const FIRST_PAUSE_MS = 5;
const MAX_PAUSE_MS = 100;
/** Of thousands of tracks, looking takes its time: this many times as long is waited. */
const PAUSE_FACTOR = 10;
/** What was read to its end is on disk soon after it, ms; if not, it cannot be kept. */
const WRITING_MS = 2000;

/**
 * Wishes for tracks by a list of its own and waits until each is cached, has failed, or was cancelled by someone. Answers
 * in the order of `keys`. The list is gone when this settles. Rejects with the signal's reason only.
 */
export async function fetchAll(
  { prefetcher, cache }: { readonly prefetcher: Prefetcher; readonly cache: TrackCache },
  keys: readonly TrackKey[],
  mode: PrefetchMode,
  signal: AbortSignal,
): Promise<Fetched[]> {
  if (signal.aborted) throw abortReason(signal);
  const list = `call-${randomBytes(8).toString("hex")}`;
  prefetcher.setList(list, keys, mode);
  const doneAt = new Map<string, number>();
  /** A track that was read to its end and is not whole on disk yet. */
  const written = (name: string): Fetched | undefined => {
    const began = doneAt.get(name) ?? performance.now();
    doneAt.set(name, began);
    return performance.now() - began < WRITING_MS ? undefined : { state: "failed", code: "not-cached" };
  };
  const fetched: (Fetched | undefined)[] = keys.map(() => undefined);
  let wishes: WishList | undefined;
  let wished = new Set<string>();
  const look = (key: TrackKey): Fetched | undefined => {
    const { state, code } = prefetcher.stateOf(key, mode);
    if (state !== "done") {
      if (!wished.has(trackKey(key))) return { state: "cancelled" };
      return state === "failed" ? { state, ...(code === undefined ? {} : { code }) } : undefined;
    }
    if (mode === "head" || cache.find(key)?.complete === true) return { state: "cached" };
    return written(trackKey(key));
  };
  try {
    // A real timer, whatever the clock: unlike a clock's, it keeps a process alive that waits for nothing else.
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(MAX_PAUSE_MS, 2 * pause)) {
      const began = performance.now();
      const now = prefetcher.lists().get(list);
      if (now !== wishes) {
        wishes = now;
        wished = new Set(now?.ids.map(trackKey));
      }
      for (const [at, key] of keys.entries()) fetched[at] ??= look(key);
      if (fetched.every((one) => one !== undefined)) return fetched;
      await delay(Math.max(pause, PAUSE_FACTOR * (performance.now() - began)), undefined, { signal });
    }
  } catch (error) {
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    prefetcher.setList(list, [], mode);
  }
}
