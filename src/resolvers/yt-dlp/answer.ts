import { MiB } from "../../data-source/data-source.ts";
import type { CatalogueTrack, Resolution } from "../../data-source/resolution.ts";
import { toldTrack } from "../../data-source/told-track.ts";
import { AfterbayError } from "../../errors.ts";

type Fields = Readonly<Record<string, unknown>>;

/** googlevideo refuses larger ranges. */
const YOUTUBE_WINDOW = MiB;

const AUDIO: Readonly<Record<string, string>> = {
  aac: "audio/aac",
  flac: "audio/flac",
  m4a: "audio/mp4",
  mp3: "audio/mpeg",
  mp4: "audio/mp4",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  wav: "audio/wav",
  webm: "audio/webm",
};
const VIDEO: Readonly<Record<string, string>> = { mp4: "video/mp4", webm: "video/webm" };

/** What is known of the track that was asked for. */
export interface About {
  /** The variant whose bytes are held; it is looked for among all formats. */
  readonly held: string | undefined;
  readonly isYouTube: boolean;
}

/**
 * Reads what yt-dlp wrote of one track.
 * Throws `unplayable` for what has no bytes in one piece, `not-found` for a list of tracks, `upstream-failed` for what is
 * no answer.
 */
export function readAnswer(stdout: string, { held, isYouTube }: About): Resolution {
  const [first, second] = stdout.split("\n").filter((line) => line.trim() !== "");
  if (second !== undefined) {
    throw new AfterbayError("not-found", "This link names several tracks; open one of them and copy its own link");
  }
  const info = parse(first);
  if (info === undefined) throw new AfterbayError("upstream-failed", "yt-dlp's answer cannot be understood");
  if (info["is_live"] === true || info["live_status"] === "is_live" || info["live_status"] === "is_upcoming") {
    throw new AfterbayError("unplayable", "This is a live stream, or has not begun: it can be played when it is over");
  }
  const format = (isYouTube ? heldFormat(info, held) : undefined) ?? info;
  if (info["has_drm"] === true || format["has_drm"] === true) {
    throw new AfterbayError("unplayable", "This track is protected by DRM; Afterbay plays only what is not");
  }
  const url = directUrl(format);
  const variant = isYouTube ? variantOf(url) : undefined;
  const contentType = contentTypeOf(format);
  const contentLength = count(format["filesize"]);
  const expiresAt = isYouTube ? expiryOf(url) : undefined;
  return {
    ...metadataOf(info),
    url: url.href,
    headers: headersOf(info, format),
    ...(isYouTube && { maxWindow: YOUTUBE_WINDOW }),
    ...(variant !== undefined && { variant }),
    ...(contentType !== undefined && { contentType }),
    ...(contentLength !== undefined && { contentLength }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** The error of `JSON.parse` is dropped: it quotes the answer, which holds signed URLs. */
function parse(line: string | undefined): Fields | undefined {
  try {
    return asFields(JSON.parse(line ?? ""));
  } catch {
    return undefined;
  }
}

function heldFormat({ formats }: Fields, held: string | undefined): Fields | undefined {
  if (held === undefined || !Array.isArray(formats)) return undefined;
  return formats.map(asFields).find((format) => {
    const url = format === undefined ? undefined : urlOf(format);
    return url !== undefined && variantOf(url) === held;
  });
}

/** Throws `unplayable` where there are only manifests, or pieces to be put together. */
function directUrl(format: Fields): URL {
  const { protocol } = format;
  const url = urlOf(format);
  const isDirect = protocol === undefined || protocol === null || protocol === "http" || protocol === "https";
  if (!isDirect || (url !== undefined && /\.(?:m3u8?|mpd|f4m|ism)$/i.test(url.pathname))) {
    throw new AfterbayError(
      "unplayable",
      "yt-dlp finds this track only as a stream in pieces (HLS or DASH), which Afterbay does not play",
    );
  }
  if (url === undefined) throw new AfterbayError("unplayable", "yt-dlp finds no sound at this link");
  return url;
}

function urlOf({ url }: Fields): URL | undefined {
  if (typeof url !== "string" || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  return new URL(url);
}

/**
 * What names the exact bytes of a format of YouTube's, as the `youtube` source names them: itag, time of encoding, length.
 * Elsewhere the upstream's validators do, since nothing that yt-dlp says is proof.
 */
function variantOf({ searchParams }: URL): string | undefined {
  const parts = ["itag", "lmt", "clen"].map((name) => searchParams.get(name) ?? "");
  return parts.every((part) => /^\d+$/.test(part)) ? parts.join("-") : undefined;
}

/** Epoch ms. YouTube's URLs say when they end; those of other sites are tried until they are refused. */
function expiryOf({ searchParams }: URL): number | undefined {
  const expire = searchParams.get("expire") ?? "";
  return /^\d{10}$/.test(expire) ? Number(expire) * 1000 : undefined;
}

/** Those of the format, which yt-dlp itself would send, and the cookies for its URL. */
function headersOf(info: Fields, format: Fields): Record<string, string> {
  const given = asFields(format["http_headers"]) ?? asFields(info["http_headers"]) ?? {};
  const headers = Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const cookie = cookiesOf(format["cookies"] ?? info["cookies"]);
  return { ...Object.fromEntries(headers), ...(cookie !== "" && { cookie }) };
}

/** yt-dlp writes the cookies that are meant for the URL with their attributes in between. */
function cookiesOf(cookies: unknown): string {
  if (typeof cookies !== "string") return "";
  const parts = cookies.split("; ").filter((part) => !/^(?:domain|path|expires|version)=|^secure$/i.test(part));
  return parts.join("; ");
}

function contentTypeOf({ ext, acodec, vcodec }: Fields): string | undefined {
  const name = typeof ext === "string" ? ext : "";
  const types = typeof vcodec === "string" && vcodec !== "none" ? VIDEO : AUDIO;
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  return type === "audio/webm" && acodec === "opus" ? `${type}; codecs="opus"` : type;
}

/** Sites of music name track and artist; of others the title is that of the page, and the artist whoever put it there. */
function metadataOf(info: Fields): Omit<CatalogueTrack, "id"> {
  const { duration } = info;
  const artists = Array.isArray(info["artists"]) ? info["artists"].map(words).filter((name) => name !== undefined) : [];
  const uploader = words(info["uploader"])?.replace(/ - Topic$/, "");
  const told = toldTrack({
    id: "-",
    title: words(info["track"]) ?? info["title"],
    artist: artists.length > 0 ? artists.join(", ") : (words(info["artist"]) ?? words(info["creator"]) ?? uploader),
    album: info["album"],
    durationMs: typeof duration === "number" ? Math.round(duration * 1000) : undefined,
    artwork: info["thumbnail"],
  });
  const { id: _id, ...metadata } = told ?? { id: "" };
  return metadata;
}

function words(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined;
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}
