import type { Resolution } from "../../data-source/resolution.ts";
import type { VideoInfo } from "./library.ts";

export type Metadata = Pick<Resolution, "title" | "artist" | "album" | "durationMs" | "artwork" | "loudnessDb">;

/** YouTube's own thumbnails carry a size and a signature in their query; without it they are the whole picture. */
const THUMBNAILS = /^i\d*\.ytimg\.com$/;

/** What an answer says of the track. */
export function metadataOf({ basic_info: info, player_config: config }: VideoInfo): Metadata {
  const { title, author, duration, thumbnail, short_description: description } = info;
  const release = releaseOf(description ?? "");
  const artist = release?.artist ?? author?.replace(/ - Topic$/, "");
  const artwork = artworkOf(thumbnail ?? []);
  const loudnessDb = config?.audio_config?.loudness_db;
  return {
    ...(title !== undefined && { title }),
    ...(artist !== undefined && { artist }),
    ...(release !== undefined && { album: release.album }),
    ...(duration !== undefined && duration > 0 && { durationMs: duration * 1000 }),
    ...(artwork !== undefined && { artwork }),
    ...(typeof loudnessDb === "number" && { loudnessDb }),
  };
}

/**
 * What labels deliver is described by YouTube itself, always in the same form: "Provided to YouTube by …", then title and
 * artists between dots, then the album, in paragraphs of their own.
 */
function releaseOf(description: string): { artist: string; album: string } | undefined {
  const [origin = "", track = "", album = ""] = description.split(/\n{2,}/);
  const [, ...artists] = track.split(" · ");
  if (!origin.startsWith("Provided to YouTube by ") || artists.length === 0 || album === "" || album.includes("\n")) {
    return undefined;
  }
  return { artist: artists.join(", "), album };
}

function artworkOf(thumbnails: readonly { readonly url: string; readonly width: number }[]): string | undefined {
  const [largest] = thumbnails.toSorted((a, b) => b.width - a.width);
  if (largest === undefined || !URL.canParse(largest.url)) return undefined;
  const url = new URL(largest.url);
  if (THUMBNAILS.test(url.hostname)) url.search = "";
  return url.href;
}
