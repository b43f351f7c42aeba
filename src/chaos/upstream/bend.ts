import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import {
  type Answer,
  contentRange,
  lengthOf,
  properAnswer,
  stretchOf,
  textAnswer,
  unsatisfiableAnswer,
  wholeAnswer,
} from "./answer.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Stretch } from "./range.ts";
import type { Resource } from "./resource.ts";
import type { Asked } from "./script.ts";

/** An answer as the behaviour wants it. `number` makes varying bytes differ from request to request. */
export function bentAnswer(
  resource: Resource,
  asked: Omit<Asked, "index">,
  behaviour: Behaviour,
  number: number,
): Answer {
  const answer = otherAnswer(resource, asked, behaviour) ?? bend(resource, asked, behaviour, number);
  const headers: Record<string, string> = { ...answer.headers };
  const { retryAfter } = behaviour;
  if (retryAfter !== undefined) {
    headers["retry-after"] = retryAfter instanceof Date ? retryAfter.toUTCString() : String(retryAfter);
  }
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) {
    if (value === null) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = value;
  }
  return { ...answer, headers };
}

const PAGES = {
  html: { contentType: "text/html; charset=utf-8", text: "<!doctype html><title>Sign in</title><p>Please sign in.\n" },
  json: { contentType: "application/json", text: '{"error":"consent required"}\n' },
};

/** Instead of the resource. */
function otherAnswer(resource: Resource, asked: Omit<Asked, "index">, behaviour: Behaviour): Answer | undefined {
  const { page, rangeLimit, status, unsatisfiable } = behaviour;
  if (status !== undefined && status !== 200 && status !== 206) return textAnswer(status);
  const bounded = asked.method === "GET" && asked.range?.kind === "bounded";
  if (rangeLimit !== undefined && !(bounded && asked.end - asked.start <= rangeLimit)) return textAnswer(403);
  const wall = wallOf(behaviour);
  if (wall && (asked.start >= wall.at || (wall.crossing === "refuse" && asked.end > wall.at))) {
    return textAnswer(wall.status);
  }
  if (unsatisfiable !== undefined) {
    const size = unsatisfiable === true ? resource.size : unsatisfiable;
    return unsatisfiableAnswer(size === "bare" ? undefined : `bytes */${size}`);
  }
  if (page === undefined) return undefined;
  const { contentType, text } = typeof page === "string" ? PAGES[page] : page;
  return textAnswer(200, text, { "content-type": contentType });
}

function wallOf({ wall }: Behaviour): { at: number; crossing: string; status: number } | undefined {
  return wall === undefined
    ? undefined
    : { crossing: "short", status: 403, ...(typeof wall === "number" ? { at: wall } : wall) };
}

function bend(resource: Resource, asked: Omit<Asked, "index">, behaviour: Behaviour, number: number): Answer {
  const proper = behaviour.ignoreRange ? wholeAnswer(resource) : properAnswer(resource, asked);
  const stretch = stretchOf(proper);
  if (!stretch) return proper;
  const varied = behaviour.vary === undefined ? proper : vary(proper, resource, behaviour.vary, number);
  return frame(reframed(cut(varied, stretch, resource, behaviour), resource, behaviour), behaviour);
}

/** Which bytes, and the label that goes with them. */
function cut(answer: Answer, asked: Stretch, resource: Resource, behaviour: Behaviour): Answer {
  const { contentRange: label, shiftRange = 0, truncate = Infinity } = behaviour;
  const surplus = surplusOf(behaviour);
  const wall = wallOf(behaviour)?.at ?? Infinity;
  const start = Math.max(0, asked.start + (answer.status === 206 ? shiftRange : 0));
  const end = Math.min(asked.end + start - asked.start, start + truncate, Math.max(start, wall));
  const sent = { start, end: end + surplus.bytes };
  const headers: Record<string, string> = { ...answer.headers };
  if (answer.status === 206) {
    const told = label === "asked" ? asked : surplus.counted === "range" ? sent : { start, end };
    const { shift = 0, total = resource.size } = typeof label === "object" && !("as" in label) ? label : {};
    headers["content-range"] = contentRange({ start: told.start + shift, end: told.end + shift }, total);
    if (label === "missing") delete headers["content-range"];
    if (typeof label === "object" && "as" in label) headers["content-range"] = label.as;
  }
  // Surplus that nothing counts has to be taken off the length again, once it is known.
  if (surplus.counted === "raw" && answer.framing === "length") headers["content-length"] = String(end - start);
  return { ...answer, status: behaviour.status ?? answer.status, headers, body: [sent] };
}

function surplusOf({ surplus = 0 }: Behaviour): { bytes: number; counted: "length" | "range" | "raw" } {
  return typeof surplus === "number" ? { bytes: surplus, counted: "length" } : surplus;
}

const CODERS = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes, { level: 1 }),
  deflate: (bytes: Uint8Array) => deflateSync(bytes, { level: 1 }),
  // The default takes seconds for a MiB, in which nobody else is answered.
  br: (bytes: Uint8Array) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

/** The same bytes in other wrapping. */
function reframed(answer: Answer, resource: Resource, { encode, multipart }: Behaviour): Answer {
  const { "content-range": label, "content-type": type, ...rest } = answer.headers;
  const stretch = stretchOf(answer);
  if (multipart && label !== undefined && stretch) {
    const head = `--part\r\nContent-Type: ${type ?? "application/octet-stream"}\r\nContent-Range: ${label}\r\n\r\n`;
    const text = new TextEncoder();
    return {
      ...answer,
      headers: { ...rest, "content-type": "multipart/byteranges; boundary=part" },
      body: [text.encode(head), stretch, text.encode("\r\n--part--\r\n")],
    };
  }
  if (encode === undefined || !stretch) return answer;
  const encoded = CODERS[encode](resource.bytes(stretch.start, stretch.end));
  return { ...answer, headers: { ...answer.headers, "content-encoding": encode }, body: [encoded] };
}

function frame(answer: Answer, { contentLength }: Behaviour): Answer {
  if (contentLength === undefined) return answer;
  if (typeof contentLength === "string") return { ...answer, framing: contentLength };
  const length = "as" in contentLength ? contentLength.as : lengthOf(answer.body) + contentLength.add;
  return { ...answer, framing: "length", headers: { ...answer.headers, "content-length": String(length) } };
}

function vary(answer: Answer, resource: Resource, where: NonNullable<Behaviour["vary"]>, number: number): Answer {
  const { etag: _etag, "last-modified": _modified, ...headers } = answer.headers;
  const version = `${resource.version}~${number}`;
  const { from, to } = where === true ? { from: 0, to: Infinity } : where;
  const bytes = (start: number, end: number) => {
    const all = resource.bytes(start, end);
    const [first, last] = [Math.max(start, from), Math.min(end, to)];
    if (first < last) all.set(resource.bytes(first, last, version), first - start);
    return all;
  };
  return { ...answer, headers, bytes, version };
}
