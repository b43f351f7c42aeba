import type { TrackKey } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";

/**
 * The names of tracks in URLs. Paths are split at their raw slashes before anything is decoded, and each segment is
 * decoded once, so that `%2F` is a slash within an id. Nothing here passes through `new URL`, which would resolve the
 * ids `.` and `..` as directories (as browsers do on their side: such ids are reachable by plain HTTP clients only).
 */

/** A request target, split and not decoded. */
export interface Target {
  /** Starts with a slash. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/** What a `/stream/…` path names; without a source, the default one is meant. */
export interface StreamPath {
  readonly source: string | undefined;
  readonly id: string;
}

/** What a path like `/api/tracks/{source}/{id}[/…]` names. */
export interface TrackPath extends TrackKey {
  /** The raw segments after the id. */
  readonly rest: readonly string[];
}

const MAX_ID_LENGTH = 200;
const SOURCE_KEY = /^[a-z][a-z0-9-]*$/;
/** Control characters (C0, DEL, C1), and halves of surrogate pairs, which no URL can carry. */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

/** Splits a request target in origin-form or absolute-form (RFC 9112, section 3.2). */
export function splitTarget(target: string): Target {
  const local = target.replace(/^https?:\/\/[^/?]*/i, "");
  const mark = local.indexOf("?");
  const path = mark === -1 ? local : local.slice(0, mark);
  return { path: path === "" ? "/" : path, query: new URLSearchParams(mark === -1 ? "" : local.slice(mark + 1)) };
}

/**
 * Reads `/stream/{id}` or `/stream/{source}/{id}`; `undefined` for a path that is not below `/stream/`.
 * Throws `bad-request` for names that cannot exist and for more than two segments.
 */
export function parseStreamPath(path: string): StreamPath | undefined {
  const segments = segmentsBelow("/stream/", path);
  if (segments === undefined) return undefined;
  if (segments.length > 2) throw badRequest("A stream path has one or two parts");
  const [first = "", second] = segments;
  if (second === undefined) return { source: undefined, id: decodeId(first) };
  return { source: decodeSource(first), id: decodeId(second) };
}

/**
 * Reads `{prefix}{source}/{id}[/…]`, where `prefix` ends with a slash (`/api/tracks/`, `/api/prefetch/`); `undefined`
 * for a path that is not below it. Throws `bad-request` for names that cannot exist, or if the id is missing.
 */
export function parseTrackPath(prefix: string, path: string): TrackPath | undefined {
  const segments = segmentsBelow(prefix, path);
  if (segments === undefined) return undefined;
  const [source = "", id, ...rest] = segments;
  if (id === undefined) throw badRequest("A track path names a source and an id");
  return { source: decodeSource(source), id: decodeId(id), rest };
}

/**
 * Reads a key as {@link trackKey} writes it, or with characters of any script as they are; one part alone is an id of the
 * default source. Throws `bad-request`.
 */
export function parseTrackKey(key: string): StreamPath {
  // Unlike a request target, text has its characters: none of them is a byte of another.
  const [first = "", second, ...more] = key.replace(/[^\x20-\x7e]+/g, encoded).split("/");
  if (more.length > 0) throw badRequest("A track key has one or two parts");
  if (second === undefined) return { source: undefined, id: decodeId(first) };
  return { source: decodeSource(first), id: decodeId(second) };
}

/** A link as it is: its slashes, and what is percent-encoded in it, are its own. It may stand behind a word, `playlist:`. */
const LINK = /^(?:([a-z][a-z0-9-]*)\/)?((?:[a-z]+:)?[Hh][Tt]{2}[Pp][Ss]?:\/\/.+)$/s;

/** Reads a link, or `source/` and a link. Undefined for anything else; throws `bad-request` for one that can be no id. */
export function parseLink(text: string): StreamPath | undefined {
  const [, source, link] = LINK.exec(text) ?? [];
  if (link === undefined) return undefined;
  if (isTrackId(link)) return { source, id: link };
  throw badRequest("A link has at most 200 characters; leave out its end");
}

/** `source/id`, with everything outside RFC 3986's unreserved characters percent-encoded. */
export function trackKey(source: string, id: string): string {
  return `${encodeSegment(source)}/${encodeSegment(id)}`;
}

/** The path that a player asks for: `/stream/source/id`. */
export function trackPath(source: string, id: string): string {
  return `/stream/${trackKey(source, id)}`;
}

/** The path of a track's cover: `/api/tracks/source/id/artwork`. */
export function artworkPath(source: string, id: string): string {
  return `/api/tracks/${trackKey(source, id)}/artwork`;
}

/** True for `/api/tracks/{source}/{id}/artwork`. */
export function isArtworkPath(path: string): boolean {
  return /^\/api\/tracks\/[^/]+\/[^/]+\/artwork$/.test(path);
}

/** True for an id of 1 to 200 characters (code points) without control characters. */
export function isTrackId(id: string): boolean {
  if (id === "" || UNFIT.test(id)) return false;
  // Two UTF-16 units a character at most: the cheap test first.
  return id.length <= MAX_ID_LENGTH || (id.length <= 2 * MAX_ID_LENGTH && Array.from(id).length <= MAX_ID_LENGTH);
}

export function isSourceKey(source: string): boolean {
  return SOURCE_KEY.test(source);
}

/** Percent-encodes everything outside RFC 3986's unreserved characters; `encodeURIComponent` leaves `!'()*` alone. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}

function segmentsBelow(prefix: string, path: string): string[] | undefined {
  return path.startsWith(prefix) ? path.slice(prefix.length).split("/") : undefined;
}

function decodeSource(segment: string): string {
  const source = decode(segment);
  if (!isSourceKey(source)) throw badRequest("This is not a source's name");
  return source;
}

function decodeId(segment: string): string {
  const id = decode(segment);
  if (!isTrackId(id)) throw badRequest("An id has 1 to 200 characters and no control characters");
  return id;
}

function decode(segment: string): string {
  try {
    // node:http reads a target as latin1: unencoded bytes of a UTF-8 name arrive as one character each.
    return decodeURIComponent(segment.replace(/[\x80-\xff]/g, percent));
  } catch (cause) {
    throw badRequest("The path is not valid percent-encoded UTF-8", cause);
  }
}

/** Halves of surrogate pairs stay, to be refused. */
function encoded(text: string): string {
  return /\p{Cs}/u.test(text) ? text : encodeURIComponent(text);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function badRequest(message: string, cause?: unknown): AfterbayError {
  return new AfterbayError("bad-request", message, { cause });
}
