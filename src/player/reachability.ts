import { type Clock, systemClock } from "../data-source/clock.ts";

/** So long after it was seen to be away, a source is tried again, ms. */
const AWAY_MS = 15_000;
/** What a fetch fails with where the network, or the source, is away. */
const AWAY = ["offline", "unreachable", "circuit-open"];

/** Whether the sources can be had, by what became of the last that was fetched of them: what {@link LookAhead} asks. */
export class Reachability {
  readonly #clock: Clock;
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Looking ahead would only fail. */
  readonly isOffline = (): boolean => this.#clock.now() < this.#awayUntil;

  /** A fetch or a playback succeeded, or failed with a code. */
  note(code: string | undefined): void {
    if (code === undefined) this.#awayUntil = Number.NEGATIVE_INFINITY;
    else if (AWAY.includes(code)) this.#awayUntil = this.#clock.now() + AWAY_MS;
  }
}
