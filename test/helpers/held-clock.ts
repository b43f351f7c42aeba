import { setTimeout as delay } from "node:timers/promises";
import { ManualClock, settle } from "../data-source/fakes.ts";

/** Milliseconds of its own for each one that passes. */
const SPEED = 50;
const STEP_MS = 2;

/**
 * Time that stands still, but runs fast while some work is under way: what takes seconds does, and nothing else ages.
 * It waits for what is `busy`, so that a slow machine is not taken for a slow upstream.
 */
export class HeldClock extends ManualClock {
  busy: () => boolean = () => false;

  /** Lets time run until `work` has settled. */
  async during<T>(work: Promise<T>): Promise<T> {
    const state = { settled: false };
    const end = (): void => {
      state.settled = true;
    };
    work.then(end, end);
    while (!state.settled) {
      await delay(STEP_MS);
      if (!this.busy()) await this.advance(STEP_MS * SPEED);
    }
    return await work;
  }

  /** Lets `ms` pass, from one timer to the next, as fast as what they set off is done. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now() + ms; this.now() < end; ) {
      // What is asked for in this process is seen by its server within these turns.
      for (let turn = 0; turn < 3; turn += 1) await settle();
      if (this.busy()) await delay(1);
      else await this.advance(Math.min(end - this.now(), this.pending[0] ?? Number.POSITIVE_INFINITY));
    }
  }
}
