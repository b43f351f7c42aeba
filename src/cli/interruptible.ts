import { constants } from "node:os";
import type { Io } from "./io.ts";
import { GRACE_MS, SAME_SIGNAL_MS } from "./stopping.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A signal ended the command; what was half-made is undone. */
export class Interrupted extends Error {
  /** 128 and the signal's number, as shells count: 130 for SIGINT, 143 for SIGTERM. */
  readonly code: number;

  constructor(signal: (typeof signals)[number]) {
    super(`ended by ${signal}`);
    this.code = 128 + constants.signals[signal];
  }
}

/**
 * Runs `work`, whose signal aborts when the process is told to end. Work that fails then is {@link Interrupted}; it has
 * GRACE_MS to undo what is half-made, and a second signal ends the process at once.
 */
export async function interruptible<T>(io: Io, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let interrupted: Interrupted | undefined;
  let at = 0;
  let guard: NodeJS.Timeout | undefined;
  const listeners = signals.map((name) => {
    const listener = (): void => {
      if (interrupted !== undefined) {
        if (performance.now() - at > SAME_SIGNAL_MS) io.exit(interrupted.code);
        return;
      }
      const reason = new Interrupted(name);
      interrupted = reason;
      at = performance.now();
      guard = setTimeout(() => io.exit(reason.code), GRACE_MS);
      controller.abort(reason);
    };
    io.signals.on(name, listener);
    return () => io.signals.off(name, listener);
  });
  try {
    return await work(controller.signal);
  } catch (error) {
    throw interrupted ?? error;
  } finally {
    clearTimeout(guard);
    for (const off of listeners) off();
  }
}
