import { encodeSegment, isSourceKey, isTrackId, parseLink } from "../http/track-path.ts";
import { UsageError } from "./problems.ts";

/** For help pages. */
export const idHelp = [
  "An ID is an id of the default source, or SOURCE/ID. It may be percent-encoded,",
  "and a slash within it must be: SOURCE/a%2Fb. Before ids that begin with a dash",
  "stands --. Where a source knows links, a link is an ID as it is.",
].join("\n");

/** And of commands that take lists of tracks as well. */
export const listHelp = [
  idHelp,
  "playlist:ID, album:ID, radio:ID and links to such stand for their tracks, where a",
  "source has them.",
].join("\n");

/** True for a link that does not say which source it is of. */
export function isLink(text: string): boolean {
  const link = linkIn(text);
  return link !== undefined && link.source === undefined;
}

/** The key (`source/id`, each part percent-encoded) of what a person wrote. Throws a UsageError. */
export function keyOf(text: string, defaultSource: string): string {
  const link = linkIn(text);
  if (link !== undefined) return `${encodeSegment(link.source ?? defaultSource)}/${encodeSegment(link.id)}`;
  const [first = "", second, ...more] = text.split("/");
  const source = second === undefined ? defaultSource : decoded(first);
  if (more.length > 0 || !isSourceKey(source)) {
    throw new UsageError(`${quoted(text)} is not ID or SOURCE/ID; a slash within an id is written %2F.`);
  }
  const id = decoded(second ?? first);
  if (!isTrackId(id)) throw new UsageError(`${quoted(text)}: an id has 1 to 200 characters, none of control.`);
  return `${encodeSegment(source)}/${encodeSegment(id)}`;
}

/** Each once, in order. */
export function keysOf(texts: readonly string[], defaultSource: string): string[] {
  return [...new Set(texts.map((one) => keyOf(one, defaultSource)))];
}

const PLAIN_LINK = /^(?:[a-z]+:)?https?:\/\/[^\s\p{C}]+$/iu;

/** How a person reads and writes a track's key: as plainly as {@link keyOf} still understands it. */
export function written(key: string, defaultSource: string): string {
  const [source = "", segment = ""] = key.split("/");
  const id = decoded(segment);
  // What does not come back as the same key, or could not be seen for what it is, stays encoded.
  const isOdd = /[^\S ]|^ | $| {2}|[\p{C}/]/u.test(id) || decoded(id) !== id;
  const plain = isOdd && !PLAIN_LINK.test(id) ? segment : id;
  return source === defaultSource ? plain : `${source}/${plain}`;
}

function linkIn(text: string): ReturnType<typeof parseLink> {
  try {
    return parseLink(text);
  } catch {
    throw new UsageError(`${quoted(text)}: a link has at most 200 characters; leave out its end.`);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text);
}
