import { choice, flag, list, maybe, number, object, record, type Shape, text } from "./shapes.ts";

/** What the owner of a cache directory answers on its socket: as much of it as the commands use. */

export const about = object({
  pid: number,
  version: text,
  /** Absent: it serves this socket alone, for as long as another command runs. */
  url: maybe(text),
  cacheDir: text,
  /** Stored now. */
  bytes: number,
  diskBytes: maybe(number),
  budget: number,
  defaultSource: text,
  sources: list(text),
});
export type About = ReturnType<typeof about>;

const span: Shape<readonly [number, number]> = (value) => {
  const [start = 0, end = 0] = list(number)(value);
  return [start, end];
};

export const track = object({
  source: text,
  id: text,
  key: text,
  title: maybe(text),
  artist: maybe(text),
  album: maybe(text),
  durationMs: maybe(number),
  loudnessDb: maybe(number),
  variant: maybe(text),
  contentType: maybe(text),
  size: maybe(number),
  cachedBytes: number,
  complete: flag,
  pinned: flag,
  chunkSize: number,
  chunks: text,
  spans: list(span),
  lastPlayedAt: maybe(text),
});
export type Track = ReturnType<typeof track>;

/** A track after its pin was set; of one that no source lists, little is known. */
export const pinnedTrack = object({ pinned: flag, complete: maybe(flag) });

export const tracks = object({ tracks: list(track) });

/** Tracks of which only the names are used. */
export const keys = object({ tracks: list(object({ key: text })) });

const foundTrack = object({
  key: text,
  title: maybe(text),
  artist: maybe(text),
  album: maybe(text),
  durationMs: maybe(number),
  complete: flag,
});
export type Found = ReturnType<typeof foundTrack>;

export const found = object({
  tracks: list(foundTrack),
  failed: maybe(list(object({ source: text, code: text, detail: maybe(text) }))),
});

const prefetchState = object({
  key: text,
  state: choice("waiting", "fetching", "done", "failed"),
  code: maybe(text),
  size: maybe(number),
  cachedBytes: maybe(number),
});
export type PrefetchState = ReturnType<typeof prefetchState>;

export const prefetchStatus = object({
  lists: record(object({ ids: list(text) })),
  tracks: list(prefetchState),
});

/** `bytes` have gone; `kept` bytes are in use, and go when they are free. */
export const cleared = object({ removed: number, bytes: number, kept: number });

const verified = object({ key: text, ok: flag, badBytes: number, repaired: maybe(flag) });
const verifyEnd = object({ done: flag, checked: number, bad: number });

/** A line about one track, or the last line. */
export const verifyLine: Shape<ReturnType<typeof verified> | ReturnType<typeof verifyEnd>> = (value) =>
  typeof value === "object" && value !== null && "done" in value ? verifyEnd(value) : verified(value);

export const evicted = object({
  before: number,
  after: number,
  victims: list(object({ key: text, bytes: number, playedAt: maybe(text) })),
  spared: list(object({ key: text, why: text })),
});

export const storedFile = object({
  path: text,
  size: number,
  contentType: maybe(text),
  title: maybe(text),
  artist: maybe(text),
});
export type StoredFile = ReturnType<typeof storedFile>;

export const imported = object({ key: text, bytes: number });
