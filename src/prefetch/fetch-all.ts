import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { TrackCache } from "../cache/track-cache.ts";
import { trackKey } from "../cache/track-index.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { abortReason } from "../errors.ts";
import type { PrefetchMode } from "./plan.ts";
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
  try {
    // A real timer, whatever the clock: unlike a clock's, it keeps a process alive that waits for nothing else.
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(MAX_PAUSE_MS, 2 * pause)) {
      const wished = new Set(prefetcher.lists().get(list)?.ids.map(trackKey));
      const states = new Map(prefetcher.states().map((state) => [trackKey(state), state]));
      const fetched = keys.map((key): Fetched | undefined => {
        if (cache.find(key)?.complete === true) return { state: "cached" };
        if (!wished.has(trackKey(key))) return { state: "cancelled" };
        const { state, code } = states.get(trackKey(key)) ?? {};
        if (state === "failed") return { state, ...(code === undefined ? {} : { code }) };
        return state === "done" ? { state: "cached" } : undefined;
      });
      if (fetched.every((one) => one !== undefined)) return fetched;
      await delay(pause, undefined, { signal });
    }
  } catch (error) {
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    prefetcher.setList(list, [], mode);
  }
}
