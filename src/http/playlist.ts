import type { ApiTrack } from "./api-track.ts";
import { trackPath } from "./track-path.ts";

export const PLAYLIST_TYPE = "audio/x-mpegurl; charset=utf-8";

/**
 * An extended M3U playlist with titles, lengths in seconds (-1 where unknown) and absolute URLs.
 * `origin` is without a slash at the end; `token` is added to each URL, since players cannot send headers.
 */
export function renderPlaylist(tracks: Iterable<ApiTrack>, origin: string, token?: string): string {
  const query = token === undefined ? "" : `?token=${encodeURIComponent(token)}`;
  const lines = ["#EXTM3U"];
  for (const { source, id, title, artist, durationMs } of tracks) {
    const seconds = durationMs === undefined ? -1 : Math.round(durationMs / 1000);
    const name = [artist, title ?? id].filter((part) => part !== undefined && part !== "").join(" - ");
    lines.push(`#EXTINF:${seconds},${plain(name)}`, `${origin}${trackPath(source, id)}${query}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A line break in a title would begin an entry of its own. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
}
