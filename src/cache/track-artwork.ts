import type { TrackKey } from "../data-source/data-source.ts";
import type { ArtworkFiles } from "./artwork-files.ts";
import type { LiveVariants } from "./live-variants.ts";
import type { VariantRecords } from "./variant-records.ts";

export interface ArtworkParts {
  readonly records: VariantRecords;
  readonly live: LiveVariants;
  readonly files: ArtworkFiles;
}

/** The cover that is kept of a track, with any of its variants. */
export async function readArtwork({ records, files }: ArtworkParts, key: TrackKey): Promise<Uint8Array | undefined> {
  for (const [stem] of records.ofTrack(key)) {
    const picture = await files.read(stem);
    if (picture !== undefined) return picture;
  }
  return undefined;
}

/**
 * Keeps a cover with the variant of a track of which most bytes are stored; false where none are. It goes when that
 * variant goes, unless there is another. Rejects where it cannot be written.
 */
export async function keepArtwork(
  { records, live, files }: ArtworkParts,
  key: TrackKey,
  picture: Uint8Array,
): Promise<boolean> {
  const stored = records.ofTrack(key).filter(([, { bytes }]) => bytes > 0);
  const [stem] = stored.toSorted(([, a], [, b]) => b.bytes - a.bytes)[0] ?? [];
  if (stem === undefined) return false;
  await files.write(stem, picture);
  if (records.get(stem) === undefined) {
    // It was deleted meanwhile.
    await files.delete(stem);
    return false;
  }
  await live.recount(stem);
  return true;
}
