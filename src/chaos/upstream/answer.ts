import type { Version } from "./bytes.ts";
import { parseRange, type Stretch, satisfy } from "./range.ts";
import type { Resource } from "./resource.ts";
import type { Asked } from "./script.ts";

/** What goes out: pure data, so that it can be bent before a byte is sent. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** In order; a stretch stands for those bytes of the resource. */
  readonly body: readonly (Uint8Array | Stretch)[];
  readonly framing: "length" | "chunked" | "close";
  /** For stretches. */
  readonly bytes: (start: number, end: number) => Uint8Array;
  readonly version: Version | undefined;
}

export function lengthOf(body: Answer["body"]): number {
  return body.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.end - part.start), 0);
}

/** The one stretch of a body that is just that. */
export function stretchOf(answer: Answer): Stretch | undefined {
  const [only] = answer.body;
  return answer.body.length === 1 && only && !(only instanceof Uint8Array) ? only : undefined;
}

/** What the request wants, as far as it can be told: nothing of a range that cannot be satisfied. */
export function wanted(resource: Resource, headers: Asked["headers"]): Pick<Asked, "range" | "start" | "end"> {
  const range = parseRange(headers["range"]);
  if (resource.unknownLength) {
    return range && range.kind !== "suffix"
      ? { range, start: range.start, end: range.kind === "bounded" ? range.end : Infinity }
      : { ...(range && { range }), start: 0, end: Infinity };
  }
  if (!range) return { start: 0, end: resource.size };
  return { range, ...(satisfy(range, resource.size) ?? { start: resource.size, end: resource.size }) };
}

/** The answer of a server that does everything right (RFC 9110). */
export function properAnswer(resource: Resource, asked: Omit<Asked, "index">): Answer {
  const { size } = resource;
  const range = asked.method === "GET" && ifRangeHolds(resource, asked.headers) ? asked.range : undefined;
  if (resource.unknownLength || !range) return wholeAnswer(resource);
  const stretch = satisfy(range, size);
  if (!stretch) return unsatisfiableAnswer(`bytes */${size}`);
  // A suffix of nothing is satisfiable, but no Content-Range can say so.
  if (size === 0) return wholeAnswer(resource);
  return {
    ...wholeAnswer(resource),
    status: 206,
    headers: { ...describe(resource), "content-range": contentRange(stretch, size) },
    body: [stretch],
  };
}

export function wholeAnswer(resource: Resource): Answer {
  return {
    status: 200,
    headers: describe(resource),
    body: [{ start: 0, end: resource.size }],
    framing: resource.unknownLength ? "chunked" : "length",
    bytes: (start, end) => resource.bytes(start, end),
    version: resource.version,
  };
}

export function textAnswer(status: number, text = `${status}\n`, headers: Answer["headers"] = {}): Answer {
  return {
    status,
    headers: { "content-type": "text/plain", ...headers },
    body: [new TextEncoder().encode(text)],
    framing: "length",
    bytes: () => new Uint8Array(0),
    version: undefined,
  };
}

export function unsatisfiableAnswer(range: string | undefined): Answer {
  return textAnswer(416, "416\n", range === undefined ? {} : { "content-range": range });
}

export function contentRange({ start, end }: Stretch, total: number | "*"): string {
  return `bytes ${start}-${end - 1}/${total}`;
}

function describe(resource: Resource): Record<string, string> {
  const { contentType, etag, lastModified, unknownLength } = resource;
  return {
    ...(contentType !== undefined && { "content-type": contentType }),
    ...(etag !== undefined && { etag }),
    ...(lastModified !== undefined && { "last-modified": lastModified }),
    ...(!unknownLength && { "accept-ranges": "bytes" }),
  };
}

/** RFC 9110, section 13.1.5: a weak tag never holds, a date must be the very same. */
function ifRangeHolds(resource: Resource, headers: Asked["headers"]): boolean {
  const condition = headers["if-range"];
  if (condition === undefined) return true;
  if (condition.includes('"')) return condition === resource.etag && !condition.startsWith("W/");
  return condition === resource.lastModified;
}
