import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type PrefetchState, prefetchStatus } from "./control/answers.ts";
import type { Owner } from "./owner.ts";

/** Quick answers for what is there already; a person sees no more than this often. */
const FIRST_PAUSE_MS = 20;
const PAUSE_MS = 200;
/** How long the owner may take to forget a wish list when the command ends, ms. */
const FAREWELL_MS = 1000;

/** The states of the tracks that were asked for, in that order. */
export type OnProgress = (states: readonly PrefetchState[]) => void;

/**
 * Has the owner fetch tracks by a wish list of this command's own, and waits until each is done or has failed. The list
 * is gone when this settles, whatever happens.
 */
export async function fetchTracks(
  owner: Owner,
  { keys, mode }: { readonly keys: readonly string[]; readonly mode: "head" | "full" },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<readonly PrefetchState[]> {
  const list = `cli-${process.pid}-${randomBytes(4).toString("hex")}`;
  const path = `/api/prefetch?list=${list}`;
  try {
    let knownTo = await wish(owner, path, { ids: keys, mode });
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(PAUSE_MS, pause * 2)) {
      const { tracks } = await owner.json({ method: "GET", path: "/api/prefetch" }, prefetchStatus);
      if (owner.generation !== knownTo) {
        // The list went with the owner before.
        knownTo = await wish(owner, path, { ids: keys, mode });
        continue;
      }
      const byKey = new Map(tracks.map((state) => [state.key, state]));
      const states = keys.map((key) => byKey.get(key) ?? cancelled(key));
      onProgress(states);
      if (states.every(({ state }) => state === "done" || state === "failed")) return states;
      await delay(pause, undefined, { signal });
    }
  } finally {
    await forget(owner, path, mode);
  }
}

/** Answers which owner has been told. */
async function wish(owner: Owner, path: string, body: object): Promise<number> {
  await owner.status({ method: "PUT", path, body });
  return owner.generation;
}

/** Whoever cannot be told has ended, and the list with it; and there may be an error on its way that matters more. */
async function forget(owner: Owner, path: string, mode: "head" | "full"): Promise<void> {
  const signal = AbortSignal.timeout(FAREWELL_MS);
  await owner.status({ method: "PUT", path, body: { ids: [], mode }, signal }).catch(() => {});
}

/** Somebody took it off the list. */
function cancelled(key: string): PrefetchState {
  return { key, state: "failed", code: "cancelled", size: undefined, cachedBytes: undefined };
}
