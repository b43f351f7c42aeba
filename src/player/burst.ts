import type { Clock } from "../data-source/clock.ts";

/** Of many calls shortly after each other, carries out the first at once and the last when it is quiet. */
export class Burst {
  readonly #clock: Clock;
  readonly #quietMs: number;
  #lastAt = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, quietMs: number) {
    this.#clock = clock;
    this.#quietMs = quietMs;
  }

  /** True while an action is put off. */
  get isPending(): boolean {
    return this.#cancel !== undefined;
  }

  /** False: it is put off, and comes unless another one or `cancel` comes first. */
  run(action: () => void): boolean {
    const now = this.#clock.now();
    const isFirst = now - this.#lastAt >= this.#quietMs;
    this.#lastAt = now;
    this.cancel();
    if (isFirst) {
      action();
      return true;
    }
    this.#cancel = this.#clock.after(this.#quietMs, () => {
      this.#cancel = undefined;
      action();
    });
    return false;
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
