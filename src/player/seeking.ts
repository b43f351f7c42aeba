import type { Clock } from "../data-source/clock.ts";
import { Burst } from "./burst.ts";

/** Of many seeks shortly after each other, the first is done at once and the last when it is quiet for this long, ms. */
const QUIET_MS = 250;
/** A position this near to where a seek leads is that of after it, ms. */
const NEAR_MS = 1500;
/** A player that is not there so long after it has settled cannot get there, ms. */
const GIVE_IN_MS = 1000;
/** A player that plays on and has not settled after so long has not taken the seek, ms. */
const SILENT_MS = 4000;

/** A seek, from when it is asked for until the player is there. Until then it is what is shown. */
export class Seeking {
  readonly #clock: Clock;
  readonly #send: (toMs: number) => void;
  readonly #burst: Burst;
  #targetMs: number | undefined;
  #settledAt: number | undefined;
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, send: (toMs: number) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#burst = new Burst(clock, QUIET_MS);
  }

  /** Since the player was last told to seek, ms. */
  get sinceMs(): number {
    return this.#clock.now() - this.#sentAt;
  }

  to(targetMs: number): void {
    this.#targetMs = targetMs;
    this.#burst.run(() => {
      this.#settledAt = undefined;
      this.#sentAt = this.#clock.now();
      this.#send(targetMs);
    });
  }

  /** The player has settled somewhere. */
  settled(): void {
    this.#settledAt = this.#clock.now();
  }

  /** False for a position that the player tells of while it is still where it was. */
  isThere(positionMs: number): boolean {
    if (this.#targetMs === undefined) return true;
    if (this.#burst.isPending) return false;
    // What cannot be sought in says nothing of having settled.
    const settledAt = this.#settledAt ?? this.#sentAt + SILENT_MS;
    const sinceMs = this.#clock.now() - settledAt;
    const isNear = Math.abs(positionMs - this.#targetMs) <= NEAR_MS;
    if (sinceMs < 0 || (!isNear && sinceMs <= GIVE_IN_MS)) return false;
    this.#targetMs = undefined;
    return true;
  }

  /** Another track, or the same one from a place of its own. */
  reset(): void {
    this.#burst.cancel();
    this.#targetMs = undefined;
    this.#sentAt = Number.NEGATIVE_INFINITY;
  }
}
