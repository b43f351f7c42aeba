import type { Io } from "./io.ts";
import { GRACE_MS, SAME_SIGNAL_MS } from "./stopping.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A signal ended the command; what was half-made is undone. It did as it was told: that is no failure. */
export class Interrupted extends Error {
  constructor(signal: (typeof signals)[number]) {
    super(`ended by ${signal} before it was done.`);
  }
}

/**
 * Runs `work`, whose signal aborts when the process is told to end. Work that fails then is {@link Interrupted}; it has
 * GRACE_MS to undo what is half-made. A second signal ends the process at once, and with 1: that may not be undone yet.
 */
export async function interruptible<T>(io: Io, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let interrupted: Interrupted | undefined;
  let at = 0;
  let guard: NodeJS.Timeout | undefined;
  const listeners = signals.map((name) => {
    const listener = (): void => {
      if (interrupted !== undefined) {
        if (performance.now() - at > SAME_SIGNAL_MS) io.exit(1);
        return;
      }
      const reason = new Interrupted(name);
      interrupted = reason;
      at = performance.now();
      guard = setTimeout(() => io.exit(0), GRACE_MS);
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
