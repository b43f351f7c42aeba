import { setMaxListeners } from "node:events";
import { abortable, linkedController } from "../data-source/aborting.ts";
import { abortReason, AfterbayError } from "../errors.ts";

/** Ends what a resolver does for its callers when it is closed, and lets nothing begin after. */
export class Closing {
  readonly #controller = new AbortController();

  constructor() {
    // One listener a call that is under way.
    setMaxListeners(0, this.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    this.#controller.abort(new AfterbayError("transient", "The source is closed"));
  }

  /** What `work` gives. Rejects, and aborts the signal that `work` is given, as soon as `signal` aborts or this is ended. */
  async run<T>(signal: AbortSignal, work: (until: AbortSignal) => Promise<T>): Promise<T> {
    if (signal.aborted) throw abortReason(signal);
    if (this.signal.aborted) throw abortReason(this.signal);
    const { controller, unlink } = linkedController(signal);
    const end = (): void => controller.abort(abortReason(this.signal));
    this.signal.addEventListener("abort", end, { once: true });
    try {
      return await abortable(work(controller.signal), controller.signal);
    } finally {
      this.signal.removeEventListener("abort", end);
      unlink();
    }
  }
}
