import { setImmediate as nextTurn } from "node:timers/promises";

/** Work that takes longer is done in slices, ms: what plays meanwhile waits no longer than that. */
const SLICE_MS = 5;

/** Long work that lets everything else have its turn. */
export class TimeSlice {
  #began = performance.now();

  /** True if it is the others' turn: then {@link pause}. */
  get isOver(): boolean {
    return performance.now() - this.#began >= SLICE_MS;
  }

  async pause(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}
