import type { TrackKey } from "../data-source/data-source.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import { parseTrackKey } from "./track-path.ts";

/** Most tracks that one request may name. */
export const MAX_IDS = 20_000;

/**
 * Reads a list of keys (`source/id`, or an id of the default source) from a request's body, in its order. Rejects with
 * `bad-request`, which names the first that is none. Others have their turn in between.
 */
export async function parseIds(ids: unknown, defaultSource: string): Promise<TrackKey[]> {
  return await readIds(ids, (text) => {
    const { source = defaultSource, id } = parseTrackKey(text);
    return { source, id };
  });
}

/** As {@link parseIds}, where `keyOf` reads each. */
export async function readIds(ids: unknown, keyOf: (text: string) => TrackKey): Promise<TrackKey[]> {
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string")) throw badRequest("ids is a list of source/id");
  if (ids.length > MAX_IDS) throw badRequest(`At most ${MAX_IDS} tracks can be named at once`);
  const slice = new TimeSlice();
  const keys: TrackKey[] = [];
  for (const [at, text] of ids.entries()) {
    if (slice.isOver) await slice.pause();
    keys.push(keyAt(at, text, keyOf));
  }
  return keys;
}

function keyAt(at: number, text: string, keyOf: (text: string) => TrackKey): TrackKey {
  try {
    return keyOf(text);
  } catch (error) {
    if (!isAfterbayError(error)) throw error;
    throw new AfterbayError(error.code, `ids[${at}]: ${error.message}`, { cause: error });
  }
}

function badRequest(message: string): AfterbayError {
  return new AfterbayError("bad-request", message);
}
