/** Nothing more for this long (ms): all that was sent together has come. */
const QUIET_MS = 1;
/** Where no bytes come for this long, none may come for much longer, ms. */
const SILENCE_MS = 40;

/** Calls back after so many ms. */
export type After = (ms: number, act: () => void) => unknown;

/**
 * Finds the moment at which a request costs least to cut. What is on its way then is lost, and would be sent a second
 * time: so it is cut in the silence right after bytes came, when the next ones are farthest away. Whoever pulls the
 * body tells when it waits for bytes and when they came.
 */
export class PauseWatch {
  readonly #after: After;
  #waiting = true;
  #arrivals = 0;
  #cut: (() => void) | undefined;

  constructor(after: After) {
    this.#after = after;
  }

  /** Bytes came, or an answer. Until the next {@link waits}, there may be more that nobody has pulled. */
  came(): void {
    this.#waiting = false;
    this.#arrivals += 1;
  }

  /** All that came was pulled. */
  waits(): void {
    this.#waiting = true;
    if (this.#cut !== undefined) this.#cutUnlessMoreComes(QUIET_MS);
  }

  /**
   * Calls `cut` in the silence after the next bytes that come, or in a longer one; in `limitMs` whatever comes.
   * Does nothing where a cut is pending.
   */
  cutSoon(cut: () => void, limitMs: number): void {
    if (this.#cut !== undefined) return;
    this.#cut = cut;
    this.#cutUnlessMoreComes(SILENCE_MS);
    this.#after(limitMs, () => {
      if (this.#cut === cut) this.#cutNow();
    });
  }

  #cutUnlessMoreComes(ms: number): void {
    const [cut, known] = [this.#cut, this.#arrivals];
    this.#after(ms, () => {
      // Timers run before sockets are read: on a busy machine bytes may lie there since long ago.
      setImmediate(() => {
        if (this.#cut === cut && this.#arrivals === known && this.#waiting) this.#cutNow();
      });
    });
  }

  #cutNow(): void {
    const cut = this.#cut;
    this.#cut = undefined;
    cut?.();
  }
}
