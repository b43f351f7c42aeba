import { extname } from "node:path";
import type { RawPath } from "./raw-path.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".aac": "audio/aac",
  ".aif": "audio/aiff",
  ".aifc": "audio/aiff",
  ".aiff": "audio/aiff",
  ".alac": "audio/mp4",
  ".ape": "audio/x-ape",
  ".flac": "audio/flac",
  ".m4a": "audio/mp4",
  ".m4b": "audio/mp4",
  ".mka": "audio/x-matroska",
  ".mp3": "audio/mpeg",
  ".mp4": "audio/mp4",
  ".mpc": "audio/x-musepack",
  ".oga": "audio/ogg",
  ".ogg": "audio/ogg",
  ".opus": "audio/ogg",
  ".spx": "audio/ogg",
  ".wav": "audio/wav",
  ".weba": "audio/webm",
  ".webm": "audio/webm",
  ".wma": "audio/x-ms-wma",
  ".wv": "audio/x-wavpack",
};

/** What systems put beside people's files; nothing in them is for listening. */
const JUNK: ReadonlySet<string> = new Set([
  "$RECYCLE.BIN",
  "#recycle",
  "@eaDir",
  "lost+found",
  "System Volume Information",
]);

/** The media type of an audio file, by its extension; undefined for other files. */
export function audioType(path: RawPath): string | undefined {
  const extension = extname(path).toLowerCase();
  return Object.hasOwn(TYPES, extension) ? TYPES[extension] : undefined;
}

/**
 * True for names that are not looked at, files or folders. One leading dot hides, several do not, as in Navidrome:
 * "...And Justice for All" is an album.
 */
export function isHidden(name: RawPath): boolean {
  return /^\.(?!\.)/.test(name) || JUNK.has(name);
}
