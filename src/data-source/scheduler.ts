import { abortReason } from "../errors.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Priority, type TrackKey, type Urgency } from "./data-source.ts";

/** Upstream requests at once. */
const PER_TRACK = 2;
const PER_SOURCE = 6;
/** Of which prefetch takes this many: playback that begins finds a place at once. */
const PREFETCH_PER_SOURCE = 4;
/** Playback asks for its next window within this time: prefetch that began in between would be cut at once. */
const PAUSE_MS = 50;

/** Work that wants to make one upstream request. */
export interface Applicant extends TrackKey {
  readonly urgency: Urgency;
  /** Called when playback needs this one's place: it must end its request and release. */
  readonly preempt: () => void;
  /** The same, but within 100 ms: where what is on its way can arrive first. */
  readonly giveWay: () => void;
}

function placesOf({ urgency }: Applicant): number {
  return urgency.level === Priority.playback ? PER_SOURCE : PREFETCH_PER_SOURCE;
}

interface Waiting {
  readonly applicant: Applicant;
  readonly grant: () => void;
}

/**
 * Hands out upstream requests: at most two a track and six a source, the more urgent first and equals in turn. Work that
 * nobody waits for gives way where places are short; prefetch gives way to playback everywhere, and waits while it runs.
 * After androidx/media `PriorityTaskManager`.
 */
export class Scheduler {
  readonly #active = new Set<Applicant>();
  readonly #leaving = new WeakSet<Applicant>();
  readonly #preempted = new WeakSet<Applicant>();
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  /** Requests of playback that ended a moment ago. */
  #pausing = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Number of requests under way, and of those waiting for their turn. */
  get counts(): { active: number; waiting: number } {
    return { active: this.#active.size, waiting: this.#waiting.length };
  }

  /**
   * Waits for a place. The returned function gives it back, once.
   * Rejects with the signal's reason if that aborts first.
   */
  acquire(applicant: Applicant, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(abortReason(signal));
      const unlisten = applicant.urgency.onChange(() => this.#update());
      const waiting: Waiting = {
        applicant,
        grant: () => {
          signal.removeEventListener("abort", onAbort);
          this.#active.add(applicant);
          resolve(() => {
            if (!this.#active.delete(applicant)) return;
            unlisten();
            if (applicant.urgency.level === Priority.playback) this.#pause();
            this.#update();
          });
        },
      };
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        unlisten();
        reject(abortReason(signal));
        this.#update();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#update();
    });
  }

  #pause(): void {
    this.#pausing += 1;
    this.#clock.after(PAUSE_MS, () => {
      this.#pausing -= 1;
      this.#update();
    });
  }

  #update(): void {
    // Array.prototype.sort is stable: equals keep the order in which they came.
    this.#waiting.sort((a, b) => a.applicant.urgency.level - b.applicant.urgency.level);
    for (const waiting of [...this.#waiting]) {
      const { applicant } = waiting;
      // Making place for one may have ended another that waited.
      if (!this.#waiting.includes(waiting)) continue;
      if (this.#yieldsTo(applicant)) continue;
      if (this.#hasPlace(applicant)) {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        waiting.grant();
      } else {
        this.#makePlace(applicant);
      }
    }
    this.#giveWay();
  }

  /** Prefetch waits while anything more urgent runs or waits. */
  #yieldsTo(applicant: Applicant): boolean {
    const level = applicant.urgency.level;
    if (level === Priority.playback) return false;
    if (this.#pausing > 0) return true;
    const others = [...this.#active, ...this.#waiting.map((waiting) => waiting.applicant)];
    return others.some((other) => other.urgency.level < level);
  }

  #hasPlace(applicant: Applicant): boolean {
    return this.#onTrack(applicant).length < PER_TRACK && this.#onSource(applicant).length < placesOf(applicant);
  }

  #makePlace(applicant: Applicant): void {
    const rivals = this.#onTrack(applicant).length >= PER_TRACK ? this.#onTrack(applicant) : this.#onSource(applicant);
    const isPlayback = applicant.urgency.level === Priority.playback;
    const gone = isPlayback ? this.#preempted : this.#leaving;
    if (rivals.some((rival) => gone.has(rival))) return;
    const least = rivals.reduce((a, b) => (b.urgency.level > a.urgency.level ? b : a));
    if (least.urgency.level <= applicant.urgency.level) return;
    if (isPlayback) this.#preempt(least);
    else this.#askToLeave(least);
  }

  /** Running prefetch gives way as soon as playback runs or waits. */
  #giveWay(): void {
    const all = [...this.#active, ...this.#waiting.map((waiting) => waiting.applicant)];
    if (!all.some((one) => one.urgency.level === Priority.playback)) return;
    for (const one of this.#active) {
      const { level } = one.urgency;
      // What playback has joined may stay, and be asked another time.
      if (level === Priority.playback) this.#leaving.delete(one);
      else if (level < Priority.abandoned) this.#askToLeave(one);
    }
  }

  #askToLeave(applicant: Applicant): void {
    if (this.#leaving.has(applicant)) return;
    this.#leaving.add(applicant);
    applicant.giveWay();
  }

  #preempt(applicant: Applicant): void {
    if (this.#preempted.has(applicant)) return;
    this.#leaving.add(applicant);
    this.#preempted.add(applicant);
    applicant.preempt();
  }

  #onTrack(applicant: Applicant): Applicant[] {
    return this.#onSource(applicant).filter((other) => other.id === applicant.id);
  }

  #onSource(applicant: Applicant): Applicant[] {
    return [...this.#active].filter((other) => other.source === applicant.source);
  }
}
