import type { Opened } from "../data-source/data-source.ts";
import type { TrackMeta } from "./index-entry.ts";

/** What is kept of a title, an artist, an album, and of an artwork's address: there may be 100,000 of them in memory. */
const MAX_LABEL = 300;
const MAX_ARTWORK_URL = 1024;

/** What the resolver says of a track, as much of it as is kept. */
export function metaOf({ resolution = { url: "" } }: Opened): TrackMeta {
  const { title, artist, album, durationMs, artwork, loudnessDb } = resolution;
  const address = artwork === undefined ? undefined : withoutQuery(artwork);
  return {
    ...(title !== undefined && { title: clipped(title) }),
    ...(artist !== undefined && { artist: clipped(artist) }),
    ...(album !== undefined && { album: clipped(album) }),
    ...(durationMs !== undefined && { durationMs }),
    ...(address !== undefined && address.length <= MAX_ARTWORK_URL && { artwork: address }),
    ...(loudnessDb !== undefined && { loudnessDb }),
  };
}

/** False for an address of which a part was left out: there is a cover, but not to be had there. */
export function isWholeAddress(artwork: string): boolean {
  return !artwork.endsWith("?");
}

/** A query may hold a signature or a password, which is not for the disk: of one that has a query, the mark alone is kept. */
function withoutQuery(address: string): string {
  const { origin, pathname, search } = new URL(address);
  return `${origin}${pathname}${search === "" ? "" : "?"}`;
}

/** Without half of a character at its end. */
function clipped(label: string): string {
  return label.length <= MAX_LABEL ? label : label.slice(0, MAX_LABEL).replace(/[\uD800-\uDBFF]$/, "");
}
