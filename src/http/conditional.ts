import { createHash } from "node:crypto";

/** Conditional requests: RFC 9110, section 13. Afterbay sends strong entity tags and no Last-Modified. */

/** The headers that conditions are read from, as `node:http` names them. */
export interface ConditionalHeaders {
  readonly "if-match"?: string | undefined;
  readonly "if-none-match"?: string | undefined;
}

/** What the preconditions of a GET or HEAD say: answer as usual, 304, or 412. */
export type Verdict = "proceed" | "not-modified" | "precondition-failed";

interface EntityTag {
  readonly weak: boolean;
  /** With its quotes. */
  readonly opaque: string;
}

/** 27 characters of base64url: 162 bits. */
const TAG_LENGTH = 27;

/**
 * The strong entity tag of a track's exact bytes, with its quotes. A hash, so that neither ids nor an upstream's
 * variant names reach a client; of a JSON array, so that no two triples are written alike.
 */
export function etagOf(source: string, id: string, variant: string): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([source, id, variant]))
    .digest("base64url");
  return `"${hash.slice(0, TAG_LENGTH)}"`;
}

/**
 * Judges `If-Match` and `If-None-Match` of a GET or HEAD in the order of RFC 9110, section 13.2.2.
 *
 * `etag` is the current strong entity tag, absent while the variant is unknown: no tag then matches, and `*` matches
 * for `If-Match` alone, since a 304 would have to name what was not modified.
 * An `If-Match` that cannot be read fails; an `If-None-Match` that cannot be read is ignored: both err towards safety.
 */
export function judgePreconditions(headers: ConditionalHeaders, etag: string | undefined): Verdict {
  const ifMatch = headers["if-match"]?.trim();
  if (ifMatch !== undefined && ifMatch !== "*" && !matches(ifMatch, etag, "strong")) return "precondition-failed";
  const ifNoneMatch = headers["if-none-match"]?.trim();
  if (ifNoneMatch === undefined || etag === undefined) return "proceed";
  return ifNoneMatch === "*" || matches(ifNoneMatch, etag, "weak") ? "not-modified" : "proceed";
}

/**
 * True if the `Range` header counts: there is no `If-Range`, or it holds exactly the current strong entity tag (RFC
 * 9110, section 13.1.5). A weak tag never matches, nor does a date, since no Last-Modified was ever sent.
 */
export function rangeApplies(ifRange: string | undefined, etag: string | undefined): boolean {
  return ifRange === undefined || (etag !== undefined && ifRange.trim() === etag);
}

/** Section 8.8.3.2: the strong comparison wants both tags strong, the weak one compares what is within the quotes. */
function matches(list: string, etag: string | undefined, comparison: "strong" | "weak"): boolean {
  if (etag === undefined) return false;
  return parseTags(list).some((tag) => tag.opaque === etag && (comparison === "weak" || !tag.weak));
}

/** A list of entity tags (section 8.8.3), which may hold commas themselves; none if the list is malformed. */
function parseTags(list: string): EntityTag[] {
  const tags: EntityTag[] = [];
  const element = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;
  while (element.lastIndex < list.length) {
    const match = element.exec(list);
    if (match === null) return [];
    if (match[2] !== undefined) tags.push({ weak: match[1] !== undefined, opaque: match[2] });
  }
  return tags;
}
