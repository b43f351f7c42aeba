import { AfterbayError, isAfterbayError } from "../../errors.ts";

/** A list of tracks at YouTube. */
export interface NamedList {
  /** `mix`: a playlist that is made as it is played, of a track, an artist or a mood. */
  readonly kind: "playlist" | "mix" | "album" | "radio";
  /** Of the playlist (`playlist`, `mix`), the page (`album`) or the video (`radio`). */
  readonly id: string;
}

/** What a text names at YouTube: a list, or a video. */
export type Named = NamedList | { readonly kind: "track"; readonly id: string };

const VIDEO_ID = /^[\w-]{11}$/;
const PLAYLIST_ID = /^[\w-]{2,100}$/;
const ALBUM_ID = /^MPREb_[\w-]{2,100}$/;
/** Mixes, but not the playlists that editors made of the same beginning. */
const MIX_ID = /^RD(?!CLAK)/;
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
 * Reads what a text names: 11 characters, `playlist:ID`, `album:ID`, `radio:ID`, or a link to youtube.com,
 * music.youtube.com or youtu.be, also behind one of these words. Throws `not-found` for anything else, links of other sites
 * among it.
 */
export function readName(text: string): Named {
  if (VIDEO_ID.test(text)) return { kind: "track", id: text };
  const [, word, rest = ""] = /^(playlist|album|radio):(.*)$/s.exec(text) ?? [];
  if (word === "radio") return { kind: "radio", id: videoIdOf(rest) };
  if (word !== undefined) return listNamed(rest) ?? fail(NO_LIST);
  if (!/^https?:\/\//i.test(text)) throw notFound(NO_ID);
  return readLink(text);
}

/** The id of the video that `text` names. Throws `not-found`, also for what names a list of tracks. */
export function videoIdOf(text: string): string {
  const { kind, id } = readName(text);
  if (kind === "track") return id;
  throw notFound("This names a list of tracks, and is no track itself; play or prefetch it to get its tracks");
}

/** As {@link readName}, but undefined for what names nothing. */
export function nameIn(text: string): Named | undefined {
  try {
    return readName(text);
  } catch (error) {
    if (isAfterbayError(error, "not-found")) return undefined;
    throw error;
  }
}

/** The one way to write a name: the bare id of a track, and the others behind their word. */
export function written({ kind, id }: Named): string {
  return kind === "track" ? id : `${kind === "mix" ? "playlist" : kind}:${id}`;
}

function readLink(text: string): Named {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.hostname.toLowerCase() ?? "";
  if (url === undefined || (!HOSTS.has(host) && host !== "youtu.be")) throw notFound(OTHER_SITE);
  const video = host === "youtu.be" ? url.pathname.slice(1) : (ID_PATH.exec(url.pathname)?.[1] ?? watched(url));
  // A track in a list is the track: that is what was copied.
  if (video !== undefined && VIDEO_ID.test(video)) return { kind: "track", id: video };
  const page = /^\/browse\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  const list = /^\/(?:playlist|watch)\/?$/.test(url.pathname) ? url.searchParams.get("list") : page;
  const named = host === "youtu.be" || list === undefined || list === null ? undefined : listById(list);
  return named ?? fail("This YouTube link names no track, playlist or album; open one and copy its own link");
}

function listNamed(text: string): Named | undefined {
  if (!/^https?:\/\//i.test(text)) return listById(text);
  const named = nameIn(text);
  return named?.kind === "track" ? undefined : named;
}

function listById(id: string): Named | undefined {
  if (ALBUM_ID.test(id)) return { kind: "album", id };
  // What is browsed for a playlist is its id behind these letters.
  const bare = id.replace(/^VL/, "");
  if (!PLAYLIST_ID.test(bare)) return undefined;
  return { kind: MIX_ID.test(bare) ? "mix" : "playlist", id: bare };
}

function watched(url: URL): string | undefined {
  return /^\/watch\/?$/.test(url.pathname) ? (url.searchParams.get("v") ?? undefined) : undefined;
}

const NO_ID =
  "A YouTube id has 11 characters of A-Z, a-z, 0-9, - and _, or is a link, or begins with playlist:, album: or radio:";
const NO_LIST =
  "Behind playlist: or album: stands its id (PL…, OLAK5uy_…, MPREb_…) or a link to it; open it and copy its own link";
const OTHER_SITE = "A link to another site than YouTube; use the source that is made for it";

function fail(message: string): never {
  throw notFound(message);
}

function notFound(message: string): AfterbayError {
  return new AfterbayError("not-found", message);
}
