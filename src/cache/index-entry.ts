import type { TrackKey } from "../data-source/data-source.ts";
import type { VariantFacts } from "./live-variant.ts";

/** What a track is called, for display. */
export interface TrackMeta {
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  /** Where its cover is to be had; of an address with a query, what stands before that, and the question mark. */
  readonly artwork?: string;
  readonly loudnessDb?: number;
}

/** One stored variant. */
export interface IndexEntry extends TrackKey {
  readonly variant: string;
  /** The qualities for which it is the current variant; "" where none was asked for. */
  readonly qualities: readonly string[];
  readonly facts: VariantFacts;
  readonly meta?: TrackMeta;
  /** Bytes stored. */
  readonly bytes: number;
  readonly complete: boolean;
  /** Epoch ms of the last playback; of one that was never played, when it came. */
  readonly playedAt: number;
  /** Fetched ahead or imported, and not played so far. */
  readonly unplayed?: boolean;
  /** True while it is being written: after a crash, its map knows better. */
  readonly open?: boolean;
  /** To be deleted when nobody uses it, or at the next start; always {@link open}. */
  readonly doomed?: boolean;
}

/** The fields of an entry as they were found, made an entry; undefined if they are none. */
export function asEntry({ meta, ...fields }: { readonly meta?: unknown }): IndexEntry | undefined {
  if (!isEntry(fields)) return undefined;
  // Without its title a song still plays.
  return { ...(fields as IndexEntry), ...(isMeta(meta) ? { meta: meta as TrackMeta } : {}) };
}

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => Number.isFinite(value);
export const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** Of those that a Date can hold. */
export const isTime: Check = (value) => isNumber(value) && Math.abs(value as number) <= 8.64e15;
const isFlag: Check = (value) => typeof value === "boolean";
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const shape =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    for (const field in fields) if (fields[field]?.((value as Record<string, unknown>)[field]) === false) return false;
    return true;
  };

const isEntry = shape({
  source: isText,
  id: isText,
  variant: isText,
  qualities: isTexts,
  facts: shape({
    upstreamName: optional(isText),
    resolverVariant: optional(isText),
    validator: optional(shape({ origin: isText, etag: optional(isText), lastModified: optional(isText) })),
    size: optional(isCount),
    contentType: optional(isText),
  }),
  complete: isFlag,
  unplayed: optional(isFlag),
  doomed: optional(isFlag),
});

const isMeta = shape({
  title: optional(isText),
  artist: optional(isText),
  album: optional(isText),
  durationMs: optional(isNumber),
  artwork: optional(isText),
  loudnessDb: optional(isNumber),
});
