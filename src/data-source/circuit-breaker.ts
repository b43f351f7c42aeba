import type { Clock } from "./clock.ts";
import { Priority } from "./data-source.ts";

/** Needs of this many different tracks must have failed within this time, ms, without a byte for anyone in between. */
const TRACKS = 5;
const WITHIN_MS = 30_000;
/** Then nothing is asked of the source for this long, ms. */
const OPEN_MS = 5000;
/** A need whose tries fail at once takes 7 s, give or take a fifth; a probe that takes longer hangs, and another is let in. */
const PROBE_MS = 10_000;

/** Leave to fill one need. */
export interface Pass {
  /** Bytes arrived. May be told more than once. */
  delivered(): void;
  /** The need ended, and the source is to blame. True if it was the probe that decides: the source is left alone again. */
  failed(): boolean;
  /** It ended in a way that tells nothing of the source: given up, or the track's own fault. */
  over(): void;
}

/** A need that was let in while the circuit was not closed. */
interface Probe {
  /** Monotonic ms. */
  readonly began: number;
}

/**
 * Tells when a source fails for all tracks, so that it is left alone: after needs of five different tracks have failed
 * within 30 s with no success between, it is asked for nothing for 5 s; then one need probes it, and its end decides. A
 * track counts once, however often it fails. After the policy of the same name in cockatiel.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #onChange: ((isOpen: boolean) => void) | undefined;
  /** When each track's need failed last, monotonic ms. */
  readonly #failures = new Map<string, number>();
  /** Monotonic ms; undefined while closed. */
  #openUntil: number | undefined;
  /** Under way: one of playback, and one of everything else. */
  #probes: { playback?: Probe | undefined; other?: Probe | undefined } = {};
  readonly #waiting = new Set<() => void>();

  /** `onChange` is told when it opens and when it closes. */
  constructor(clock: Clock, onChange?: (isOpen: boolean) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** True where nothing is known against the source. */
  get closed(): boolean {
    return this.#openUntil === undefined;
  }

  /** Ms until another need may be let in; 0: now. */
  get waitMs(): number {
    return this.#refusedMs(Priority.playback);
  }

  /** Leave for a need of `track`; or else the ms after which it makes sense to ask again. */
  enter(track: string, level: Priority): Pass | number {
    const wait = this.#refusedMs(level);
    if (wait > 0) return wait;
    const kind = level === Priority.playback ? "playback" : "other";
    const probe = this.closed ? undefined : { began: this.#clock.now() };
    if (probe !== undefined) this.#probes[kind] = probe;
    // If it takes too long, another is let in: then that one decides.
    const decides = (): boolean => probe !== undefined && this.#probes[kind] === probe;
    return {
      delivered: () => this.#close(),
      failed: () => {
        const decisive = decides();
        if (decisive) this.#open();
        else this.#count(track);
        return decisive;
      },
      over: () => {
        if (!decides()) return;
        this.#probes[kind] = undefined;
        this.#wake();
      },
    };
  }

  /** Calls back once: after `ms`, or as soon as things stand otherwise. The returned function cancels. */
  wait(ms: number, callback: () => void): () => void {
    const end = (): void => {
      stop();
      callback();
    };
    const cancel = this.#clock.after(ms, end);
    this.#waiting.add(end);
    const stop = (): void => {
      cancel();
      this.#waiting.delete(end);
    };
    return stop;
  }

  /** Ms until a need of this level may be let in; 0: now. */
  #refusedMs(level: Priority): number {
    if (this.#openUntil === undefined) return 0;
    const now = this.#clock.now();
    if (now < this.#openUntil) return this.#openUntil - now;
    const probed = this.#probedMs(level, now);
    // So long ago that it says nothing any more: one bad track must not open it again.
    if (probed === 0 && now >= this.#openUntil + WITHIN_MS) this.#close();
    return probed;
  }

  /**
   * Ms for which probes under way keep a need of this level out, but for those that hang; prefetch's never keeps out a
   * player. Not more than an open circuit: most probes end sooner.
   */
  #probedMs(level: Priority, now: number): number {
    const { playback, other } = this.#probes;
    const rivals = level === Priority.playback ? [playback] : [playback, other];
    const left = rivals.map((probe) => (probe === undefined ? 0 : probe.began + PROBE_MS - now));
    return Math.min(OPEN_MS, Math.max(0, ...left));
  }

  #count(track: string): void {
    if (!this.closed) return;
    const now = this.#clock.now();
    this.#failures.set(track, now);
    for (const [other, at] of this.#failures) if (now - at >= WITHIN_MS) this.#failures.delete(other);
    if (this.#failures.size >= TRACKS) this.#open();
  }

  #open(): void {
    const wasClosed = this.closed;
    this.#openUntil = this.#clock.now() + OPEN_MS;
    this.#probes = {};
    if (wasClosed) this.#onChange?.(true);
    this.#wake();
  }

  #close(): void {
    this.#failures.clear();
    if (this.closed) return;
    this.#openUntil = undefined;
    this.#probes = {};
    this.#onChange?.(false);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
