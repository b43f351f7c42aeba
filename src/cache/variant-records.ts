import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { LiveVariant } from "./live-variant.ts";
import { nameOf } from "./stored-track.ts";
import type { IndexEntry, TrackMeta } from "./index-entry.ts";
import type { TrackIndex } from "./track-index.ts";

/** A track in one quality. */
export interface QualityKey extends TrackKey {
  readonly quality?: Quality;
}

type NewRecord = Pick<IndexEntry, "source" | "id" | "variant" | "facts" | "meta">;

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

  ofTrack(key: TrackKey): [string, IndexEntry][] {
    return this.#index.ofTrack(key).filter(([stem]) => !this.#doomed.has(stem));
  }

  /** Of a track's variants, one that is current; of several of those, the one that was played last. */
  best(key: TrackKey): [string, IndexEntry] | undefined {
    return this.ofTrack(key).toSorted(byWorth)[0];
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

  /** Notes a variant of which nothing is stored yet, and that was not played. */
  add(stem: string, entry: NewRecord): void {
    const nothing = { qualities: [], bytes: 0, complete: false, playedAt: this.#clock.wall() };
    this.#index.put(stem, { ...entry, ...nothing, unplayed: true, open: true });
  }

  /** What an upstream's answer says of a variant that was found on disk without a record. */
  learn(stem: string, { facts, meta }: Pick<NewRecord, "facts" | "meta">): void {
    const entry = this.#index.get(stem);
    if (entry === undefined) return;
    this.#index.put(stem, { ...entry, facts: { ...facts, ...entry.facts }, ...(meta === undefined ? {} : { meta }) });
  }

  /** What the source says of a track now: what it does not say stays. */
  describe(stem: string, meta: TrackMeta): void {
    const entry = this.#index.get(stem);
    if (entry === undefined) return;
    const next = { ...entry.meta, ...meta };
    if (JSON.stringify(next) !== JSON.stringify(entry.meta ?? {})) this.#index.put(stem, { ...entry, meta: next });
  }

  /** As {@link add}, but as good as doomed until it is {@link keep kept}: of what is half-made, nothing stays. */
  addTentatively(stem: string, entry: NewRecord): void {
    this.add(stem, entry);
    this.doom(stem);
  }

  /** From now on it is not found; it goes when nobody uses it, or at the next start. */
  doom(stem: string): void {
    this.#doomed.add(stem);
    const entry = this.#index.get(stem);
    if (entry !== undefined) this.#index.put(stem, { ...entry, qualities: [], open: true, doomed: true });
  }

  /** It is found from now on. */
  keep(stem: string): void {
    this.#doomed.delete(stem);
    const known = this.#index.get(stem);
    if (known === undefined) return;
    const { doomed: _doomed, ...entry } = known;
    this.#index.put(stem, entry);
  }

  isDoomed(stem: string): boolean {
    return this.#doomed.has(stem);
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

  /** It is not found any more while its files are deleted; what is returned must be called after that. */
  remove(stem: string): (left?: { readonly disk: number; readonly bytes: boolean }) => void {
    const entry = this.#index.get(stem);
    this.#lost.delete(stem);
    this.#index.remove(stem);
    return (left) => {
      this.#doomed.delete(stem);
      if (left === undefined || left.disk === 0 || entry === undefined || this.#index.get(stem) !== undefined) return;
      // What could not be deleted still counts.
      const { bytes, complete } = left.bytes ? entry : { bytes: 0, complete: false };
      this.#index.put(stem, { ...entry, qualities: [], bytes, complete });
      this.#index.occupy(stem, left.disk);
      if (entry.doomed === true) this.#doomed.add(stem);
    };
  }

  /** Brings the record of a variant up to date. */
  save(variant: LiveVariant, changes: { open?: boolean } = {}): void {
    const { stem } = variant;
    const entry = this.#index.get(stem);
    if (entry === undefined) return;
    const { open: wasOpen, unplayed, ...rest } = entry;
    const open = changes.open ?? wasOpen ?? false;
    const playedAt = this.#playedAt(variant);
    const next: IndexEntry = {
      ...rest,
      facts: variant.facts,
      bytes: variant.stored.bytes,
      complete: variant.complete,
      playedAt: playedAt ?? entry.playedAt,
      ...(unplayed === true && playedAt === undefined ? { unplayed } : {}),
      ...(open ? { open } : {}),
    };
    // Many short readings of one track in a row are one line in the log, when it is left alone.
    const changed = JSON.stringify({ ...next, playedAt: 0 }) !== JSON.stringify({ ...entry, playedAt: 0 });
    if (changed) this.#index.put(stem, next);
    else this.#index.note(stem, next);
    this.occupy(variant);
  }

  /** Brings up to date what a variant takes on disk. */
  occupy({ stem, stored: { disk } }: LiveVariant): void {
    if (disk !== undefined) this.#index.occupy(stem, disk);
  }

  /** Brings up to date what the files of one that does not live take on disk. */
  occupyIdle(stem: string, disk: number): void {
    this.#index.occupy(stem, disk);
  }

  /** Stored bytes came or went. The budget counts at once; the log learns of it later, or from the map after a crash. */
  noteBytes(variant: LiveVariant): void {
    const entry = this.#index.get(variant.stem);
    if (entry === undefined) return;
    if (entry.open !== true) return this.save(variant, { open: true });
    this.#index.note(variant.stem, { ...entry, bytes: variant.stored.bytes });
    this.occupy(variant);
  }

  /** Reads the maps of what was being written when the process ended, and answers what was to be deleted. */
  async settleOpen(store: ChunkStore): Promise<string[]> {
    const doomed: string[] = [];
    for (const { stem, open } of [...this.#index.usage()]) {
      const entry = open ? this.#index.get(stem) : undefined;
      if (entry === undefined) continue;
      if (entry.doomed === true) {
        this.#doomed.add(stem);
        doomed.push(stem);
        continue;
      }
      const stored = await store.open(nameOf(entry));
      const { open: _open, ...settled } = entry;
      const complete = entry.facts.size !== undefined && stored.hasAllChunks(entry.facts.size);
      this.#index.put(stem, { ...settled, bytes: stored.bytes, complete });
    }
    return doomed;
  }

  /** Logs a record whose changes were only noted so far. */
  settle(stem: string): void {
    const entry = this.#index.get(stem);
    if (entry !== undefined) this.#index.put(stem, entry);
  }

  /** Epoch ms at which a player read it last; undefined if none did while it lived. */
  #playedAt({ isPlayed, lastPlayedAt }: LiveVariant): number | undefined {
    if (isPlayed) return this.#clock.wall();
    return lastPlayedAt === undefined ? undefined : this.#clock.wall() - (this.#clock.now() - lastPlayedAt);
  }
}

/** What plays comes before what is parked, and of equals what was played last. */
function byWorth([, a]: readonly [string, IndexEntry], [, b]: readonly [string, IndexEntry]): number {
  const plays = ({ qualities }: IndexEntry): number => (qualities.length > 0 ? 1 : 0);
  return plays(b) - plays(a) || b.playedAt - a.playedAt;
}
