/** How many values were at most as large as each of some bounds, their number and their sum. */
export class Histogram {
  readonly bounds: readonly number[];
  count = 0;
  sum = 0;
  /** Values up to each bound and above the one before. */
  readonly #counts: number[];

  /** `bounds` ascend. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.count += 1;
    this.sum += value;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at !== -1) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** [bound, number of values up to it], in order. */
  cumulative(): [number, number][] {
    let sum = 0;
    return this.bounds.map((bound, at) => [bound, (sum += this.#counts[at] ?? 0)]);
  }
}
