import { setMaxListeners } from "node:events";
import { abortable } from "../data-source/aborting.ts";
import { abortReason } from "../errors.ts";

interface SharedCall<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/** Calls that several wait for at once: made once, and ended when nobody waits any more. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, SharedCall<T>>();

  /** What `work` gives, or what is under way by that name. Rejects with the signal's reason as soon as it aborts. */
  async run(name: string, signal: AbortSignal, work: (until: AbortSignal) => Promise<T>): Promise<T> {
    if (signal.aborted) throw abortReason(signal);
    const call = this.#calls.get(name) ?? this.#begin(name, work);
    call.waiting += 1;
    try {
      return await abortable(call.promise, signal);
    } finally {
      call.waiting -= 1;
      if (call.waiting === 0) {
        this.#forget(name, call);
        call.controller.abort();
      }
    }
  }

  #begin(name: string, work: (until: AbortSignal) => Promise<T>): SharedCall<T> {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const call = { promise: work(controller.signal), controller, waiting: 0 };
    this.#calls.set(name, call);
    // Whoever waits is told; where nobody does any more, nobody is.
    call.promise.then(
      () => this.#forget(name, call),
      () => this.#forget(name, call),
    );
    return call;
  }

  #forget(name: string, call: SharedCall<T>): void {
    if (this.#calls.get(name) === call) this.#calls.delete(name);
  }
}
