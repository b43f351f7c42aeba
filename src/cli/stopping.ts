import type { EventEmitter } from "node:events";
import type { Readable } from "node:stream";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Well within the 2 s after which a supervisor may lose its patience. */
export const GRACE_MS = 1800;

/** One Ctrl-C under npm arrives two or three times: from the terminal, and from npm, which passes it on. */
export const SAME_SIGNAL_MS = 500;

export interface Stopping {
  /** Settles when the program is to stop. */
  readonly asked: Promise<void>;
  readonly now: () => boolean;
  /** Lets go of the signals. */
  end(): void;
}

export interface Reasons {
  /** Its end is one. */
  readonly parent?: Readable | undefined;
  /** Answers true if a SIGHUP meant something else. */
  readonly onHangup?: () => boolean;
}

/**
 * Waits for a reason to stop: a signal or, with `parent`, the end of that stream. From then on the process has
 * GRACE_MS to finish; a second signal ends it at once.
 */
export function stopping(
  process: EventEmitter,
  exit: (code: number) => void,
  { parent, onHangup }: Reasons = {},
): Stopping {
  let askedAt: number | undefined;
  let guard: NodeJS.Timeout | undefined;
  const controller = new AbortController();
  const asked = new Promise<void>((settle) => {
    controller.signal.addEventListener("abort", () => settle(), { once: true });
  });

  const stop = () => {
    if (askedAt !== undefined) return;
    askedAt = performance.now();
    guard = setTimeout(() => exit(0), GRACE_MS);
    controller.abort();
  };
  const onSignal = (signal: unknown) => {
    if (signal === "SIGHUP" && askedAt === undefined && onHangup?.() === true) return;
    if (askedAt !== undefined && performance.now() - askedAt > SAME_SIGNAL_MS) exit(1);
    stop();
  };

  for (const signal of signals) process.on(signal, onSignal);
  for (const event of ["end", "close", "error"]) parent?.on(event, stop);
  // Nothing is read of it, but only a stream that flows comes to its end.
  parent?.resume();

  const end = () => {
    clearTimeout(guard);
    for (const signal of signals) process.off(signal, onSignal);
    for (const event of ["end", "close", "error"]) parent?.off(event, stop);
  };
  return { asked, now: () => controller.signal.aborted, end };
}
