import type { ApiTrack } from "./api-track.ts";
import { trackPath } from "./track-path.ts";

export const PLAYLIST_TYPE = "audio/x-mpegurl; charset=utf-8";

export interface PlaylistOptions {
  /** Of the URLs, without a slash at the end. */
  readonly origin: string;
  /** Added to each URL, since players cannot send headers. */
  readonly token?: string | undefined;
  /** Leaves out what does not play with no network. */
  readonly onlyComplete: boolean;
}

/** The pieces of an extended M3U playlist with titles, albums, covers, lengths in seconds (-1 where unknown) and absolute URLs. */
export async function* playlistPieces(
  tracks: AsyncIterable<ApiTrack>,
  { origin, token, onlyComplete }: PlaylistOptions,
): AsyncGenerator<string> {
  const query = token === undefined ? "" : `?token=${encodeURIComponent(token)}`;
  yield "#EXTM3U\n";
  for await (const { source, id, title, artist, album, artwork, durationMs, complete } of tracks) {
    if (onlyComplete && !complete) continue;
    const seconds = durationMs === undefined ? -1 : Math.round(durationMs / 1000);
    const name = [artist, title ?? id].filter((part) => part !== undefined && part !== "").join(" - ");
    // Ahead of #EXTINF, behind which some readers expect the address at once.
    if (album !== undefined && plain(album) !== "") yield `#EXTALB:${plain(album)}\n`;
    if (artwork !== undefined) yield `#EXTALBUMARTURL:${origin}${artwork}${query}\n`;
    yield `#EXTINF:${seconds},${plain(name)}\n${origin}${trackPath(source, id)}${query}\n`;
  }
}

/** A line break in a title would begin an entry of its own. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
}
