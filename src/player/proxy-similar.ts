import type { TrackKey } from "../data-source/data-source.ts";
import type { Proxy } from "../proxy.ts";

/** More than are added at once: some of them are in the queue already. */
const LIMIT = 25;

/** Asks a proxy in this process what to play after a track. */
export function proxySimilar(
  proxy: Pick<Proxy, "similar">,
): (track: TrackKey, signal: AbortSignal) => Promise<readonly TrackKey[]> {
  return ({ source, id }, signal) => proxy.similar(id, { source, limit: LIMIT, signal });
}
