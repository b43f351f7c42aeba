import type { TrackCache } from "../cache/track-cache.ts";
import { trackKey } from "../cache/track-index.ts";
import type { Clock } from "../data-source/clock.ts";
import { Priority, type TrackKey } from "../data-source/data-source.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import { fetchPart, type Running } from "./fetch-part.ts";
import { Outcomes, type PrefetchState } from "./outcomes.ts";
import { type Job, jobName, Plan, type PrefetchMode, type TrackSet, type WishList } from "./plan.ts";

export interface PrefetcherOptions {
  readonly cache: TrackCache;
  readonly clock: Clock;
  /** The tracks to be kept offline. */
  readonly pinned: TrackSet;
  /** The tracks of which little is missing. */
  readonly tails: TrackSet;
  /** Told of bytes that were fetched for a tail. */
  readonly onTail?: (bytes: number) => void;
  /** Told when the fetch of a part of a track begins, and how it ended. */
  readonly onProgress?: (progress: PrefetchProgress) => void;
  /** Told of each chunk of a track of which bytes come: once for each hole that is filled. */
  readonly onChunk?: (key: TrackKey, index: number) => void;
}

/** What became of one part of a track. */
export interface PrefetchProgress {
  readonly key: TrackKey;
  readonly part: Job["part"];
  readonly state: "fetching" | "done" | "failed" | "cancelled";
  /** Why it failed. */
  readonly code?: string;
}

/** Jobs of each level that run at once. */
const AT_ONCE: Readonly<Record<number, number>> = { [Priority.head]: 3, [Priority.body]: 1, [Priority.background]: 1 };
/** What failed is looked at again no more often than this, ms: of thousands, many together. */
const MIN_RETRY_PAUSE_MS = 1000;

/**
 * Fetches ahead of playback, through the same pipeline and cache, whatever the wish lists, the pins and the healer of tails
 * want. It only reads: the layers below let playback go first, and a player that comes to a chunk on its way joins it.
 */
export class Prefetcher {
  readonly #options: PrefetcherOptions;
  readonly #outcomes: Outcomes;
  readonly #lists = new Map<string, WishList>();
  readonly #running = new Map<string, Running>();
  #plan: Plan;
  /** What is wanted may be something else than the plan says. */
  #stale = true;
  /** The jobs that have not had their turn, and the first of them. */
  #jobs: Iterator<Job>;
  #next: Job | undefined;
  #retryAt = Number.POSITIVE_INFINITY;
  #cancelRetry: (() => void) | undefined;
  #queued = false;
  #closed = false;

  constructor(options: PrefetcherOptions) {
    this.#options = options;
    this.#outcomes = new Outcomes(options.clock);
    this.#plan = new Plan({ ...options, lists: [] });
    this.#jobs = this.#plan.jobs();
  }

  /** Replaces a list; an empty one is forgotten. What is on no list any more is cancelled, what still is goes on. */
  setList(name: string, ids: readonly TrackKey[], mode: PrefetchMode): void {
    if (ids.length === 0) this.#lists.delete(name);
    else this.#lists.set(name, { ids, mode });
    // Wanted anew.
    this.#outcomes.forgetFailures(ids);
    this.update();
  }

  lists(): ReadonlyMap<string, WishList> {
    return this.#lists;
  }

  /** Takes a track off all lists. */
  cancel(key: TrackKey): void {
    if (!this.wishes(key)) return;
    const name = trackKey(key);
    for (const [list, { ids, mode }] of this.#lists) {
      const rest = ids.filter((other) => trackKey(other) !== name);
      if (rest.length === 0) this.#lists.delete(list);
      else if (rest.length < ids.length) this.#lists.set(list, { ids: rest, mode });
    }
    this.update();
  }

  /** Forgets all lists. */
  cancelAll(): void {
    this.#lists.clear();
    this.update();
  }

  /** True if a wish list names the track. */
  wishes(key: TrackKey): boolean {
    this.#planAnew();
    return this.#plan.wishes(key);
  }

  /** What was fetched of a track, or failed to be, is looked at again. */
  forget(key: TrackKey): void {
    if (this.#outcomes.forget(key)) this.update();
  }

  /** Room was made: what found none is tried again. */
  onRoom(): void {
    this.#outcomes.forgetLackOfRoom();
    this.update();
  }

  /** What was fetched of a track is gone: it is fetched again where it has room. */
  evicted(key: TrackKey): void {
    if (this.#outcomes.evicted(key)) this.update();
  }

  /** How each track of these lists stands, in their order; of one on several, as the last of them wants it. */
  *states(lists: Iterable<WishList> = this.#lists.values()): Generator<PrefetchState> {
    const wanted = new Map<string, { key: TrackKey; mode: PrefetchMode }>();
    for (const { ids, mode } of lists) for (const key of ids) wanted.set(trackKey(key), { key, mode });
    for (const { key, mode } of wanted.values()) yield this.stateOf(key, mode);
  }

  /** How a track stands that a list wants in this way. */
  stateOf(key: TrackKey, mode: PrefetchMode): PrefetchState {
    return this.#outcomes.stateOf(key, mode, (name) => this.#running.has(name));
  }

  /** Looks again at what is wanted, soon: many changes in a row are one. */
  update(): void {
    this.#stale = true;
    this.#runSoon();
  }

  /** Ends what runs. */
  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    for (const { controller } of this.#running.values()) controller.abort(cancelled());
  }

  #runSoon(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#run();
    });
  }

  #run(): void {
    if (this.#closed) return;
    this.#planAnew();
    const { cache } = this.#options;
    const slice = new TimeSlice();
    for (;;) {
      if (slice.isOver) {
        setImmediate(() => this.#runSoon());
        return;
      }
      this.#next ??= this.#jobs.next().value as Job | undefined;
      if (this.#next === undefined) return;
      if (this.#outcomes.isDue(this.#next) && !this.#running.has(jobName(this.#next))) {
        if (cache.find(this.#next.key)?.complete === true) this.#done(this.#next);
        else if (this.#mayStart(this.#next)) this.#start(this.#next);
        else return;
      }
      this.#next = undefined;
    }
  }

  /** Finds out what is wanted now, and ends what is not any more. */
  #planAnew(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#plan = new Plan({ ...this.#options, lists: this.#lists.values() });
    this.#jobs = this.#plan.jobs();
    this.#next = undefined;
    this.#outcomes.prune(this.#plan);
    this.#retryAt = Number.POSITIVE_INFINITY;
    this.#cancelRetry?.();
    this.#retry(this.#outcomes.nextTryAt);
    for (const running of this.#running.values()) {
      const { key, part, level } = running.job;
      const job = this.#plan.jobOf(key, part);
      if (job === undefined) {
        running.controller.abort(cancelled());
        continue;
      }
      // Wanted for another reason, it goes on.
      running.job = job;
      if (job.level !== level) running.onLevel();
    }
  }

  #retry(at: number): void {
    if (at >= this.#retryAt) return;
    this.#retryAt = at;
    this.#cancelRetry?.();
    const { clock } = this.#options;
    this.#cancelRetry = clock.after(Math.max(at - clock.now(), MIN_RETRY_PAUSE_MS), () => this.update());
  }

  /** No body while a head waits or runs, nothing in the background while there is any. */
  #mayStart({ level }: Job): boolean {
    const running = [...this.#running.values()].filter(({ controller }) => !controller.signal.aborted);
    if (running.some(({ job }) => job.level < level)) return false;
    return running.filter(({ job }) => job.level === level).length < (AT_ONCE[level] ?? 1);
  }

  #start(job: Job): void {
    const controller = new AbortController();
    const running: Running = { job, controller, onLevel() {} };
    const name = jobName(job);
    const { cache, onTail, onChunk } = this.#options;
    this.#running.set(name, running);
    this.#tell(job, "fetching");
    fetchPart(cache, running, {
      onBytes: ({ heals }, bytes) => {
        if (heals) onTail?.(bytes);
      },
      onChunk: ({ key }, index) => onChunk?.(key, index),
    })
      .then(
        () => this.#done(running.job),
        (error: unknown) => {
          if (controller.signal.aborted) this.#tell(running.job, "cancelled");
          else this.#failed(running.job, error);
        },
      )
      .finally(() => {
        this.#running.delete(name);
        // What was cancelled may be wanted again by now; a tail may have used up the healer's budget.
        if (controller.signal.aborted || running.job.heals) this.update();
        else this.#runSoon();
      });
  }

  #done(job: Job): void {
    this.#outcomes.done(job);
    this.#tell(job, "done");
  }

  #failed(job: Job, error: unknown): void {
    const { code, notBefore } = this.#outcomes.failed(job, error, this.#options.pinned.has(job.key));
    this.#retry(notBefore);
    this.#tell(job, "failed", code);
  }

  #tell({ key, part }: Job, state: PrefetchProgress["state"], code?: string): void {
    this.#options.onProgress?.({ key, part, state, ...(code === undefined ? {} : { code }) });
  }
}

function cancelled(): DOMException {
  return new DOMException("This track is not wanted any more", "AbortError");
}
