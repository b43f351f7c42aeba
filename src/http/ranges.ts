/**
 * Byte ranges of requests and answers: RFC 9110, section 14. Inside, a range is [start, end) with an exclusive end; on
 * the wire the last position is inclusive. The translation happens here and nowhere else.
 */

/**
 * What a `Range` header asks for.
 *
 * - `whole`: no range, or one to be ignored: the answer is 200. Section 14.2 lets a server ignore a range unit it does
 *   not know and a specifier that is invalid, and a client that sent nonsense is better served by music than by an error.
 * - `range`: one satisfiable range: 206. `end` is clamped to the size; it is absent only where the size is unknown and
 *   the range is open (`N-`).
 * - `suffix`: the last `length` bytes (above 0), while the size is unknown.
 * - `unsatisfiable`: 416.
 * - `multiple`: several ranges, at least one of them satisfiable (or the size is unknown): answered with a deliberate
 *   200 and the whole body. No audio player asks for several ranges, section 14.2 leaves the choice to the server, and
 *   multipart answers would be the one body whose bytes are not the track's.
 */
export type RangeRequest =
  | { readonly kind: "whole" }
  | { readonly kind: "range"; readonly start: number; readonly end: number | undefined }
  | { readonly kind: "suffix"; readonly length: number }
  | { readonly kind: "unsatisfiable" }
  | { readonly kind: "multiple" };

/** Longer headers are ignored unread. One range takes at most some 40 characters. */
const MAX_HEADER_LENGTH = 2048;

/** Headers with more ranges are ignored: section 17.15 names many small ranges as an attack. */
const MAX_RANGES = 32;

type Spec =
  | { readonly kind: "from"; readonly first: number; readonly last: number | undefined }
  | { readonly kind: "last"; readonly length: number };

/**
 * Reads a `Range` header (RFC 9110, section 14.2) against a resource of `size` bytes, or of unknown size.
 *
 * Units are case-insensitive (section 14.1). White space around ranges and empty list elements are accepted (section
 * 5.6.1). Positions beyond 2^53 are taken as 2^53 - 1, which is past the end of everything.
 *
 * Of a resource with 0 bytes no position exists, so `0-` is unsatisfiable; a suffix is satisfiable by section 14.1.2
 * but has no Content-Range to describe it, so it is `whole`.
 */
export function parseRange(header: string | undefined, size: number | undefined): RangeRequest {
  const specs = header === undefined ? undefined : parseSpecs(header);
  if (specs === undefined) return { kind: "whole" };
  const [only] = specs;
  if (only !== undefined && specs.length === 1) return locate(only, size);
  const none = specs.every((spec) => locate(spec, size).kind === "unsatisfiable");
  return none ? { kind: "unsatisfiable" } : { kind: "multiple" };
}

/** The value of `Content-Range` for bytes [start, end) of a resource (RFC 9110, section 14.4); the range is not empty. */
export function contentRange(start: number, end: number, size: number | undefined): string {
  return `bytes ${start}-${end - 1}/${size ?? "*"}`;
}

/** The value of `Content-Range` in a 416 (RFC 9110, section 15.5.17). */
export function unsatisfied(size: number): string {
  return `bytes */${size}`;
}

/** The ranges of a header; `undefined` if it is to be ignored. */
function parseSpecs(header: string): Spec[] | undefined {
  if (header.length > MAX_HEADER_LENGTH) return undefined;
  const set = /^bytes=(.*)$/i.exec(header.trim())?.[1];
  if (set === undefined) return undefined;
  const elements = set.split(",").map((element) => element.trim());
  const written = elements.filter((element) => element !== "");
  if (written.length === 0 || written.length > MAX_RANGES) return undefined;
  const specs: Spec[] = [];
  for (const element of written) {
    const spec = parseSpec(element);
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs;
}

/** int-range or suffix-range (RFC 9110, section 14.1.1); `undefined` if it is neither, or ends before it starts. */
function parseSpec(text: string): Spec | undefined {
  const match = /^(\d*)-(\d*)$/.exec(text);
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? undefined : { kind: "last", length: position(last) };
  if (last === "") return { kind: "from", first: position(first), last: undefined };
  // As BigInt: numbers above 2^53 would compare as equal.
  if (BigInt(last) < BigInt(first)) return undefined;
  return { kind: "from", first: position(first), last: position(last) };
}

function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/** Satisfiability (RFC 9110, section 14.1.2). */
function locate(spec: Spec, size: number | undefined): RangeRequest {
  if (spec.kind === "last") {
    if (spec.length === 0) return { kind: "unsatisfiable" };
    if (size === undefined) return { kind: "suffix", length: spec.length };
    return size === 0 ? { kind: "whole" } : { kind: "range", start: Math.max(0, size - spec.length), end: size };
  }
  if (size === undefined) {
    const end = spec.last === undefined ? undefined : Math.min(spec.last + 1, Number.MAX_SAFE_INTEGER);
    return { kind: "range", start: spec.first, end };
  }
  if (spec.first >= size) return { kind: "unsatisfiable" };
  return { kind: "range", start: spec.first, end: spec.last === undefined ? size : Math.min(spec.last + 1, size) };
}
