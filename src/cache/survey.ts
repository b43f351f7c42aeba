import type { Clock } from "../data-source/clock.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { LiveVariants } from "./live-variants.ts";
import type { TrackIndex } from "./track-index.ts";
import type { FoundFiles, VariantFiles } from "./variant-files.ts";

export interface SurveyOptions {
  readonly store: ChunkStore;
  readonly index: TrackIndex;
  readonly live: LiveVariants;
  readonly clock: Clock;
  /** Told when a survey has ended. */
  readonly onEnd: () => void;
}

/** After the start, those who wait for a first answer come first, ms. */
const DELAY_MS = 1000;
/** What was in use is looked at again after this long, ms. */
const AGAIN_MS = 60_000;
/** A record of which nothing is stored serves nobody after this long, ms. */
const EMPTY_MS = 10 * 60_000;

/**
 * Holds the index against the disk, once after the start and whenever it must have changed: learns what each variant's
 * files really take, takes in those with a readable map and no record, deletes those that nothing can be made of, and
 * forgets records whose files are gone. What is in use is passed over. A store without files needs none.
 */
export class Survey {
  readonly #options: SurveyOptions;
  readonly #files: VariantFiles | undefined;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;
  /** Something was in use that must be looked at again. */
  #unsettled = false;

  constructor(options: SurveyOptions) {
    this.#options = options;
    this.#files = options.store.files;
  }

  /** Surveys in a while, in the background. */
  startSoon(delayMs = DELAY_MS): void {
    this.#running = undefined;
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, () => void this.done());
  }

  /** Settles when the disk was surveyed, which begins now if need be. Never rejects. */
  done(): Promise<void> {
    this.#cancel?.();
    this.#running ??= this.#run().finally(() => {
      if (this.#unsettled) this.startSoon(AGAIN_MS);
      this.#options.onEnd();
    });
    return this.#running;
  }

  /** Ends early; settles when it has. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { index } = this.#options;
    const files = this.#files;
    this.#unsettled = false;
    if (files === undefined || this.#closed) return;
    const seen = new Set<string>();
    for await (const [stem, found] of files.find()) {
      if (this.#closed) return;
      seen.add(stem);
      // What cannot be read today may be there tomorrow.
      if (found !== undefined) await this.#judge(files, found).catch(() => {});
    }
    const slice = new TimeSlice();
    for (const { stem, bytes } of index.usage()) {
      if (this.#closed) return;
      if (!seen.has(stem)) await this.#missed(files, stem, bytes).catch(() => {});
      if (slice.isOver) await slice.pause();
    }
    await files.overhead.lookAtFolders();
  }

  /** Files that are there. */
  async #judge(files: VariantFiles, found: FoundFiles): Promise<void> {
    const { index, live } = this.#options;
    const { stem, disk, hasData, hasMap, hasNew } = found;
    if (hasNew && live.isFree(stem)) {
      await files.tidy(stem);
      return await this.#judge(files, await files.look(stem));
    }
    const whole = hasData && hasMap;
    if (!live.isFree(stem)) {
      // One that was not written so far does not know itself.
      if (live.get(stem)?.stored.disk === undefined) index.occupy(stem, disk);
    } else if (index.has(stem)) {
      if (whole) index.occupy(stem, disk);
      else await this.#forget(files, stem);
    } else if (!whole || !(await this.#adopt(files, found))) {
      if (live.isFree(stem) && !index.has(stem)) await live.removeOrphan(stem, files);
    }
  }

  /** A record whose files were not there. */
  async #missed(files: VariantFiles, stem: string, bytes: number): Promise<void> {
    const { index, live, clock } = this.#options;
    if (bytes > 0) return await this.#forget(files, stem);
    const entry = index.get(stem);
    const idle = entry !== undefined && !entry.complete && clock.wall() - entry.playedAt > EMPTY_MS;
    if (idle && live.isFree(stem)) index.remove(stem);
  }

  /** False if nobody can say whose bytes they are, or that they are any. */
  async #adopt(files: VariantFiles, { stem, disk, changedAt }: FoundFiles): Promise<boolean> {
    const { index, store } = this.#options;
    const name = await files.whose(stem);
    if (name === undefined) return false;
    const { bytes } = await store.open(name);
    // Someone may have come for it meanwhile.
    if (index.has(stem)) return true;
    if (bytes === 0) return false;
    const unknown = { qualities: [], facts: {}, complete: false, unplayed: true };
    index.put(stem, { ...name, ...unknown, bytes, playedAt: changedAt });
    index.occupy(stem, disk);
    return true;
  }

  /** The map or the data of a record is gone. */
  async #forget(files: VariantFiles, stem: string): Promise<void> {
    const { live } = this.#options;
    const { hasMap, hasData } = await files.look(stem);
    if (hasMap && hasData) return;
    if (live.isIdle(stem)) await live.remove(stem);
    else this.#unsettled = true;
  }
}
