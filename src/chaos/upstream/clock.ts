import { setTimeout } from "node:timers/promises";

/** Time, so that a test can shorten it. */
export interface Clock {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Rejects when `signal` aborts. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const realClock: Clock = {
  now: () => performance.now(),
  delay: (ms, signal) => setTimeout(ms, undefined, { signal }),
};

/** Settles as `promise`, or rejects as soon as `signal` aborts. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** A promise and what settles it. */
function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: (() => void) | undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: () => resolve?.() };
}

/** Where stalled answers wait, by the name of their resource. */
export class Gate {
  readonly #waiting = new Map<string, Set<() => void>>();

  async wait(name: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting);
    const { promise, resolve } = deferred();
    waiting.add(resolve);
    try {
      await unlessAborted(promise, signal);
    } finally {
      waiting.delete(resolve);
    }
  }

  /** Lets go of those that wait now. */
  open(name?: string): void {
    for (const [of, waiting] of this.#waiting)
      if (name === undefined || name === of) for (const wake of waiting) wake();
  }

  count(name?: string): number {
    let count = 0;
    for (const [of, waiting] of this.#waiting) if (name === undefined || name === of) count += waiting.size;
    return count;
  }
}
