import type { Opened } from "../data-source/data-source.ts";
import type { TrackMeta } from "./index-entry.ts";

/** What is kept of a title, an artist, an album, and of an artwork's address: there may be 100,000 of them in memory. */
const MAX_LABEL = 300;
const MAX_ARTWORK_URL = 1024;
const META_FIELDS = ["title", "artist", "album", "durationMs", "artwork", "loudnessDb"] as const;

/** What the resolver says of a track, as much of it as is kept. */
export function metaOf({ resolution }: Opened): TrackMeta {
  return Object.fromEntries(
    META_FIELDS.flatMap((field) => {
      const value = resolution?.[field];
      if (value === undefined || (field === "artwork" && String(value).length > MAX_ARTWORK_URL)) return [];
      return [[field, typeof value === "string" && field !== "artwork" ? clipped(value) : value]];
    }),
  );
}

/** Without half of a character at its end. */
function clipped(label: string): string {
  return label.length <= MAX_LABEL ? label : label.slice(0, MAX_LABEL).replace(/[\uD800-\uDBFF]$/, "");
}
