import type { TrackKey } from "../data-source/data-source.ts";
import type { LiveVariant } from "./live-variant.ts";
import type { LiveVariants } from "./live-variants.ts";
import type { VariantRecords } from "./variant-records.ts";

/** What it takes to work on what is stored. */
export interface CacheParts {
  readonly records: VariantRecords;
  readonly live: LiveVariants;
  /** To be told of bytes that were stored, or lost if negative. */
  readonly onStored: (variant: LiveVariant, bytes: number) => void;
}

/** Holds every stored byte of a track against its checksum; answers how many were bad, and are missing now. */
export async function verifyTrack({ records, live, onStored }: CacheParts, key: TrackKey): Promise<number> {
  let bad = 0;
  for (const [stem] of records.ofTrack(key)) {
    const variant = await live.revive(stem);
    // It may have gone meanwhile.
    if (variant === undefined || live.get(stem) !== variant) continue;
    const release = variant.hold();
    try {
      const badBytes = await variant.stored.verify();
      // It may have been given another name meanwhile: the next opening looks.
      await variant.stored.release();
      if (badBytes > 0) onStored(variant, -badBytes);
      bad += badBytes;
    } finally {
      release();
    }
  }
  return bad;
}

/** Forgets a track. What is in use goes when it is free; whoever comes now misses. */
export async function deleteTrack(
  { records, live }: CacheParts,
  key: TrackKey,
): Promise<{ readonly found: boolean; readonly inUse: boolean }> {
  const stems = records.ofTrack(key).map(([stem]) => stem);
  for (const stem of stems) records.doom(stem);
  let inUse = false;
  for (const stem of stems) {
    const variant = await live.known(stem);
    if (variant?.isRead === true) inUse = true;
    // What only runs on goes as soon as it has ended.
    else if (variant?.busy === true) variant.stop(new DOMException("This track was deleted", "AbortError"));
    else if (records.isDoomed(stem)) await live.remove(stem);
  }
  return { found: stems.length > 0, inUse };
}
