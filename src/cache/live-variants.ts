import type { Clock } from "../data-source/clock.ts";
import type { DataSource } from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { LiveVariant, type LiveVariantHooks, type VariantFacts } from "./live-variant.ts";
import { nameOf } from "./stored-track.ts";
import type { VariantFiles } from "./variant-files.ts";
import type { VariantRecords } from "./variant-records.ts";

export interface LiveVariantsOptions {
  readonly store: ChunkStore;
  readonly records: VariantRecords;
  readonly upstream: DataSource;
  readonly clock: Clock;
  readonly dataSaver: boolean;
  readonly hooks: Pick<
    LiveVariantHooks,
    "isStoring" | "onStored" | "onStorageError" | "onLost" | "onChanged" | "onDescribed"
  >;
  /** Its last reader has left. */
  readonly onIdle: (variant: LiveVariant) => void;
  /** It is in use no more, or gone. */
  readonly onFree: () => void;
  /** The disk refused to let files go. */
  readonly onDeletionError: (error: unknown) => void;
}

/** A variant was in use if it was read within this time, ms. */
const IN_USE_MS = 60_000;
/** Handles are kept open this long after the last reading, ms. */
const RELEASE_MS = 2000;

/** The variants that are in use, or were a moment ago: brings them to life, frees their handles, deletes their files. */
export class LiveVariants {
  readonly #options: LiveVariantsOptions;
  readonly #hooks: LiveVariantHooks;
  readonly #live = new Map<string, LiveVariant>();
  readonly #loading = new Map<string, Promise<LiveVariant>>();
  /** What ends the pending timer of {@link #linger}, by stem. */
  readonly #lingering = new Map<string, () => void>();
  readonly #timers = new Set<() => void>();
  /** Removals under way, by stem: whoever wants the same bytes again waits for the old files to be gone. */
  readonly #removals = new Map<string, Promise<void>>();
  readonly #unwatched = new Set<Promise<void>>();
  /** Why nothing is fetched any more. */
  #closed: Error | undefined;

  constructor(options: LiveVariantsOptions) {
    this.#options = options;
    this.#hooks = {
      ...options.hooks,
      now: () => options.clock.now(),
      after: (ms, act) => this.#later(ms, act),
      onIdle: (variant) => this.#onIdle(variant),
    };
  }

  get(stem: string): LiveVariant | undefined {
    return this.#live.get(stem);
  }

  /** The live variant of a record, if that has not gone; as {@link bringToLife} gives it. */
  async revive(stem: string): Promise<LiveVariant | undefined> {
    const entry = this.#options.records.get(stem);
    if (entry === undefined) return undefined;
    const quality = entry.qualities.find((one) => one !== "") as Quality | undefined;
    return await (this.known(stem) ?? this.bringToLife(stem, nameOf(entry), entry.facts, quality));
  }

  /** True if nobody has it, opens it or deletes it. */
  isFree(stem: string): boolean {
    return this.known(stem) === undefined && !this.#removals.has(stem);
  }

  /** True if nobody reads, fills, opens or deletes it. */
  isIdle(stem: string): boolean {
    const live = this.#live.get(stem);
    return live === undefined ? this.isFree(stem) : !live.busy;
  }

  /** The variant if it lives, or soon will. */
  known(stem: string): LiveVariant | Promise<LiveVariant> | undefined {
    return this.#live.get(stem) ?? this.#loading.get(stem);
  }

  /**
   * Opens a variant that is not {@link known}. It may be deleted before whoever waits has it in hand: then it is not the
   * one that {@link get} gives.
   */
  bringToLife(stem: string, name: VariantName, facts: VariantFacts, quality?: Quality): Promise<LiveVariant> {
    const { store, upstream, dataSaver } = this.#options;
    const loading = (async () => {
      await this.#removals.get(stem);
      const stored = await store.open(name);
      const variant = new LiveVariant({
        name,
        stem,
        stored,
        facts,
        upstream,
        hooks: this.#hooks,
        dataSaver,
        ...(quality === undefined ? {} : { quality }),
      });
      if (this.#removals.has(stem)) return variant;
      this.#live.set(stem, variant);
      if (this.#closed !== undefined) variant.end(this.#closed);
      this.#linger(stem, RELEASE_MS);
      return variant;
    })().finally(() => this.#loading.delete(stem));
    this.#loading.set(stem, loading);
    return loading;
  }

  /** True if someone reads or fills it, or did within the last minute. */
  isInUse(stem: string): boolean {
    const live = this.#live.get(stem);
    if (live === undefined) return false;
    if (live.busy) return true;
    return live.lastReadAt !== undefined && this.#options.clock.now() - live.lastReadAt < IN_USE_MS;
  }

  /**
   * Deletes what is stored of a variant that nobody uses: from now on it is not found, and whoever wants the same bytes
   * again waits for the old files to be gone. Answers false if they could not be deleted; they are known again then.
   */
  remove(stem: string): Promise<boolean> {
    const { records, store, onDeletionError } = this.#options;
    const entry = records.get(stem);
    const live = this.#live.get(stem);
    const loading = this.#loading.get(stem);
    this.#live.delete(stem);
    const removed = records.remove(stem);
    const heir = entry === undefined ? undefined : records.ofTrack(entry)[0]?.[0];
    const removal = (async () => {
      await loading?.catch(() => {});
      await live?.stored.close();
      try {
        if (heir !== undefined) await this.#handOn(stem, heir);
        if (entry !== undefined) await store.delete(nameOf(entry));
        removed();
        return true;
      } catch (error) {
        onDeletionError(error);
        const left = await store.files?.look(stem).catch(() => undefined);
        removed(left === undefined ? undefined : { disk: left.disk, bytes: left.hasMap });
        return false;
      }
    })();
    this.#removing(stem, removal);
    return removal;
  }

  /** As {@link remove}; nobody waits for it. */
  removeSoon(stem: string): void {
    this.#watch(this.remove(stem));
  }

  /** Deletes files that no record leads to. */
  async removeOrphan(stem: string, files: VariantFiles): Promise<void> {
    const removal = files.delete(stem);
    this.#removing(stem, removal);
    await removal.catch((error: unknown) => this.#options.onDeletionError(error));
  }

  /** Ends readings and fills, writes what is in hand and frees handles. */
  async close(reason: Error): Promise<void> {
    const { records } = this.#options;
    this.#closed = reason;
    for (const variant of this.#live.values()) variant.end(reason);
    for (const cancel of this.#timers) cancel();
    await this.#filled();
    for (const variant of this.#live.values()) {
      if (records.isDoomed(variant.stem)) {
        await this.remove(variant.stem);
        continue;
      }
      records.save(variant, { open: false });
      records.settle(variant.stem);
      await variant.stored.close();
      records.occupy(variant);
    }
    await Promise.all([...this.#unwatched, ...this.#removals.values()]);
  }

  /** Looks again at what a variant takes on disk, after others wrote something that belongs to it. */
  async recount(stem: string): Promise<void> {
    const { records, store } = this.#options;
    const live = this.#live.get(stem);
    if (live?.stored.disk !== undefined) {
      live.stored.recount();
      records.occupy(live);
      return;
    }
    const found = await store.files?.look(stem);
    if (found !== undefined) records.occupyIdle(stem, found.disk);
  }

  /** What belongs to a track stays with the variant of it that is left. */
  async #handOn(stem: string, heir: string): Promise<void> {
    if ((await this.#options.store.artwork?.handOn(stem, heir)) === true) await this.recount(heir);
  }

  #removing(stem: string, removal: Promise<unknown>): void {
    const settled = removal.then(
      () => {},
      () => {},
    );
    const kept = settled.finally(() => {
      if (this.#removals.get(stem) === kept) this.#removals.delete(stem);
    });
    this.#removals.set(stem, kept);
  }

  /** Waits until nothing is fetched or written any more: fills that were ended do so within a turn or two. */
  async #filled(): Promise<void> {
    for (;;) {
      const runs = [...this.#live.values()].flatMap((variant) => variant.runs);
      const underWay = [...runs, ...this.#loading.values()];
      if (underWay.length === 0) return;
      await Promise.allSettled(underWay);
    }
  }

  #onIdle(variant: LiveVariant): void {
    const { records, onIdle } = this.#options;
    const { stem } = variant;
    if (this.#live.get(stem) !== variant || this.#closed !== undefined) return;
    if (records.isDoomed(stem)) {
      if (!variant.busy) this.removeSoon(stem);
      return;
    }
    records.save(variant, { open: false });
    if (variant.lastReadAt !== undefined) onIdle(variant);
    this.#linger(stem, RELEASE_MS);
  }

  /** Frees the handles of a variant soon after its last use, and forgets it a while later. */
  #linger(stem: string, ms: number): void {
    if (this.#closed !== undefined) return;
    this.#lingering.get(stem)?.();
    const look = (): void => {
      this.#lingering.delete(stem);
      const variant = this.#live.get(stem);
      // Still busy: it lingers again when it becomes idle.
      if (variant === undefined || variant.busy) return;
      this.#watch(variant.stored.release().then(() => this.#options.records.occupy(variant)));
      const idle = variant.lastReadAt === undefined ? IN_USE_MS : this.#options.clock.now() - variant.lastReadAt;
      if (idle < IN_USE_MS) return this.#linger(stem, IN_USE_MS - idle);
      this.#live.delete(stem);
      this.#options.records.settle(stem);
      this.#options.onFree();
    };
    this.#lingering.set(stem, this.#later(ms, look));
  }

  #later(ms: number, act: () => void): () => void {
    const stop = this.#options.clock.after(ms, () => {
      this.#timers.delete(cancel);
      act();
    });
    const cancel = (): void => {
      this.#timers.delete(cancel);
      stop();
    };
    this.#timers.add(cancel);
    return cancel;
  }

  /** Work that nobody waits for but {@link close}. */
  #watch(work: Promise<unknown>): void {
    const kept = work
      .then(
        () => {},
        (error: unknown) => this.#options.hooks.onStorageError(error),
      )
      .finally(() => this.#unwatched.delete(kept));
    this.#unwatched.add(kept);
  }
}
