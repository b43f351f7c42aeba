import type { Clock } from "../data-source/clock.ts";
import type { DataSource, TrackKey } from "../data-source/data-source.ts";
import type { Resolution } from "../data-source/resolution.ts";
import { AfterbayError, abortReason } from "../errors.ts";
import type { ChunkStore, VariantName } from "./chunk-store.ts";
import { CurrentVariants } from "./current-variants.ts";
import { type EvictionReport, Evictor, type EvictorOptions } from "./evictor.ts";
import { stemOf } from "./file-store.ts";
import { importFile } from "./import-track.ts";
import type { ImportableFile } from "./import-file.ts";
import type { LiveVariant } from "./live-variant.ts";
import { LiveVariants } from "./live-variants.ts";
import { Openings } from "./openings.ts";
import { StorageHealth, type StorageLog } from "./storage-health.ts";
import { describe, type StoredTrack } from "./stored-track.ts";
import { type IndexEntry, type TrackIndex, trackKey } from "./track-index.ts";
import { VariantRecords } from "./variant-records.ts";
import { type OpenTrack, openTrack, type Want } from "./open-track.ts";

export type { StoredTrack } from "./stored-track.ts";
export type { Want } from "./open-track.ts";

export interface TrackCacheOptions {
  readonly store: ChunkStore;
  readonly index: TrackIndex;
  readonly upstream: DataSource;
  readonly clock: Clock;
  readonly log: StorageLog;
  /** Budget on disk, bytes. */
  readonly budget: number;
  /** The folder whose disk must not fill up. */
  readonly root?: string;
  /** Never evicted. */
  readonly isPinned?: (key: TrackKey) => boolean;
  /** Evicted only after all that nobody wishes for. */
  readonly isWished?: (key: TrackKey) => boolean;
  /** Told when stored bytes of a track came or went (`bytes`: how many), or it became complete. */
  readonly onChanged?: (key: TrackKey, change: TrackChange, bytes?: number) => void;
  /** Told of each track that was evicted, with the bytes that were freed, and why. */
  readonly onEvicted?: EvictorOptions["onEvicted"];
  /** Fills stop as soon as nobody reads. */
  readonly dataSaver?: boolean;
}

/** `idle`: its last reader has left. */
export type TrackChange = "stored" | "lost" | "complete" | "evicted" | "idle";

const EVICTED = {
  budget: "Evicted the track that was played longest ago, to keep to the budget",
  disk: "Evicted the track that was played longest ago, since the disk is nearly full",
  asked: "Evicted a track, as asked",
} as const;

/**
 * The cache of tracks: finds the current variant of each, or opens the upstream to learn it; owns the live variants, the
 * index and the budget.
 */
export class TrackCache {
  readonly #options: TrackCacheOptions;
  readonly #records: VariantRecords;
  readonly #live: LiveVariants;
  readonly #current: CurrentVariants;
  readonly #openings: Openings;
  readonly #health: StorageHealth;
  readonly #evictor: Evictor;
  #closed = false;

  constructor(options: TrackCacheOptions) {
    this.#options = options;
    const { index, store, upstream, clock, log, budget, root, onChanged } = options;
    this.#health = new StorageHealth(clock, log);
    this.#records = new VariantRecords(index, clock);
    this.#live = new LiveVariants({
      store,
      records: this.#records,
      upstream,
      clock,
      dataSaver: options.dataSaver ?? false,
      hooks: {
        isStoring: () => this.#health.storing,
        onStored: (variant, bytes) => this.#onStored(variant, bytes),
        onStorageError: (error) => this.onStorageError(error),
        onLost: (variant) => this.#records.lose(variant.stem),
        onChanged: (variant) => {
          this.#records.save(variant);
          if (variant.complete) onChanged?.(variant.name, "complete");
        },
      },
      onIdle: (variant) => onChanged?.(variant.name, "idle"),
      onFree: () => this.#evictor.check(),
    });
    this.#current = new CurrentVariants(this.#records, this.#live, clock);
    this.#openings = new Openings({
      upstream,
      clock,
      establish: (opened, want) => this.#current.establish(opened, want),
    });
    this.#evictor = new Evictor({
      index,
      clock,
      budget,
      ...(root === undefined ? {} : { root }),
      isInUse: (stem) => this.#live.isInUse(stem),
      remove: (stem) => this.#live.remove(stem),
      isPinned: options.isPinned ?? (() => false),
      isWished: options.isWished ?? (() => false),
      onEvicted: ({ source, id, bytes }, reason) => {
        log.info({ source, id, bytes, reason }, EVICTED[reason]);
        onChanged?.({ source, id }, "evicted");
        options.onEvicted?.({ source, id, bytes }, reason);
      },
      onError: (error) => this.onStorageError(error),
    });
  }

  /** Reads the index, and the maps of what was being written when the process ended. */
  async load(): Promise<void> {
    const { index, store } = this.#options;
    await index.load();
    await this.#records.settleOpen(store);
    this.#evictor.check();
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#options.index.bytes;
  }

  /** Number of variants of which bytes are stored. */
  get variants(): number {
    return this.#options.index.lineCount;
  }

  /** Budget on disk, bytes; lowering it evicts at once what is free. */
  get budget(): number {
    return this.#evictor.budget;
  }

  set budget(bytes: number) {
    this.#evictor.budget = bytes;
  }

  /** True if `bytes` more can be stored by giving up only what nobody wishes for; `forced`: anything but pins. */
  hasRoom(bytes: number, { forced = false } = {}): boolean {
    return this.#evictor.hasRoom(bytes, forced);
  }

  /** Evicts down to `to` bytes, or says what would go. */
  evictTo(to: number, options: { dryRun: boolean }): Promise<EvictionReport> {
    return this.#evictor.evictTo(to, options);
  }

  /**
   * Finds or opens the current variant. Rejects with an AfterbayError (`not-cached`, `variant-changed`, or what the
   * upstream did), or the signal's reason. A result must be closed.
   */
  async enter(want: Want): Promise<OpenTrack> {
    for (;;) {
      if (want.signal.aborted) throw abortReason(want.signal);
      if (this.#closed) throw new AfterbayError("busy", "The cache is closing");
      const current = await this.#current.find(want);
      if (current !== undefined) return openTrack(current, want, {});
      if (want.offline === true) throw new AfterbayError("not-cached", "This track is not in the cache");
      const { variant, fill, ...timing } = await this.#openings.wait(want);
      // It may have gone idle and been released between the two turns of the event loop.
      if (this.#live.get(variant.stem) === variant) return openTrack(variant, want, timing, fill);
    }
  }

  /** What the resolver says of a track while {@link enter} waits for its upstream: hints, which may be wrong. */
  hintOf(track: Pick<Want, "source" | "id" | "quality">): Resolution | undefined {
    return this.#openings.hintOf(track);
  }

  /** The live variant of a stored one, if it is in use now. */
  liveVariant(name: VariantName): LiveVariant | undefined {
    return this.#live.get(stemOf(name));
  }

  /** Every track with bytes stored: of several variants, one that is current, of several of those the one that was read last. */
  list(): StoredTrack[] {
    const tracks = new Map<string, readonly [string, IndexEntry]>();
    for (const record of this.#records.all()) {
      const key = trackKey(record[1]);
      const known = tracks.get(key);
      if (known === undefined || byWorth(record, known) < 0) tracks.set(key, record);
    }
    return [...tracks.values()].map(([stem, entry]) => describe(entry, this.#live.get(stem)));
  }

  find(key: TrackKey): StoredTrack | undefined {
    const [best] = this.#records.ofTrack(key).toSorted(byWorth);
    return best === undefined ? undefined : describe(best[1], this.#live.get(best[0]));
  }

  /** The spans of a stored track, whether it is in use or not; none of one that has gone meanwhile. */
  async spans(track: StoredTrack): Promise<{ start: number; end: number }[]> {
    const stem = stemOf(track);
    return this.#options.index.get(stem) === undefined ? [] : (await this.#live.revive(stem)).stored.spans();
  }

  /** The file that holds a track's bytes, where the store keeps files. */
  pathOf(key: TrackKey): string | undefined {
    const stored = this.find(key);
    return stored === undefined ? undefined : this.#options.store.pathOf?.(stored);
  }

  /** Holds every stored byte of a track against its checksum; answers how many were bad, and are missing now. */
  async verify(key: TrackKey): Promise<number> {
    let bad = 0;
    for (const [stem] of this.#records.ofTrack(key)) {
      const variant = await this.#live.revive(stem);
      const release = variant.hold();
      try {
        const badBytes = await variant.stored.verify();
        // It may have been given another name meanwhile: the next opening looks.
        await variant.stored.release();
        if (badBytes > 0) this.#onStored(variant, -badBytes);
        bad += badBytes;
      } finally {
        release();
      }
    }
    return bad;
  }

  /** Stores a whole track from elsewhere, as its current variant. Throws `no-space`, or the disk's error. */
  async importTrack(key: TrackKey, file: ImportableFile): Promise<void> {
    if (!this.hasRoom(file.size, { forced: true })) {
      throw new AfterbayError("no-space", "The cache's budget does not hold this file");
    }
    const onStored = (variant: LiveVariant, bytes: number): void => this.#onStored(variant, bytes);
    await importFile({ records: this.#records, live: this.#live, onStored }, key, file);
  }

  /** Forgets a track. What is in use goes when it is free; whoever comes now misses. */
  async delete(key: TrackKey): Promise<{ readonly found: boolean; readonly inUse: boolean }> {
    const variants = this.#records.ofTrack(key);
    let inUse = false;
    for (const [stem] of variants) {
      this.#records.doom(stem);
      const live = this.#live.get(stem);
      if (live?.isRead === true) inUse = true;
      // What only runs on goes as soon as it has ended.
      else if (live?.busy === true) live.stop(new DOMException("This track was deleted", "AbortError"));
      else await this.#live.remove(stem);
    }
    return { found: variants.length > 0, inUse };
  }

  /** Writes what is in hand and frees handles. Readers are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new DOMException("The cache is closing", "AbortError");
    this.#openings.stop(reason);
    await Promise.all([this.#evictor.close(), this.#live.close(reason)]);
    await this.#options.index.flush().catch((error: unknown) => this.onStorageError(error));
  }

  /** The disk refused a write: bytes are not stored for a while. One warning, until it takes writes again. */
  onStorageError(error: unknown): void {
    this.#health.refused(error);
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") this.#evictor.check({ full: true });
  }

  #onStored(variant: LiveVariant, bytes: number): void {
    this.#options.onChanged?.(variant.name, bytes > 0 ? "stored" : "lost", bytes);
    this.#records.noteBytes(variant);
    if (bytes > 0) this.#health.accepted();
    this.#evictor.check();
  }
}

/** What plays comes before what is parked, and of equals what was read last. */
function byWorth([, a]: readonly [string, IndexEntry], [, b]: readonly [string, IndexEntry]): number {
  const plays = ({ qualities }: IndexEntry): number => (qualities.length > 0 ? 1 : 0);
  return plays(b) - plays(a) || b.playedAt - a.playedAt;
}
