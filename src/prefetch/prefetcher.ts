import { trackKey } from "../cache/track-index.ts";
import type { TrackCache } from "../cache/track-cache.ts";
import type { Clock } from "../data-source/clock.ts";
import { CHUNK_SIZE, Priority, type TrackKey } from "../data-source/data-source.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import { type Job, jobName, plan, type PrefetchMode, type WishList } from "./plan.ts";

export interface PrefetcherOptions {
  readonly cache: TrackCache;
  readonly clock: Clock;
  /** The tracks to be kept offline that are not whole yet. */
  readonly pinned: () => Iterable<TrackKey>;
  /** The tracks of which little is missing. */
  readonly tails: () => Iterable<TrackKey>;
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

/** How a prefetch stands. */
export interface PrefetchState {
  readonly source: string;
  readonly id: string;
  readonly state: "waiting" | "fetching" | "done" | "failed";
  /** Why it failed. */
  readonly code?: string;
}

/** Jobs of each level that run at once. */
const AT_ONCE: Readonly<Record<number, number>> = { [Priority.head]: 3, [Priority.body]: 1, [Priority.background]: 1 };
/** A failed job is tried again after this long, twice as long the next time, ms. */
const RETRY_MS = 15_000;
const MAX_TRIES = 5;
/** Where a source that fails for all tracks does not say how long it is left alone, ms. */
const PAUSE_MS = 5000;
const PROBE_AGAIN_MS = 60_000;
/** Errors that no later try mends. */
const FINAL = ["not-found", "unplayable", "bad-request", "no-space"] as const;

interface Running {
  job: Job;
  readonly controller: AbortController;
  /** Makes what runs as urgent as its job is now. */
  onLevel: () => void;
}

interface Failure {
  readonly code: string;
  readonly tries: number;
  /** Monotonic ms; Infinity: never again. */
  readonly notBefore: number;
}

/**
 * Fetches ahead of playback, through the same pipeline and cache, whatever the wish lists, the pins and the healer of tails
 * want. It only reads: the layers below let playback go first, and a player that comes to a chunk on its way joins it.
 */
export class Prefetcher {
  readonly #options: PrefetcherOptions;
  readonly #lists = new Map<string, WishList>();
  readonly #running = new Map<string, Running>();
  readonly #failures = new Map<string, Failure>();
  readonly #done = new Set<string>();
  /** Until when sources that fail for all tracks are left alone, monotonic ms: no job of theirs is begun. */
  readonly #pausedUntil = new Map<string, number>();
  /** The tracks of all lists, once someone asked. */
  #wished: Set<string> | undefined;
  #timer: (() => void) | undefined;
  #queued = false;
  #closed = false;
  #jobs = new Map<string, Job>();

  constructor(options: PrefetcherOptions) {
    this.#options = options;
  }

  /** Replaces a list; an empty one is forgotten. What is on no list any more is cancelled, what still is goes on. */
  setList(name: string, ids: readonly TrackKey[], mode: PrefetchMode): void {
    if (ids.length === 0) this.#lists.delete(name);
    else this.#lists.set(name, { ids, mode });
    // Wanted anew: what failed before is tried again.
    for (const key of ids) for (const part of ["head", "whole"] as const) this.#failures.delete(jobName(key, part));
    this.update();
  }

  lists(): ReadonlyMap<string, WishList> {
    return this.#lists;
  }

  /** Takes a track off all lists. */
  cancel(key: TrackKey): void {
    const name = trackKey(key);
    for (const [list, { ids, mode }] of this.#lists) {
      const rest = ids.filter((other) => trackKey(other) !== name);
      if (rest.length === 0) this.#lists.delete(list);
      else if (rest.length < ids.length) this.#lists.set(list, { ids: rest, mode });
    }
    this.update();
  }

  /** True if a wish list names the track. */
  wishes(key: TrackKey): boolean {
    this.#wished ??= new Set([...this.#lists.values()].flatMap(({ ids }) => ids.map(trackKey)));
    return this.#wished.has(trackKey(key));
  }

  /** What was fetched of a track, or failed to be, is looked at again. */
  forget(key: TrackKey): void {
    for (const part of ["head", "whole"] as const) {
      this.#done.delete(jobName(key, part));
      this.#failures.delete(jobName(key, part));
    }
    this.update();
  }

  /** How each track of the lists stands, in their order. */
  states(): PrefetchState[] {
    const states = new Map<string, PrefetchState>();
    for (const { ids, mode } of this.#lists.values()) {
      for (const key of ids) states.set(trackKey(key), this.#stateOf(key, mode));
    }
    return [...states.values()];
  }

  /** Looks again at what is wanted, soon: many changes in a row are one. */
  update(): void {
    this.#wished = undefined;
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#schedule();
    });
  }

  /** Ends what runs. */
  close(): void {
    this.#closed = true;
    this.#timer?.();
    for (const { controller } of this.#running.values()) controller.abort(cancelled());
  }

  #stateOf(key: TrackKey, mode: PrefetchMode): PrefetchState {
    const parts = mode === "full" ? (["head", "whole"] as const) : (["head"] as const);
    const names = parts.map((part) => jobName(key, part));
    const failure = names.map((name) => this.#failures.get(name)).find((one) => one !== undefined);
    if (failure !== undefined) return { ...key, state: "failed", code: failure.code };
    if (names.every((name) => this.#done.has(name))) return { ...key, state: "done" };
    if (names.some((name) => this.#running.has(name))) return { ...key, state: "fetching" };
    const paused = (this.#pausedUntil.get(key.source) ?? 0) > this.#options.clock.now();
    return { ...key, ...(paused ? { state: "failed", code: "circuit-open" } : { state: "waiting" }) };
  }

  #schedule(): void {
    if (this.#closed) return;
    const { clock, pinned, tails } = this.#options;
    this.#jobs = plan(this.#lists.values(), pinned(), tails());
    for (const [name, running] of this.#running) {
      const wanted = this.#jobs.get(name);
      if (wanted === undefined) running.controller.abort(cancelled());
      else this.#rejob(running, wanted);
    }
    for (const done of this.#done) if (!this.#jobs.has(done)) this.#done.delete(done);
    const now = clock.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    let blocked: Priority = Priority.abandoned;
    for (const [name, job] of this.#jobs) {
      if (this.#running.has(name)) {
        blocked = Math.min(blocked, job.level) as Priority;
        continue;
      }
      if (this.#done.has(name)) continue;
      const notBefore = Math.max(this.#failures.get(name)?.notBefore ?? 0, this.#pausedUntil.get(job.key.source) ?? 0);
      if (notBefore > now) {
        wakeAt = Math.min(wakeAt, notBefore);
        continue;
      }
      // No body while a head waits or runs, nothing in the background while there is any.
      if (job.level > blocked) continue;
      const running = [...this.#running.values()].filter((other) => other.job.level === job.level).length;
      if (running >= (AT_ONCE[job.level] ?? 1)) {
        blocked = Math.min(blocked, job.level) as Priority;
        continue;
      }
      blocked = Math.min(blocked, job.level) as Priority;
      this.#start(name, job);
    }
    this.#timer?.();
    if (wakeAt !== Number.POSITIVE_INFINITY) this.#timer = clock.after(wakeAt - now, () => this.update());
  }

  /** Wanted for another reason now: it goes on. */
  #rejob(running: Running, job: Job): void {
    const { level } = running.job;
    running.job = job;
    if (job.level !== level) running.onLevel();
  }

  #start(name: string, job: Job): void {
    const controller = new AbortController();
    const running: Running = { job, controller, onLevel() {} };
    this.#running.set(name, running);
    const tell = (state: PrefetchProgress["state"], code?: string): void =>
      this.#options.onProgress?.({ key: job.key, part: job.part, state, ...(code === undefined ? {} : { code }) });
    tell("fetching");
    this.#fetch(running)
      .then(
        () => {
          this.#done.add(name);
          this.#failures.delete(name);
          tell("done");
        },
        (error: unknown) => {
          if (controller.signal.aborted) tell("cancelled");
          else tell("failed", this.#failed(name, job.key, error));
        },
      )
      .finally(() => {
        this.#running.delete(name);
        this.update();
      });
  }

  /** Tells of bytes [start, end) that came. `told` is the last chunk that was told of, before and after. */
  #tell({ key, heals }: Job, start: number, end: number, told: number): number {
    const { onTail, onChunk } = this.#options;
    if (heals) onTail?.(end - start);
    const last = Math.floor((end - 1) / CHUNK_SIZE);
    for (let index = Math.max(Math.floor(start / CHUNK_SIZE), told + 1); index <= last; index += 1) {
      onChunk?.(key, index);
    }
    return last;
  }

  /** The code of what failed. */
  #failed(name: string, { source }: TrackKey, error: unknown): string {
    const now = this.#options.clock.now();
    const code = isAfterbayError(error) ? error.code : "upstream-failed";
    const before = this.#failures.get(name)?.tries ?? 0;
    if (isAfterbayError(error, "circuit-open")) {
      this.#pausedUntil.set(source, now + (error.retryAfterMs ?? PAUSE_MS));
      // One that was tried to see whether the source works lets others do that: it may be bad itself.
      if (error.cause !== undefined) this.#failures.set(name, { code, tries: before, notBefore: now + PROBE_AGAIN_MS });
      return code;
    }
    const tries = before + 1;
    const final = tries >= MAX_TRIES || isAfterbayError(error, ...FINAL);
    const notBefore = final ? Number.POSITIVE_INFINITY : now + RETRY_MS * 2 ** (tries - 1);
    this.#failures.set(name, { code, tries, notBefore });
    return code;
  }

  async #fetch(running: Running): Promise<void> {
    const { cache } = this.#options;
    const { key, part } = running.job;
    if (cache.find(key)?.complete === true) return;
    const { signal } = running.controller;
    const track = await cache.enter({ ...key, position: 0, level: running.job.level, signal });
    try {
      const { variant } = track;
      const end = Math.min(
        part === "head" ? CHUNK_SIZE : Number.POSITIVE_INFINITY,
        variant.size ?? Number.POSITIVE_INFINITY,
      );
      for (;;) {
        const [hole] = variant.missing(0, Math.min(end, variant.size ?? end));
        if (hole === undefined || variant.endsAt(hole.start)) return;
        const needed = Math.min(hole.end, end) - hole.start;
        if (Number.isFinite(needed) && !cache.hasRoom(needed)) {
          throw new AfterbayError("no-space", "The cache's budget does not hold this track");
        }
        const reader = track.read(hole.start, Math.min(hole.end, end));
        running.onLevel = () => {
          reader.level = running.job.level;
          variant.onReaderWaits();
        };
        running.onLevel();
        try {
          let told = -1;
          for await (const bytes of reader) {
            told = this.#tell(running.job, reader.position - bytes.length, reader.position, told);
          }
        } finally {
          reader.close();
        }
        // The store could not keep them: going on would fetch the same again.
        if (!variant.storing || reader.received === 0) return;
      }
    } finally {
      track.close();
    }
  }
}

function cancelled(): DOMException {
  return new DOMException("This track is not wanted any more", "AbortError");
}
