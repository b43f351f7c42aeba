import type { Clock } from "../../data-source/clock.ts";

/** How much of the score one outcome makes up. */
const WEIGHT = 0.3;
/** A member whose last two outcomes were failures is below this, and stays so for 15 s without another outcome. */
const AILING = 0.69;
/** In this time without an outcome, ms, half of what is missing of a full score comes back. */
const HALF_LIFE_MS = 20_000;
/** A wait that a member asks for is kept for at most this long, ms: it may have been meant for one track. */
const MAX_REST_MS = 60_000;

/** How well one member of a chain has done lately. */
export class Health {
  readonly #clock: Clock;
  #score = 1;
  #at: number;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** From 0, where all fails, to 1. */
  get score(): number {
    return 1 - (1 - this.#score) * 2 ** (-(this.#clock.now() - this.#at) / HALF_LIFE_MS);
  }

  /** Others are asked first. */
  get ailing(): boolean {
    return this.score < AILING;
  }

  /** Ms for which it wants to be left alone. */
  get restMs(): number {
    return Math.max(0, this.#restsUntil - this.#clock.now());
  }

  succeeded(): void {
    this.#add(1);
  }

  failed(retryAfterMs = 0): void {
    this.#add(0);
    if (retryAfterMs > 0) this.#restsUntil = this.#clock.now() + Math.min(retryAfterMs, MAX_REST_MS);
  }

  #add(outcome: number): void {
    this.#score = this.score * (1 - WEIGHT) + outcome * WEIGHT;
    this.#at = this.#clock.now();
  }
}
