import type { Clock } from "../data-source/clock.ts";
import type { DataSource, Opened, TrackKey } from "../data-source/data-source.ts";
import type { Resolution } from "../data-source/resolution.ts";
import { AfterbayError, abortReason } from "../errors.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { CurrentVariants } from "./current-variants.ts";
import { DiskUsage } from "./disk-usage.ts";
import { type Evicted, type EvictionReason, type EvictionReport, Evictor, messageOf } from "./evictor.ts";
import { stemOf } from "./variant-paths.ts";
import { type CacheParts, deleteTrack, verifyTrack } from "./chores.ts";
import { importTrack } from "./import-track.ts";
import type { ImportableFile } from "./import-file.ts";
import type { LiveVariant } from "./live-variant.ts";
import { LiveVariants } from "./live-variants.ts";
import { Openings } from "./openings.ts";
import { StorageHealth, type StorageLog } from "./storage-health.ts";
import { Survey } from "./survey.ts";
import { describe, type StoredTrack } from "./stored-track.ts";
import { type ArtworkParts, keepArtwork, readArtwork } from "./track-artwork.ts";
import { metaOf } from "./track-meta.ts";
import type { TrackIndex } from "./track-index.ts";
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
  /** Where more than the budget is stored at the start, there is none: someone else decides what goes. */
  readonly sparing?: boolean;
  /** The folder whose disk must not fill up. */
  readonly root?: string;
  /** Never evicted. */
  readonly isPinned?: (key: TrackKey) => boolean;
  /** Evicted only after all that nobody wishes for. */
  readonly isWished?: (key: TrackKey) => boolean;
  /** Told when stored bytes of a track came or went (`bytes`: how many), or it became complete. */
  readonly onChanged?: (key: TrackKey, change: TrackChange, bytes?: number) => void;
  /** Told what the resolver says of a track whenever its upstream was asked. */
  readonly onResolved?: (key: TrackKey, resolution: Resolution) => void;
  /** Told of each track that was evicted, with the bytes on disk that it took, and why. */
  readonly onEvicted?: (track: TrackKey & { readonly bytes: number }, reason: EvictionReason) => void;
  /** Fills stop as soon as nobody reads. */
  readonly dataSaver?: boolean;
}

/** `idle`: its last reader has left. */
export type TrackChange = "stored" | "lost" | "complete" | "evicted" | "idle";

/** What a disk, or a quota, refuses writes with when it is full. */
const FULL = new Set(["ENOSPC", "EDQUOT"]);

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
  readonly #usage: DiskUsage;
  readonly #evictor: Evictor;
  readonly #survey: Survey;
  readonly #parts: CacheParts;
  readonly #artwork: ArtworkParts | undefined;
  readonly #imports = new Set<Promise<void>>();
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
        onDescribed: ({ stem, name }, opened) => {
          this.#records.describe(stem, metaOf(opened));
          this.#tell(name, opened);
        },
        onChanged: (variant) => {
          this.#records.save(variant);
          if (variant.complete) onChanged?.(variant.name, "complete");
        },
      },
      onIdle: (variant) => onChanged?.(variant.name, "idle"),
      onFree: () => this.#evictor.check(),
      // A full disk may refuse this as well: to make room then would be to try the same again, without end.
      onDeletionError: (error) => this.#health.refused(error),
    });
    this.#parts = {
      records: this.#records,
      live: this.#live,
      onStored: (variant, bytes) => this.#onStored(variant, bytes),
    };
    this.#artwork =
      store.artwork === undefined ? undefined : { records: this.#records, live: this.#live, files: store.artwork };
    this.#current = new CurrentVariants(this.#records, this.#live, clock);
    this.#openings = new Openings({
      upstream,
      clock,
      establish: (opened, want, take) => {
        this.#tell(want, opened);
        return this.#current.establish(opened, want, take);
      },
    });
    this.#survey = new Survey({ store, index, live: this.#live, clock, onEnd: () => this.#evictor.reorder() });
    this.#usage = new DiskUsage(index, store.files?.overhead, () => this.#survey.startSoon());
    this.#evictor = new Evictor({
      index,
      clock,
      usage: this.#usage,
      budget,
      ...(root === undefined ? {} : { root }),
      isInUse: (stem) => this.#live.isInUse(stem),
      remove: (stem) => this.#live.remove(stem),
      isPinned: options.isPinned ?? (() => false),
      isWished: options.isWished ?? (() => false),
      onEvicted: (victim, reason) => this.#onEvicted(victim, reason),
    });
  }

  /** Reads the index, and the maps of what was being written when the process ended. */
  async load(): Promise<void> {
    const { index, store, sparing = false } = this.#options;
    await index.load();
    for (const stem of await this.#records.settleOpen(store)) await this.#live.remove(stem);
    if (sparing && index.disk > this.#evictor.budget) this.#evictor.budget = Number.MAX_SAFE_INTEGER;
    this.#survey.startSoon();
    this.#evictor.check();
  }

  /** Bytes stored. */
  get bytes(): number {
    return this.#options.index.bytes;
  }

  /** Number of variants of which bytes are stored. */
  get variants(): number {
    return this.#options.index.lineCount;
  }

  /** Bytes on disk, with all that belongs to the cache, as far as known. */
  get diskBytes(): number {
    return this.#usage.bytes;
  }

  /** The same, after a look at what changes without notice. */
  measureDisk(): Promise<number> {
    return this.#usage.look();
  }

  /** Budget on disk, bytes; lowering it evicts at once what is free. */
  get budget(): number {
    return this.#evictor.budget;
  }

  set budget(bytes: number) {
    this.#evictor.budget = bytes;
  }

  /** Brings what is stored down to the budget, as far as it is free: something need not be kept any more. */
  keepToBudget(): void {
    this.#evictor.check();
  }

  /** True if `bytes` more can be stored by giving up only what nobody wishes for; `forced`: anything but pins. */
  hasRoom(bytes: number, { forced = false } = {}): boolean {
    return this.#evictor.hasRoom(bytes, forced);
  }

  /** Evicts down to `to` bytes on disk, or says what would go. */
  async evictTo(to: number, options: { dryRun: boolean }): Promise<EvictionReport> {
    await this.#survey.done();
    return await this.#evictor.evictTo(to, options);
  }

  /**
   * Finds or opens the current variant. Rejects with an AfterbayError (`not-cached`, `variant-changed`, or what the
   * upstream did), or the signal's reason. A result must be closed.
   */
  async enter(want: Want): Promise<OpenTrack> {
    for (;;) {
      if (want.signal.aborted) throw abortReason(want.signal);
      if (this.#closed) throw closing();
      const current = await this.#current.find(want);
      if (current === undefined && want.offline === true) {
        throw new AfterbayError("not-cached", "This track is not in the cache");
      }
      const found = current === undefined ? await this.#openings.wait(want) : { variant: current };
      const { variant, fill, ...timing } = { fill: undefined, ...found };
      // It may have been released or deleted between the two turns of the event loop.
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

  /** Every track with a record, as they are when the first is asked for; {@link find} tells whether there still is one. */
  keys(): Iterable<TrackKey> {
    return this.#options.index.keys();
  }

  /** A track with bytes stored: of several variants, one that is current, of several of those the one that was read last. */
  find(key: TrackKey): StoredTrack | undefined {
    const best = this.#records.best(key);
    return best === undefined ? undefined : describe(best[1], this.#live.get(best[0]));
  }

  /** The spans of a stored track, whether it is in use or not; none of one that has gone meanwhile. */
  async spans(track: StoredTrack): Promise<{ start: number; end: number }[]> {
    return (await this.#live.revive(stemOf(track)))?.stored.spans() ?? [];
  }

  /** The cover that is kept of a track. Never rejects. */
  async artwork(key: TrackKey): Promise<Uint8Array | undefined> {
    return this.#artwork === undefined ? undefined : await readArtwork(this.#artwork, key);
  }

  /** Keeps a cover with what is stored of a track; false if nothing is, or it cannot be written. Never rejects. */
  async keepArtwork(key: TrackKey, picture: Uint8Array): Promise<boolean> {
    if (this.#artwork === undefined || this.#closed || !this.#health.storing) return false;
    // Without its cover a song still plays: what the disk refuses here, the next piece of music will tell.
    const kept = await keepArtwork(this.#artwork, key, picture).catch(() => false);
    if (kept) this.#evictor.onStored();
    return kept;
  }

  /** The file that holds a track's bytes, where the store keeps files. */
  pathOf(key: TrackKey): string | undefined {
    const stored = this.find(key);
    return stored === undefined ? undefined : this.#options.store.pathOf?.(stored);
  }

  /** Holds every stored byte of a track against its checksum; answers how many were bad, and are missing now. */
  verify(key: TrackKey): Promise<number> {
    return verifyTrack(this.#parts, key);
  }

  /** Stores a whole track from elsewhere, as its current variant. Throws `no-space`, `busy`, or the disk's error. */
  async importTrack(key: TrackKey, file: ImportableFile): Promise<void> {
    const check = (): void => {
      if (this.#closed) throw closing();
    };
    check();
    if (!this.hasRoom(file.size, { forced: true })) {
      throw new AfterbayError("no-space", "The cache's budget does not hold this file");
    }
    const run = importTrack(this.#parts, key, file, check);
    const settled = run.catch(() => {}).finally(() => this.#imports.delete(settled));
    this.#imports.add(settled);
    await run;
  }

  /** Forgets a track. What is in use goes when it is free; whoever comes now misses. */
  async delete(key: TrackKey): Promise<{ readonly found: boolean; readonly inUse: boolean }> {
    const outcome = await deleteTrack(this.#parts, key);
    if (outcome.found) this.#options.onChanged?.(key, "lost");
    return outcome;
  }

  /** Writes what is in hand and frees handles. Readers are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = closing();
    await this.#openings.close(reason);
    // What one of these writes after its files were deleted would be left behind.
    await Promise.all(this.#imports);
    await Promise.all([this.#survey.close(), this.#evictor.close(), this.#live.close(reason)]);
    await this.#options.index.flush().catch((error: unknown) => this.onStorageError(error));
  }

  /** The disk refused a write: bytes are not stored for a while. One warning, until it takes writes again. */
  onStorageError(error: unknown): void {
    this.#health.refused(error);
    if (FULL.has((error as NodeJS.ErrnoException).code ?? "")) this.#evictor.onRefused();
  }

  #tell({ source, id }: TrackKey, { resolution }: Opened): void {
    if (resolution !== undefined) this.#options.onResolved?.({ source, id }, resolution);
  }

  #onStored(variant: LiveVariant, bytes: number): void {
    this.#options.onChanged?.(variant.name, bytes > 0 ? "stored" : "lost", bytes);
    this.#records.noteBytes(variant);
    if (bytes > 0) this.#health.accepted();
    this.#evictor.onStored();
  }

  #onEvicted({ source, id, bytes, parked }: Evicted, reason: EvictionReason): void {
    const { log, onChanged, onEvicted } = this.#options;
    log.info({ source, id, bytes, reason }, messageOf(parked, reason));
    if (parked) return;
    onChanged?.({ source, id }, "evicted");
    onEvicted?.({ source, id, bytes }, reason);
  }
}

function closing(): AfterbayError {
  return new AfterbayError("busy", "The cache is closing");
}
