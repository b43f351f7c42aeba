import type { IncomingMessage } from "node:http";
import type { TrackKey } from "../data-source/data-source.ts";
import { etagOf, judgePreconditions, rangeApplies } from "./conditional.ts";
import { contentRange, parseRange, unsatisfied } from "./ranges.ts";

/** What is to be sent: bytes [start, end) of the track, with the headers that say so. */
export interface Plan {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly start: number;
  /** Exclusive; undefined where the size is not known. */
  readonly end: number | undefined;
  readonly hasBody: boolean;
}

/** As much of a track as its headers tell. */
export interface Described {
  /** Bytes; undefined where it is not known. */
  readonly size: number | undefined;
  readonly contentType: string | undefined;
  /** What the entity tag is made of; undefined where nothing names the bytes yet. */
  readonly publicName: string | undefined;
}

/** RFC 9110, section 8.3.1; of the types under `application/`, those that servers give audio. */
const MEDIA_TYPE =
  /^(?:(?:audio|video)\/[\w!#$&^.+-]+|application\/(?:octet-stream|ogg|mp4|x-flac|x-ogg)|binary\/octet-stream)(?:[ \t]*;[ \t]*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[\t\x20-\x21\x23-\x5b\x5d-\x7e]*"))*[ \t;]*$/i;
const UNTYPED = "application/octet-stream";

/** The answer that a GET or HEAD for a track gets by RFC 9110: its preconditions and its range judged. */
export function planAnswer(
  { method, headers: asks }: Pick<IncomingMessage, "method" | "headers">,
  { source, id }: TrackKey,
  { size, contentType, publicName }: Described,
): Plan {
  const headers: Record<string, string> = {
    "content-type": servedType(contentType),
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  };
  const etag = size === undefined || publicName === undefined ? undefined : etagOf(source, id, publicName);
  const verdict = judgePreconditions(asks, etag);
  if (verdict === "precondition-failed") {
    return { status: 412, headers: { "content-length": "0" }, start: 0, end: 0, hasBody: false };
  }
  // Of an unknown length nothing can be promised: no ranges, no tag, no length.
  if (size === undefined) return { status: 200, headers, start: 0, end: undefined, hasBody: true };
  const tag: Record<string, string> = etag === undefined ? {} : { etag };
  Object.assign(headers, tag);
  headers["accept-ranges"] = "bytes";
  if (verdict === "not-modified") {
    return { status: 304, headers: { ...tag, "cache-control": "no-cache" }, start: 0, end: 0, hasBody: false };
  }
  const applies = method === "GET" && rangeApplies(one(asks["if-range"]), etag);
  const asked = parseRange(applies ? asks.range : undefined, size);
  if (asked.kind === "unsatisfiable") {
    const refusal = { "content-range": unsatisfied(size), "content-length": "0", "accept-ranges": "bytes", ...tag };
    return { status: 416, headers: refusal, start: 0, end: 0, hasBody: false };
  }
  if (asked.kind === "range") {
    const end = asked.end ?? size;
    headers["content-range"] = contentRange(asked.start, end, size);
    headers["content-length"] = String(end - asked.start);
    return { status: 206, headers, start: asked.start, end, hasBody: true };
  }
  headers["content-length"] = String(size);
  return { status: 200, headers, start: 0, end: size, hasBody: size > 0 };
}

/** True if an answer whose headers went out as `promised` may go on as `plan`, which is what is known now. */
export function keepsPromise(promised: Plan, plan: Plan): boolean {
  const told = promised.headers;
  const same = ["content-range", "content-length"].every((name) => told[name] === plan.headers[name]);
  const tagged = told.etag === undefined || told.etag === plan.headers.etag;
  const types = [told, plan.headers].map((headers) =>
    (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase(),
  );
  const typed = types[0] === types[1] || types.includes(UNTYPED);
  return promised.status === plan.status && same && tagged && typed;
}

/**
 * The type that goes out: the upstream's, if it is one of media. A browser would show or run others with the rights of
 * this server's own page, and some are no header values at all; those are sent as bytes of no said kind.
 */
function servedType(contentType: string | undefined): string {
  return contentType !== undefined && MEDIA_TYPE.test(contentType) ? contentType : UNTYPED;
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
