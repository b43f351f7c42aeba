import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { isAfterbayError } from "../errors.ts";
import { type Job, jobName, jobNames, type Plan, type PrefetchMode } from "./plan.ts";

/** A failed job is tried again after this long, twice as long the next time, ms. */
const RETRY_MS = 15_000;
const MAX_TRIES = 5;
/** What is pinned fits into the budget: others leave its room sooner or later. Looked at again after this long, later doubled, ms. */
const ROOM_AGAIN_MS = 60_000;
const MAX_ROOM_AGAIN_MS = 15 * 60_000;
/** Errors that no later try mends. */
const FINAL = ["not-found", "unplayable", "bad-request", "no-space"] as const;
/** A source that fails for all tracks is left alone this long, ms, where nobody says how long. */
const PAUSE_MS = 5000;
const PROBE_AGAIN_MS = 60_000;

interface Failure {
  readonly job: Job;
  readonly code: string;
  readonly tries: number;
  /** Monotonic ms; Infinity: never again. */
  readonly notBefore: number;
}

/** How a prefetch stands. */
export interface PrefetchState {
  readonly source: string;
  readonly id: string;
  readonly state: "waiting" | "fetching" | "done" | "failed";
  /** Why it failed. */
  readonly code?: string;
}

/** What became of the jobs that were begun, and when those that failed are to be tried again. */
export class Outcomes {
  readonly #clock: Clock;
  readonly #done = new Map<string, Job>();
  readonly #failures = new Map<string, Failure>();
  /** Until when sources that fail for all tracks are left alone, monotonic ms: no job of theirs is begun. */
  readonly #pausedUntil = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  done(job: Job): void {
    this.#done.set(jobName(job), job);
    this.#failures.delete(jobName(job));
  }

  /** The code of the error, and the monotonic ms of the next try. `isPinned`: it was granted its room. */
  failed(job: Job, error: unknown, isPinned = false): { readonly code: string; readonly notBefore: number } {
    const now = this.#clock.now();
    const code = isAfterbayError(error) ? error.code : "upstream-failed";
    const name = jobName(job);
    const before = this.#failures.get(name)?.tries ?? 0;
    if (isAfterbayError(error, "circuit-open")) {
      const notBefore = now + (error.retryAfterMs ?? PAUSE_MS);
      this.#pausedUntil.set(job.key.source, notBefore);
      // One that was tried to see whether the source works lets others do that: it may be bad itself.
      if (error.cause !== undefined) {
        this.#failures.set(name, { job, code, tries: before, notBefore: now + PROBE_AGAIN_MS });
      }
      return { code, notBefore };
    }
    const tries = before + 1;
    if (isPinned && isAfterbayError(error, "no-space")) {
      const notBefore = now + Math.min(ROOM_AGAIN_MS * 2 ** before, MAX_ROOM_AGAIN_MS);
      this.#failures.set(name, { job, code, tries, notBefore });
      return { code, notBefore };
    }
    const final = tries >= MAX_TRIES || isAfterbayError(error, ...FINAL);
    const notBefore = final ? Number.POSITIVE_INFINITY : now + RETRY_MS * 2 ** (tries - 1);
    this.#failures.set(name, { job, code, tries, notBefore });
    return { code, notBefore };
  }

  /** What was fetched of a track, or failed to be, is to be looked at again. True if there was something. */
  forget(key: TrackKey): boolean {
    const forgotten = jobNames(key).map((name) => [this.#done.delete(name), this.#failures.delete(name)]);
    return forgotten.flat().some((was) => was);
  }

  /** What was fetched of a track may be wanted again; what found no room finds no more of it. True if there was something. */
  evicted(key: TrackKey): boolean {
    return jobNames(key)
      .map((name) => this.#done.delete(name))
      .includes(true);
  }

  /** What failed is to be tried again. */
  forgetFailures(keys: Iterable<TrackKey>): void {
    if (this.#failures.size === 0) return;
    for (const key of keys) for (const name of jobNames(key)) this.#failures.delete(name);
  }

  /** Room was made: what found none is to be tried again. */
  forgetLackOfRoom(): void {
    for (const [name, { code }] of this.#failures) if (code === "no-space") this.#failures.delete(name);
  }

  /** Forgets what is not wanted any more. */
  prune(plan: Plan): void {
    for (const [name, { key, part }] of this.#done) {
      if (plan.jobOf(key, part) === undefined) this.#done.delete(name);
    }
    for (const [name, { job }] of this.#failures) {
      if (plan.jobOf(job.key, job.part) === undefined) this.#failures.delete(name);
    }
  }

  /** True if a job is neither done nor has to wait for its next try. */
  isDue(job: Job): boolean {
    const name = jobName(job);
    const failure = this.#failures.get(name);
    return !this.#done.has(name) && !this.#isPaused(job.key) && (failure?.notBefore ?? 0) <= this.#clock.now();
  }

  /** When the next job that failed is to be tried again, monotonic ms; Infinity if none is. */
  get nextTryAt(): number {
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const { notBefore } of this.#failures.values()) if (notBefore > now) next = Math.min(next, notBefore);
    for (const until of this.#pausedUntil.values()) if (until > now) next = Math.min(next, until);
    return next;
  }

  /** How a track stands that a list wants in this way. */
  stateOf(key: TrackKey, mode: PrefetchMode, isRunning: (name: string) => boolean): PrefetchState {
    const names = mode === "full" ? jobNames(key) : jobNames(key).slice(0, 1);
    const failure = names.map((name) => this.#failures.get(name)).find((one) => one !== undefined);
    if (failure !== undefined) return { ...key, state: "failed", code: failure.code };
    if (names.every((name) => this.#done.has(name))) return { ...key, state: "done" };
    if (names.some(isRunning)) return { ...key, state: "fetching" };
    return { ...key, ...(this.#isPaused(key) ? { state: "failed", code: "circuit-open" } : { state: "waiting" }) };
  }

  #isPaused({ source }: TrackKey): boolean {
    return (this.#pausedUntil.get(source) ?? 0) > this.#clock.now();
  }
}
