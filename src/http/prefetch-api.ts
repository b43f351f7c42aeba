import type { TrackKey } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";
import { parseTrackKey, trackKey } from "./track-path.ts";

/** What the routes need of whoever fetches ahead and keeps tracks offline. */
export interface OfflineApi {
  isPinned(key: TrackKey): boolean;
  pin(key: TrackKey, signal: AbortSignal): Promise<void>;
  unpin(key: TrackKey): Promise<boolean>;
  /** It is neither kept nor fetched any more; true if it was pinned. */
  forget(key: TrackKey): Promise<boolean>;
  readonly prefetcher: {
    setList(name: string, ids: readonly TrackKey[], mode: "head" | "full"): void;
    lists(): ReadonlyMap<string, { readonly ids: readonly TrackKey[]; readonly mode: "head" | "full" }>;
    cancel(key: TrackKey): void;
    states(): readonly (TrackKey & { readonly state: string; readonly code?: string })[];
  };
}

/** Most tracks that one list may name, and most lists. */
const MAX_IDS = 20_000;
const MAX_LISTS = 100;
const LIST_NAME = /^[\p{L}\p{N}._~-]{1,100}$/u;

/** Reads the body of `PUT /api/prefetch`. Throws `bad-request`. */
export function parseWishList(body: unknown, defaultSource: string): { ids: TrackKey[]; mode: "head" | "full" } {
  const { ids, mode = "full" } = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string")) throw badRequest("ids is a list of source/id");
  if (ids.length > MAX_IDS) throw badRequest(`A wish list names at most ${MAX_IDS} tracks`);
  if (mode !== "head" && mode !== "full") throw badRequest("mode is head or full");
  const keys = new Map<string, TrackKey>();
  for (const text of ids) {
    const { source = defaultSource, id } = parseTrackKey(text);
    keys.set(trackKey(source, id), { source, id });
  }
  return { ids: [...keys.values()], mode };
}

/** Throws `bad-request` for a name that is none, or for one list too many. */
export function checkListName(name: string, api: OfflineApi): void {
  if (!LIST_NAME.test(name)) throw badRequest("A list's name has 1 to 100 letters, digits or ._~-");
  const { prefetcher } = api;
  if (prefetcher.lists().size >= MAX_LISTS && !prefetcher.lists().has(name)) {
    throw badRequest(`There are ${MAX_LISTS} wish lists already`);
  }
}

/** What is known of a track's bytes, for progress. */
type Progress = (key: TrackKey) => { readonly size?: number; readonly cachedBytes: number };

/** What `GET /api/prefetch` answers. */
export function describePrefetch({ prefetcher }: OfflineApi, progress: Progress): object {
  const lists = Object.fromEntries(
    [...prefetcher.lists()].map(([name, { ids, mode }]) => [
      name,
      { ids: ids.map(({ source, id }) => trackKey(source, id)), mode },
    ]),
  );
  const tracks = prefetcher.states().map(({ source, id, state, code }) => ({
    key: trackKey(source, id),
    state,
    ...(code === undefined ? {} : { code }),
    ...progress({ source, id }),
  }));
  return { lists, tracks };
}

function badRequest(message: string): AfterbayError {
  return new AfterbayError("bad-request", message);
}
