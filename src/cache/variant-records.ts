import type { Clock } from "../data-source/clock.ts";
import type { Quality, TrackKey } from "../data-source/data-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { LiveVariant } from "./live-variant.ts";
import { nameOf } from "./stored-track.ts";
import type { IndexEntry, TrackIndex } from "./track-index.ts";

/** A track in one quality. */
export interface QualityKey extends TrackKey {
  readonly quality?: Quality;
}

/** What the index says of variants, kept up to date with those that live. Those to be deleted are not found any more. */
export class VariantRecords {
  readonly #index: TrackIndex;
  readonly #clock: Clock;
  /** To be deleted when nobody uses them. */
  readonly #doomed = new Set<string>();
  /** The upstream does not have them any more, though bytes of them are missing. */
  readonly #lost = new Set<string>();

  constructor(index: TrackIndex, clock: Clock) {
    this.#index = index;
    this.#clock = clock;
  }

  get(stem: string): IndexEntry | undefined {
    return this.#index.get(stem);
  }

  *all(): Generator<[string, IndexEntry]> {
    for (const record of this.#index.entries()) if (!this.#doomed.has(record[0])) yield record;
  }

  ofTrack(key: TrackKey): [string, IndexEntry][] {
    return this.#index.ofTrack(key).filter(([stem]) => !this.#doomed.has(stem));
  }

  /** The variant that is current for a quality. */
  current(key: QualityKey): [string, IndexEntry] | undefined {
    return this.ofTrack(key).find(([, { qualities }]) => qualities.includes(key.quality ?? ""));
  }

  /** Makes `stem`, or none, the current variant for a quality. */
  setCurrent(key: QualityKey, stem: string | undefined): void {
    const quality = key.quality ?? "";
    for (const [other, entry] of this.#index.ofTrack(key)) {
      const has = entry.qualities.includes(quality);
      if (other === stem && !has) this.#index.put(other, { ...entry, qualities: [...entry.qualities, quality] });
      if (other !== stem && has) {
        this.#index.put(other, { ...entry, qualities: entry.qualities.filter((one) => one !== quality) });
      }
    }
  }

  /** Notes a variant of which nothing is stored yet. */
  add(stem: string, entry: Pick<IndexEntry, "source" | "id" | "variant" | "facts" | "meta">): void {
    const nothing = { qualities: [], bytes: 0, complete: false, playedAt: this.#clock.wall(), open: true };
    this.#index.put(stem, { ...entry, ...nothing });
  }

  /** From now on it is not found. */
  doom(stem: string): void {
    this.#doomed.add(stem);
    const entry = this.#index.get(stem);
    if (entry !== undefined) this.#index.put(stem, { ...entry, qualities: [], open: true, doomed: true });
  }

  isDoomed(stem: string): boolean {
    return this.#doomed.has(stem);
  }

  /** The files of a doomed variant are gone: another one of its name may come. */
  forgive(stem: string): void {
    this.#doomed.delete(stem);
  }

  /** The upstream has other bytes for this track now. */
  lose(stem: string): void {
    this.#lost.add(stem);
  }

  /** The upstream has these bytes again. */
  regain(stem: string): void {
    this.#lost.delete(stem);
  }

  isLost(stem: string): boolean {
    return this.#lost.has(stem);
  }

  remove(stem: string): void {
    this.#lost.delete(stem);
    this.#index.remove(stem);
  }

  /** Brings the record of a variant up to date. */
  save(variant: LiveVariant, changes: { open?: boolean; played?: boolean } = {}): void {
    const { stem } = variant;
    const entry = this.#index.get(stem);
    if (entry === undefined) return;
    const { open: wasOpen, ...rest } = entry;
    const open = changes.open ?? wasOpen ?? false;
    const next: IndexEntry = {
      ...rest,
      facts: variant.facts,
      bytes: variant.stored.bytes,
      complete: variant.complete,
      playedAt: changes.played === true ? this.#clock.wall() : entry.playedAt,
      ...(open ? { open } : {}),
    };
    // Many short readings of one track in a row are one line in the log, when it is left alone.
    const changed = JSON.stringify({ ...next, playedAt: 0 }) !== JSON.stringify({ ...entry, playedAt: 0 });
    if (changed) this.#index.put(stem, next);
    else this.#index.note(stem, next);
  }

  /** Stored bytes came or went. The budget counts at once; the log learns of it later, or from the map after a crash. */
  noteBytes(variant: LiveVariant): void {
    const entry = this.#index.get(variant.stem);
    if (entry === undefined) return;
    if (entry.open === true) this.#index.note(variant.stem, { ...entry, bytes: variant.stored.bytes });
    else this.save(variant, { open: true });
  }

  /** Reads the maps of what was being written when the process ended, and deletes what was to be deleted. */
  async settleOpen(store: ChunkStore): Promise<void> {
    for (const { stem, open } of [...this.#index.usage()]) {
      const entry = open ? this.#index.get(stem) : undefined;
      if (entry === undefined) continue;
      if (entry.doomed === true) {
        await store.delete(nameOf(entry));
        this.#index.remove(stem);
        continue;
      }
      const stored = await store.open(nameOf(entry));
      const { open: _open, ...settled } = entry;
      const complete = entry.facts.size !== undefined && stored.hasAllChunks(entry.facts.size);
      this.#index.put(stem, { ...settled, bytes: stored.bytes, complete });
    }
  }

  /** Logs a record whose changes were only noted so far. */
  settle(stem: string): void {
    const entry = this.#index.get(stem);
    if (entry !== undefined) this.#index.put(stem, entry);
  }
}
