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
  try {
    // A real timer, whatever the clock: unlike a clock's, it keeps a process alive that waits for nothing else.
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(MAX_PAUSE_MS, 2 * pause)) {
      const lists = prefetcher.lists();
      const wished = new Set(lists.get(list)?.ids.map(trackKey));
      // Of a track on several lists, only the last one's state is told, which may be that of its head.
      const heads = new Set(
        [...lists.values()].flatMap(({ ids, mode: other }) => (other === mode ? [] : ids.map(trackKey))),
      );
      const states = new Map(prefetcher.states().map((state) => [trackKey(state), state]));
      const fetched = keys.map((key): Fetched | undefined => {
        const name = trackKey(key);
        if (cache.find(key)?.complete === true) return { state: "cached" };
        if (!wished.has(name)) return { state: "cancelled" };
        const { state, code } = states.get(name) ?? {};
        if (state === "failed") return { state, ...(code === undefined ? {} : { code }) };
        if (state !== "done") return undefined;
        if (mode === "head") return { state: "cached" };
        return heads.has(name) ? undefined : written(name);
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
