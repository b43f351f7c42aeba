import type { TrackKey } from "../data-source/data-source.ts";
import type { VariantName } from "./variant-name.ts";
import type { LiveVariant, VariantFacts } from "./live-variant.ts";
import type { IndexEntry, TrackMeta } from "./index-entry.ts";

/** A track as it is stored. */
export interface StoredTrack extends TrackKey {
  readonly variant: string;
  readonly facts: VariantFacts;
  readonly meta: TrackMeta;
  readonly bytes: number;
  readonly complete: boolean;
  /** Epoch ms of the last playback; of one that was never played, when it came. */
  readonly playedAt: number;
  /** Whether a player ever read it. */
  readonly played: boolean;
}

/** A stored variant; what is known of it while it lives counts before what the index says. */
export function describe(entry: IndexEntry, live: LiveVariant | undefined): StoredTrack {
  const { source, id, variant, facts, meta = {}, bytes, complete, playedAt, unplayed } = entry;
  return {
    source,
    id,
    variant,
    facts: live?.facts ?? facts,
    meta,
    bytes: live?.stored.bytes ?? bytes,
    complete: live?.complete ?? complete,
    playedAt,
    played: unplayed !== true,
  };
}

/** The name alone of what has one. */
export function nameOf({ source, id, variant }: VariantName): VariantName {
  return { source, id, variant };
}
