import { AfterbayError } from "../../errors.ts";

const VIDEO_ID = /^[\w-]{11}$/;
const HOSTS: ReadonlySet<string> = new Set([
  "youtube.com",
  "www.youtube.com",
  "m.youtube.com",
  "music.youtube.com",
  "www.youtube-nocookie.com",
]);
/** Paths whose second segment is the video's id. */
const ID_PATH = /^\/(?:embed|live|shorts|v)\/([^/]+)\/?$/;

/**
 * The id of the video that `text` names: 11 characters, or a link to youtube.com, music.youtube.com or youtu.be that holds
 * them. Throws `not-found` for anything else, links of other sites among it.
 */
export function videoIdOf(text: string): string {
  if (VIDEO_ID.test(text)) return text;
  if (!/^https?:\/\//i.test(text)) {
    throw notFound("A YouTube id has 11 characters of A-Z, a-z, 0-9, - and _, or is a link to a video");
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.hostname.toLowerCase() ?? "";
  if (url === undefined || (!HOSTS.has(host) && host !== "youtu.be")) {
    throw notFound("A link to another site than YouTube; use the source that is made for it");
  }
  const named = host === "youtu.be" ? url.pathname.slice(1) : (ID_PATH.exec(url.pathname)?.[1] ?? watched(url));
  if (named !== undefined && VIDEO_ID.test(named)) return named;
  throw notFound("This YouTube link names no video; open the track and copy its own link");
}

function watched(url: URL): string | undefined {
  return /^\/watch\/?$/.test(url.pathname) ? (url.searchParams.get("v") ?? undefined) : undefined;
}

function notFound(message: string): AfterbayError {
  return new AfterbayError("not-found", message);
}
