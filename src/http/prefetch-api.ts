import type { TrackKey } from "../data-source/data-source.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import { AfterbayError } from "../errors.ts";
import type { Finder } from "./finder.ts";
import { MAX_IDS, readIds } from "./id-list.ts";
import { trackKey } from "./track-path.ts";

interface List {
  readonly ids: readonly TrackKey[];
  readonly mode: "head" | "full";
}

interface TrackState extends TrackKey {
  readonly state: string;
  readonly code?: string;
}

/** What the routes need of whoever fetches ahead and keeps tracks offline. */
export interface OfflineApi {
  isPinned(key: TrackKey): boolean;
  pin(key: TrackKey, signal: AbortSignal): Promise<void>;
  unpin(key: TrackKey): Promise<boolean>;
  /** It is neither kept nor fetched any more; true if it was pinned. */
  forget(key: TrackKey): Promise<boolean>;
  forgetAll(): Promise<void>;
  readonly prefetcher: {
    setList(name: string, ids: readonly TrackKey[], mode: "head" | "full"): void;
    lists(): ReadonlyMap<string, List>;
    cancel(key: TrackKey): void;
    states(lists: Iterable<List>): Iterable<TrackState>;
    stateOf(key: TrackKey, mode: "head" | "full"): TrackState;
  };
}

/** Most tracks on all lists together, and most lists. */
const MAX_ALL_IDS = 50_000;
const MAX_LISTS = 100;
const LIST_NAME = /^[\p{L}\p{N}._~-]{1,100}$/u;

/**
 * Reads the body of `PUT /api/prefetch`; what names a playlist or the like is replaced by its tracks. Rejects with
 * `bad-request`, and as the finder's `expand`.
 */
export async function parseWishList(body: unknown, finder: Finder, signal: AbortSignal): Promise<List> {
  const { ids, mode = "full" } = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  if (mode !== "head" && mode !== "full") throw badRequest("mode is head or full");
  const keys = new Map<string, TrackKey>();
  const slice = new TimeSlice();
  for (const { source, id } of await finder.expand(await readIds(ids, (text) => finder.keyOf(text)), signal)) {
    if (slice.isOver) await slice.pause();
    keys.set(trackKey(source, id), { source, id });
  }
  if (keys.size > MAX_IDS) throw badRequest(`A wish list names at most ${MAX_IDS} tracks`);
  return { ids: [...keys.values()], mode };
}

/** Throws `bad-request` for a list's name that is none, for one list too many, and for too many tracks on all together. */
export function checkList(name: string, length: number, { prefetcher }: OfflineApi): void {
  if (!LIST_NAME.test(name)) throw badRequest("A list's name has 1 to 100 letters, digits or ._~-");
  const lists = prefetcher.lists();
  if (lists.size >= MAX_LISTS && !lists.has(name)) throw badRequest(`There are ${MAX_LISTS} wish lists already`);
  let all = length;
  for (const [other, { ids }] of lists) if (other !== name) all += ids.length;
  if (all > MAX_ALL_IDS) throw badRequest(`All wish lists together name at most ${MAX_ALL_IDS} tracks`);
}

/** What is known of a track's bytes, for progress. */
type Progress = (key: TrackKey) => { readonly size?: number; readonly cachedBytes: number };

/** The pieces of what `/api/prefetch` answers: these lists, by name. Others have their turn in between. */
export async function* prefetchPieces(
  { prefetcher }: OfflineApi,
  lists: ReadonlyMap<string, List>,
  progress: Progress,
): AsyncGenerator<string> {
  const slice = new TimeSlice();
  yield '{"lists":{';
  let comma = "";
  for (const [name, { ids, mode }] of lists) {
    yield `${comma}${JSON.stringify(name)}:{"ids":[`;
    comma = "";
    for (const { source, id } of ids) {
      if (slice.isOver) await slice.pause();
      // A key needs no escapes.
      yield `${comma}"${trackKey(source, id)}"`;
      comma = ",";
    }
    yield `],"mode":"${mode}"}`;
    comma = ",";
  }
  yield '},"tracks":[';
  comma = "";
  for (const { source, id, state, code } of prefetcher.states(lists.values())) {
    if (slice.isOver) await slice.pause();
    const known = { key: trackKey(source, id), state, ...(code === undefined ? {} : { code }) };
    yield comma + JSON.stringify({ ...known, ...progress({ source, id }) });
    comma = ",";
  }
  yield "]}";
}

function badRequest(message: string): AfterbayError {
  return new AfterbayError("bad-request", message);
}
