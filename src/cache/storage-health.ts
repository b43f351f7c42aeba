import type { Clock } from "../data-source/clock.ts";

/** After a failed write, the disk is left alone this long, ms. */
const PAUSE_MS = 5000;

export interface StorageLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Whether the disk takes writes. After one that failed nothing is stored for a while, and one warning is logged. */
export class StorageHealth {
  readonly #clock: Clock;
  readonly #log: StorageLog;
  #pausedUntil = 0;
  #warned = false;

  constructor(clock: Clock, log: StorageLog) {
    this.#clock = clock;
    this.#log = log;
  }

  /** False while the disk is left alone. */
  get storing(): boolean {
    return this.#clock.now() >= this.#pausedUntil;
  }

  /** The disk refused a write. */
  refused(error: unknown): void {
    this.#pausedUntil = this.#clock.now() + PAUSE_MS;
    if (this.#warned) return;
    this.#warned = true;
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    this.#log.warn({ code }, "Cannot write to the cache directory; playing on without keeping the bytes");
  }

  /** The disk took a write. */
  accepted(): void {
    if (this.#pausedUntil === 0 || !this.storing) return;
    this.#pausedUntil = 0;
    this.#warned = false;
    this.#log.info({}, "The cache directory takes writes again");
  }
}
