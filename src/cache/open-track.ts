import { Priority, type TrackKey } from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import type { Fill, OnFollow } from "./fill.ts";
import type { LiveVariant } from "./live-variant.ts";
import type { VariantReader } from "./variant-reader.ts";

/** What someone wants of a track. */
export interface Want extends TrackKey {
  readonly quality?: Quality;
  /** Where reading will begin, as far as that is known before the size is. */
  readonly position: number;
  /** Nothing else is wanted for now: little is fetched to learn it. */
  readonly sizeOnly?: boolean;
  /** Asked with If-Range: another variant than the one before will be noticed. */
  readonly conditional?: boolean;
  /** Never touch the network: `not-cached` if nothing is stored. */
  readonly offline?: boolean;
  readonly level?: Priority;
  readonly signal: AbortSignal;
  /** True once whoever wants it has waited so long that it will come back: what it waits for goes on when it leaves. */
  readonly isPatient?: () => boolean;
  readonly onFollow?: OnFollow;
}

/** A track whose variant is known. */
export interface OpenTrack {
  readonly variant: LiveVariant;
  /** Times in ms of what had to be done before the variant was known. */
  readonly timing: { readonly resolveMs?: number; readonly upstreamMs?: number };
  /**
   * Reads [start, end); `end` may be Infinity. With `reuseBuffer`, a chunk holds only until the next is pulled.
   */
  read(start: number, end: number, options?: { readonly reuseBuffer?: boolean }): VariantReader;
  /** Must be called when no more readings will be begun. Those begun go on. */
  close(): void;
}

/**
 * Opens a variant for someone; it stays alive until that is closed and what is read of it has ended. `fill` is the one
 * that was waited for already, to learn which variant it is.
 */
export function openTrack(variant: LiveVariant, want: Want, timing: OpenTrack["timing"], fill?: Fill): OpenTrack {
  const release = variant.hold();
  return {
    variant,
    timing,
    read: (start, end, { reuseBuffer = false } = {}) =>
      variant.read({
        start,
        end,
        level: want.level ?? Priority.playback,
        signal: want.signal,
        reuseBuffer,
        ...(fill === undefined ? {} : { fill }),
        ...(want.onFollow === undefined ? {} : { onFollow: want.onFollow }),
        ...(want.offline === undefined ? {} : { offline: want.offline }),
      }),
    close: release,
  };
}
