import { randomBytes } from "node:crypto";
import { abortable } from "../data-source/aborting.ts";
import type { Clock } from "../data-source/clock.ts";
import { type DataSource, type Opened, Priority, type Quality, type TrackKey } from "../data-source/data-source.ts";
import { expectationOf } from "../data-source/resuming.ts";
import { shortHash, validatorsConflict } from "../data-source/validators.ts";
import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import type { ChunkStore, VariantName } from "./chunk-store.ts";
import { type EvictionReport, Evictor, type EvictorOptions } from "./evictor.ts";
import { Fill } from "./fill.ts";
import { stemOf } from "./file-store.ts";
import type { ImportableFile } from "./import-file.ts";
import { COPY_MARK, LiveVariant, type LiveVariantHooks, type VariantFacts } from "./live-variant.ts";
import { type IndexEntry, type TrackIndex, type TrackMeta, trackKey } from "./track-index.ts";
import type { VariantReader } from "./variant-reader.ts";

export interface TrackCacheLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface TrackCacheOptions {
  readonly store: ChunkStore;
  readonly index: TrackIndex;
  readonly upstream: DataSource;
  readonly clock: Clock;
  readonly log: TrackCacheLog;
  /** Budget on disk, bytes. */
  readonly budget: number;
  /** The folder whose disk must not fill up. */
  readonly root?: string;
  /** Never evicted. */
  readonly isPinned?: (key: TrackKey) => boolean;
  /** Evicted only after all that nobody wishes for. */
  readonly isWished?: (key: TrackKey) => boolean;
  /** Told when stored bytes of a track came or went, or it became complete. */
  readonly onChanged?: (key: TrackKey, change: TrackChange) => void;
  /** Told of each track that was evicted, with the bytes that were freed, and why. */
  readonly onEvicted?: EvictorOptions["onEvicted"];
  /** Fills stop as soon as nobody reads. */
  readonly dataSaver?: boolean;
}

/** `idle`: its last reader has left. */
export type TrackChange = "stored" | "lost" | "complete" | "evicted" | "idle";

/** What someone wants of a track. */
export interface Want extends TrackKey {
  readonly quality?: Quality;
  /** Where reading will begin, as far as that is known before the size is. */
  readonly position: number;
  /** Asked with If-Range: another variant than the one before will be noticed. */
  readonly conditional?: boolean;
  /** Never touch the network: `not-cached` if nothing is stored. */
  readonly offline?: boolean;
  readonly level?: Priority;
  readonly signal: AbortSignal;
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

/** A track as it is stored. */
export interface StoredTrack extends TrackKey {
  readonly variant: string;
  readonly facts: VariantFacts;
  readonly meta: TrackMeta;
  readonly bytes: number;
  readonly complete: boolean;
  readonly playedAt: number;
}

/** A variant stays current this long after its last reader, ms. */
const CURRENT_MS = 10 * 60_000;
/** A track was in use if it was read within this time, ms. */
const IN_USE_MS = 60_000;
/** Handles are kept open this long after the last reading, ms. */
const RELEASE_MS = 2000;
/** After a failed write, the disk is left alone this long, ms. */
const STORE_PAUSE_MS = 5000;
/** How often the disk's free space is looked at while bytes are stored, ms. */
const DISK_CHECK_MS = 5000;
const EVICTED = {
  budget: "Evicted the track that was played longest ago, to keep to the budget",
  disk: "Evicted the track that was played longest ago, since the disk is nearly full",
  asked: "Evicted a track, as asked",
} as const;
const META_FIELDS = ["title", "artist", "album", "durationMs", "artwork", "loudnessDb"] as const;

interface Opening {
  readonly promise: Promise<{ variant: LiveVariant; resolveMs?: number; upstreamMs: number }>;
  fill: Fill;
  waiting: number;
  done: boolean;
}

/**
 * The cache of tracks: finds the current variant of each, or opens the upstream to learn it; owns the live variants, the
 * index and the budget.
 */
export class TrackCache {
  readonly #options: TrackCacheOptions;
  readonly #live = new Map<string, LiveVariant>();
  readonly #loading = new Map<string, Promise<LiveVariant>>();
  readonly #openings = new Map<string, Opening>();
  /** Variants that the upstream does not have any more, though bytes of them are missing. */
  readonly #lost = new Set<string>();
  /** Variants to be deleted when nobody uses them. */
  readonly #doomed = new Set<string>();
  readonly #hooks: LiveVariantHooks;
  /** Stems of variants with a pending timer of {@link #linger}. */
  readonly #lingering = new Set<string>();
  readonly #timers = new Set<() => void>();
  readonly #deletions = new Set<Promise<void>>();
  /** Removals under way, by stem: whoever wants the same bytes again waits for the old files to be gone. */
  readonly #removals = new Map<string, Promise<void>>();
  readonly #evictor: Evictor;
  #diskCheckedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = 0;
  #warned = false;
  #closed = false;

  constructor(options: TrackCacheOptions) {
    this.#options = options;
    const { clock } = options;
    this.#hooks = {
      now: () => clock.now(),
      after: (ms, act) => this.#later(ms, act),
      isStoring: () => clock.now() >= this.#pausedUntil,
      onStored: (variant, bytes) => this.#onStored(variant, bytes),
      onStorageError: (error) => this.onStorageError(error),
      onLost: (variant) => this.#lost.add(variant.stem),
      onChanged: (variant) => {
        this.#save(variant);
        if (variant.complete) options.onChanged?.(variant.name, "complete");
      },
      onIdle: (variant) => this.#onIdle(variant),
    };
    const { index, budget, root, log, isPinned = () => false, isWished = () => false } = options;
    this.#evictor = new Evictor({
      index,
      budget,
      ...(root === undefined ? {} : { root }),
      isInUse: (stem) => this.#inUse(stem),
      remove: (stem) => this.#remove(stem),
      isPinned,
      isWished,
      onEvicted: ({ source, id, bytes }, reason) => {
        log.info({ source, id, bytes, reason }, EVICTED[reason]);
        options.onChanged?.({ source, id }, "evicted");
        options.onEvicted?.({ source, id, bytes }, reason);
      },
    });
  }

  /** Reads the index, and the maps of what was being written when the process ended. */
  async load(): Promise<void> {
    const { index, store } = this.#options;
    await index.load();
    for (const { stem, open } of [...index.usage()]) {
      const entry = open ? index.get(stem) : undefined;
      if (entry === undefined) continue;
      const stored = await store.open(nameOf(entry));
      const { open: _open, ...settled } = entry;
      const complete = entry.facts.size !== undefined && stored.hasAllChunks(entry.facts.size);
      index.put(stem, { ...settled, bytes: stored.bytes, complete });
    }
    this.#evictSoon();
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#options.index.bytes;
  }

  /** Budget on disk, bytes; lowering it evicts at once what is free. */
  get budget(): number {
    return this.#evictor.budget;
  }

  set budget(bytes: number) {
    this.#evictor.budget = bytes;
    this.#evictSoon();
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
      const current = await this.#current(want);
      if (current !== undefined) return this.#opened(current, want, {});
      if (want.offline === true) throw new AfterbayError("not-cached", "This track is not in the cache");
      const opening = this.#opening(want);
      opening.waiting += 1;
      try {
        const { variant, ...timing } = await abortable(opening.promise, want.signal);
        // It may have gone idle and been released between the two turns of the event loop.
        if (this.#live.get(variant.stem) === variant) return this.#opened(variant, want, timing);
      } catch (error) {
        throw reasonToGive(error, opening.fill);
      } finally {
        opening.waiting -= 1;
        // A client that was told to wait no longer may come back for what is on its way.
        const patient = isAfterbayError(want.signal.reason, "upstream-timeout");
        if (opening.waiting === 0 && !opening.done && !patient)
          opening.fill.stop(new DOMException("Nobody waits for this track", "AbortError"));
      }
    }
  }

  /** The live variant of a stored one, if it is in use now. */
  liveVariant(name: VariantName): LiveVariant | undefined {
    return this.#live.get(stemOf(name));
  }

  /** Every track with bytes stored: of several variants, the one that was read last. */
  list(): StoredTrack[] {
    const tracks = new Map<string, StoredTrack>();
    for (const [stem, entry] of this.#options.index.entries()) {
      if (this.#doomed.has(stem)) continue;
      const key = trackKey(entry);
      const known = tracks.get(key);
      if (known === undefined || known.playedAt < entry.playedAt) tracks.set(key, this.#describe(stem, entry));
    }
    return [...tracks.values()];
  }

  find(key: TrackKey): StoredTrack | undefined {
    const newest = this.#variantsOf(key).toSorted(([, a], [, b]) => b.playedAt - a.playedAt)[0];
    return newest === undefined ? undefined : this.#describe(...newest);
  }

  /** The spans of a stored track, whether it is in use or not. */
  async spans(track: StoredTrack): Promise<{ start: number; end: number }[]> {
    return (await this.#revive(stemOf(track))).stored.spans();
  }

  /** The file that holds a track's bytes, where the store keeps files. */
  pathOf(key: TrackKey): string | undefined {
    const stored = this.find(key);
    return stored === undefined ? undefined : this.#options.store.pathOf?.(stored);
  }

  /** Holds every stored byte of a track against its checksum; answers how many were bad, and are missing now. */
  async verify(key: TrackKey): Promise<number> {
    let bad = 0;
    for (const [stem] of this.#variantsOf(key)) {
      const variant = await this.#revive(stem);
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
    const { index, clock } = this.#options;
    const name = { ...nameOf({ ...key, variant: `import-${randomBytes(8).toString("hex")}` }) };
    const stem = stemOf(name);
    const facts = { size: file.size, contentType: file.contentType };
    const entry = { ...name, qualities: [], facts, bytes: 0, complete: false, playedAt: clock.wall(), open: true };
    index.put(stem, entry);
    const variant = await this.#bringToLife(stem, name, facts);
    const release = variant.hold();
    try {
      let chunk = 0;
      for await (const bytes of file.chunks()) {
        await variant.stored.writeChunk(chunk, 0, bytes);
        chunk += 1;
      }
      await variant.stored.flush();
      this.#onStored(variant, file.size);
      this.#setCurrent(key, stem);
    } catch (error) {
      this.#doomed.add(stem);
      throw error;
    } finally {
      release();
    }
  }

  /** Forgets a track. What is in use goes when it is free; whoever comes now misses. */
  async delete(key: TrackKey): Promise<{ readonly found: boolean; readonly inUse: boolean }> {
    const variants = this.#variantsOf(key);
    let inUse = false;
    for (const [stem, entry] of variants) {
      this.#doomed.add(stem);
      this.#options.index.put(stem, { ...entry, qualities: [] });
      const live = this.#live.get(stem);
      if (live?.isRead === true) inUse = true;
      // What only runs on goes as soon as it has ended.
      else if (live?.busy === true) live.stop(new DOMException("This track was deleted", "AbortError"));
      else await this.#remove(stem);
    }
    return { found: variants.length > 0, inUse };
  }

  /** Writes what is in hand and frees handles. Readers are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new DOMException("The cache is closing", "AbortError");
    for (const opening of this.#openings.values()) opening.fill.stop(reason);
    for (const variant of this.#live.values()) variant.stop(reason);
    for (const cancel of this.#timers) cancel();
    // Fills end within a turn or two; their writers then finish.
    for (let turns = 0; turns < 100 && [...this.#live.values()].some((variant) => variant.filling); turns += 1) {
      await new Promise((done) => setTimeout(done, 10));
    }
    for (const variant of this.#live.values()) {
      this.#save(variant, { open: false });
      this.#settle(variant.stem);
      await variant.stored.close();
    }
    await Promise.all(this.#deletions);
    await this.#options.index.flush().catch((error: unknown) => this.onStorageError(error));
  }

  #opened(variant: LiveVariant, want: Want, timing: OpenTrack["timing"]): OpenTrack {
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
          ...(want.offline === undefined ? {} : { offline: want.offline }),
        }),
      close: release,
    };
  }

  async #current(want: Want): Promise<LiveVariant | undefined> {
    const stem = this.#currentStem(want);
    if (stem === undefined) return undefined;
    const entry = this.#options.index.get(stem) as IndexEntry;
    const live = this.#live.get(stem);
    const binding = entry.complete || live?.busy === true || this.#idleMs(stem, entry) < CURRENT_MS;
    const lost = this.#lost.has(stem) && !entry.complete;
    if (lost && binding && want.position > 0 && want.conditional !== true) {
      throw new AfterbayError("variant-changed", "This track's bytes were replaced by others; begin again from 0");
    }
    // Of bytes that nothing names, the rest cannot be had after a while.
    const stale = !binding && entry.facts.upstreamName === undefined;
    if (lost || stale) {
      this.#setCurrent(want, undefined);
      return undefined;
    }
    return await this.#revive(stem);
  }

  /** Ms since the last reading ended. */
  #idleMs(stem: string, entry: IndexEntry): number {
    const { clock } = this.#options;
    const last = this.#live.get(stem)?.lastReadAt;
    return last !== undefined ? clock.now() - last : Math.max(0, clock.wall() - entry.playedAt);
  }

  #currentStem(key: TrackKey & { quality?: Quality }): string | undefined {
    const quality = key.quality ?? "";
    return this.#variantsOf(key).find(([, entry]) => entry.qualities.includes(quality))?.[0];
  }

  #variantsOf(key: TrackKey): [string, IndexEntry][] {
    return this.#options.index.ofTrack(key).filter(([stem]) => !this.#doomed.has(stem));
  }

  #setCurrent(key: TrackKey & { quality?: Quality }, stem: string | undefined): void {
    const quality = key.quality ?? "";
    const { index } = this.#options;
    for (const [other, entry] of index.ofTrack(key)) {
      const has = entry.qualities.includes(quality);
      if (other === stem && !has) index.put(other, { ...entry, qualities: [...entry.qualities, quality] });
      if (other !== stem && has) {
        index.put(other, { ...entry, qualities: entry.qualities.filter((one) => one !== quality) });
      }
    }
  }

  /** The live variant of an index entry. */
  async #revive(stem: string): Promise<LiveVariant> {
    const live = this.#live.get(stem) ?? this.#loading.get(stem);
    if (live !== undefined) return await live;
    const entry = this.#options.index.get(stem) as IndexEntry;
    const quality = entry.qualities.find((one) => one !== "") as Quality | undefined;
    return await this.#bringToLife(stem, nameOf(entry), entry.facts, quality);
  }

  #bringToLife(stem: string, name: VariantName, facts: VariantFacts, quality?: Quality): Promise<LiveVariant> {
    const loading = (async () => {
      await this.#removals.get(stem);
      const stored = await this.#options.store.open(name);
      const variant = new LiveVariant({
        name,
        stem,
        stored,
        facts,
        upstream: this.#options.upstream,
        hooks: this.#hooks,
        dataSaver: this.#options.dataSaver ?? false,
        ...(quality === undefined ? {} : { quality }),
      });
      this.#live.set(stem, variant);
      this.#onIdle(variant);
      return variant;
    })().finally(() => this.#loading.delete(stem));
    this.#loading.set(stem, loading);
    return loading;
  }

  /** The one opening of a track whose variant is not known: all who come meanwhile wait for it. */
  #opening(want: Want): Opening {
    const key = `${trackKey(want)}\n${want.quality ?? ""}`;
    const running = this.#openings.get(key);
    if (running !== undefined && !running.fill.signal.aborted) {
      const level = want.level ?? Priority.playback;
      if (level < running.fill.urgency.level) running.fill.urgency.level = level;
      return running;
    }
    const opening: Opening = {
      fill: firstFill(want, want.position),
      promise: Promise.resolve()
        .then(() => this.#openUpstream(opening, want))
        .finally(() => {
          opening.done = true;
          if (this.#openings.get(key) === opening) this.#openings.delete(key);
        }),
      waiting: 0,
      done: false,
    };
    opening.promise.catch(() => {});
    this.#openings.set(key, opening);
    return opening;
  }

  async #openUpstream(
    opening: Opening,
    want: Want,
  ): Promise<{ variant: LiveVariant; resolveMs?: number; upstreamMs: number }> {
    const { clock, upstream } = this.#options;
    const began = clock.now();
    let opened = await opening.fill.open(upstream);
    if (opened.validator === undefined && want.position > 0) {
      // Past the end, an upstream says how long the resource is but not which: that takes a byte that exists.
      await opened[Symbol.asyncDispose]();
      opening.fill = firstFill(want, 0);
      opened = await opening.fill.open(upstream);
    }
    const upstreamMs = clock.now() - began;
    const { resolveMs } = opening.fill.need;
    try {
      const variant = await this.#variantFor(opened, want);
      // The caller takes hold of it in a later turn: the fill keeps it alive until then.
      variant.adopt(opening.fill, opened);
      return { variant, upstreamMs, ...(resolveMs === undefined ? {} : { resolveMs }) };
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The live variant that an upstream's answer belongs to, new or known, which becomes the current one. */
  async #variantFor(opened: Opened, want: Want): Promise<LiveVariant> {
    const { index, clock } = this.#options;
    const { variant: upstreamName, resolverVariant, size, validator } = expectationOf(opened, undefined);
    const facts: VariantFacts = {
      ...(upstreamName === undefined ? {} : { upstreamName }),
      ...(resolverVariant === undefined ? {} : { resolverVariant }),
      ...(size === undefined ? {} : { size }),
      ...(validator === undefined ? {} : { validator }),
      ...(opened.contentType === undefined ? contentTypeHint(opened) : { contentType: opened.contentType }),
    };
    const named = {
      source: want.source,
      id: want.id,
      variant: upstreamName ?? `own-${randomBytes(8).toString("hex")}`,
    };
    const known = index.get(stemOf(named));
    // The same name for other bytes: a resolver's mistake, or a file replaced in place. The old bytes are parked.
    const conflicts =
      known !== undefined &&
      ((size !== undefined && known.facts.size !== undefined && known.facts.size !== size) ||
        validatorsConflict(known.facts.validator, validator));
    const parked = conflicts
      ? { ...named, variant: `${named.variant}~${shortHash(JSON.stringify([size, validator]))}` }
      : named;
    // Whoever still plays what was deleted keeps it; the same bytes are fetched anew beside it.
    const name = this.#doomed.has(stemOf(parked))
      ? { ...parked, variant: `${parked.variant}${COPY_MARK}${randomBytes(4).toString("hex")}` }
      : parked;
    const stem = stemOf(name);
    this.#lost.delete(stem);
    const entry = index.get(stem);
    if (entry === undefined) {
      index.put(stem, {
        ...name,
        qualities: [],
        facts,
        meta: metaOf(opened),
        bytes: 0,
        complete: false,
        playedAt: clock.wall(),
        open: true,
      });
    }
    this.#setCurrent(want, stem);
    const live = this.#live.get(stem) ?? this.#loading.get(stem);
    return (await live) ?? (await this.#bringToLife(stem, name, entry?.facts ?? facts, want.quality));
  }

  #describe(stem: string, entry: IndexEntry): StoredTrack {
    const { source, id, variant, facts, meta = {}, bytes, complete, playedAt } = entry;
    const live = this.#live.get(stem);
    return {
      source,
      id,
      variant,
      facts: live?.facts ?? facts,
      meta,
      bytes: live?.stored.bytes ?? bytes,
      complete: live?.complete ?? complete,
      playedAt,
    };
  }

  /** Brings the index up to date with a live variant. */
  #save(variant: LiveVariant, changes: { open?: boolean; played?: boolean } = {}): void {
    const { index, clock } = this.#options;
    const stem = variant.stem;
    const entry = index.get(stem);
    if (entry === undefined) return;
    const { open: wasOpen, ...rest } = entry;
    const open = changes.open ?? wasOpen ?? false;
    const next: IndexEntry = {
      ...rest,
      facts: variant.facts,
      bytes: variant.stored.bytes,
      complete: variant.complete,
      playedAt: changes.played === true ? clock.wall() : entry.playedAt,
      ...(open ? { open } : {}),
    };
    // Many short readings of one track in a row are one line in the log, when it is left alone.
    const changed = JSON.stringify({ ...next, playedAt: 0 }) !== JSON.stringify({ ...entry, playedAt: 0 });
    if (changed) index.put(stem, next);
    else index.note(stem, next);
  }

  #onStored(variant: LiveVariant, bytes: number): void {
    const { index, clock, onChanged } = this.#options;
    onChanged?.(variant.name, bytes > 0 ? "stored" : "lost");
    const entry = index.get(variant.stem);
    // The budget counts at once; the log learns of it when the variant goes idle, or from its map after a crash.
    if (entry !== undefined && entry.open !== true) this.#save(variant, { open: true });
    else if (entry !== undefined) index.note(variant.stem, { ...entry, bytes: variant.stored.bytes });
    if (bytes > 0 && this.#pausedUntil > 0 && clock.now() >= this.#pausedUntil) {
      this.#pausedUntil = 0;
      this.#warned = false;
      this.#options.log.info({}, "The cache directory takes writes again");
    }
    this.#evictSoon();
  }

  /** The disk refused a write: bytes are not stored for a while. One warning, until it takes writes again. */
  onStorageError(error: unknown): void {
    this.#pausedUntil = this.#options.clock.now() + STORE_PAUSE_MS;
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    if (code === "ENOSPC") {
      this.#diskCheckedAt = Number.NEGATIVE_INFINITY;
      this.#evictSoon();
    }
    if (this.#warned) return;
    this.#warned = true;
    this.#options.log.warn({ code }, "Cannot write to the cache directory; playing on without keeping the bytes");
  }

  #onIdle(variant: LiveVariant): void {
    const stem = variant.stem;
    if (this.#live.get(stem) !== variant || this.#closed) return;
    if (this.#doomed.has(stem)) {
      if (!variant.busy) this.#track(this.#remove(stem));
      return;
    }
    this.#save(variant, { open: false, played: variant.lastReadAt !== undefined });
    if (variant.lastReadAt !== undefined) this.#options.onChanged?.(variant.name, "idle");
    if (!this.#lingering.has(stem)) this.#linger(stem, RELEASE_MS);
  }

  /** Frees the handles of a variant soon after its last use, and forgets it a while later. */
  #linger(stem: string, ms: number): void {
    this.#lingering.add(stem);
    this.#later(ms, () => {
      this.#lingering.delete(stem);
      const variant = this.#live.get(stem);
      // Still busy: it lingers again when it becomes idle.
      if (variant === undefined || variant.busy) return;
      const idle = variant.lastReadAt === undefined ? IN_USE_MS : this.#options.clock.now() - variant.lastReadAt;
      if (idle < RELEASE_MS) return this.#linger(stem, RELEASE_MS - idle);
      this.#track(variant.stored.release());
      if (idle < IN_USE_MS) return this.#linger(stem, IN_USE_MS - idle);
      this.#live.delete(stem);
      this.#settle(stem);
      this.#evictSoon();
    });
  }

  /** Logs an entry whose changes were only noted so far. */
  #settle(stem: string): void {
    const { index } = this.#options;
    const entry = index.get(stem);
    if (entry !== undefined) index.put(stem, entry);
  }

  #inUse(stem: string): boolean {
    const live = this.#live.get(stem);
    if (live === undefined) return false;
    if (live.busy) return true;
    return live.lastReadAt !== undefined && this.#options.clock.now() - live.lastReadAt < IN_USE_MS;
  }

  #evictSoon(): void {
    const { clock, index } = this.#options;
    if (this.#closed) return;
    const now = clock.now();
    const checksDisk = now - this.#diskCheckedAt >= DISK_CHECK_MS;
    if (index.bytes <= this.budget && !checksDisk) return;
    this.#diskCheckedAt = now;
    this.#track(this.#evictor.run());
  }

  #remove(stem: string): Promise<void> {
    const { index, store } = this.#options;
    const entry = index.get(stem);
    const live = this.#live.get(stem);
    this.#live.delete(stem);
    this.#lost.delete(stem);
    index.remove(stem);
    const removal = (async () => {
      await live?.stored.release();
      if (entry !== undefined) await store.delete(nameOf(entry)).catch((error: unknown) => this.onStorageError(error));
      this.#doomed.delete(stem);
    })().finally(() => this.#removals.delete(stem));
    this.#removals.set(stem, removal);
    return removal;
  }

  #later(ms: number, act: () => void): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#timers.delete(cancel);
      act();
    });
    this.#timers.add(cancel);
  }

  #track(work: Promise<void>): void {
    const kept = work.catch((error: unknown) => this.onStorageError(error)).finally(() => this.#deletions.delete(kept));
    this.#deletions.add(kept);
  }
}

/** What failed before is a better reason than that it took too long. */
function reasonToGive(error: unknown, { need }: Fill): unknown {
  return isAfterbayError(error, "upstream-timeout") ? (need.lastFailure ?? error) : error;
}

function firstFill({ source, id, quality, level }: Want, position: number): Fill {
  const fill = new Fill({ source, id, position, ...(quality === undefined ? {} : { quality }) });
  fill.urgency.level = level ?? Priority.playback;
  return fill;
}

function nameOf({ source, id, variant }: VariantName): VariantName {
  return { source, id, variant };
}

function metaOf(opened: Opened): TrackMeta {
  const resolution = opened.resolution;
  return Object.fromEntries(
    META_FIELDS.flatMap((field) => (resolution?.[field] === undefined ? [] : [[field, resolution[field]]])),
  );
}

function contentTypeHint(opened: Opened): { contentType?: string } {
  const contentType = opened.resolution?.contentType;
  return contentType === undefined ? {} : { contentType };
}
