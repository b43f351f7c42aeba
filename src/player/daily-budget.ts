import type { Clock } from "../data-source/clock.ts";

/** What was spent on a day, as it is written down. */
export interface SavedBudget {
  /** Local: `2026-11-23`. */
  readonly day: string;
  readonly bytes: number;
}

/** Bytes that may be spent each day, by the local calendar. */
export class DailyBudget {
  readonly #limit: number;
  readonly #clock: Clock;
  #day: string;
  #bytes = 0;

  constructor(limit: number, clock: Clock, saved?: SavedBudget) {
    this.#limit = limit;
    this.#clock = clock;
    this.#day = this.#today();
    if (saved?.day === this.#day) this.#bytes = saved.bytes;
  }

  get isSpent(): boolean {
    this.#turn();
    return this.#bytes >= this.#limit;
  }

  spend(bytes: number): void {
    this.#turn();
    this.#bytes += bytes;
  }

  toJSON(): SavedBudget {
    return { day: this.#day, bytes: this.#bytes };
  }

  #turn(): void {
    const today = this.#today();
    if (today === this.#day) return;
    this.#day = today;
    this.#bytes = 0;
  }

  #today(): string {
    const date = new Date(this.#clock.wall());
    const two = (number: number): string => String(number).padStart(2, "0");
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  }
}
