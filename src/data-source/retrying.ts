import { isAfterbayError } from "../errors.ts";
import { type Clock, sleep } from "./clock.ts";
import type { DataSource, DataSpec } from "./data-source.ts";
import { openResuming } from "./resuming.ts";

export interface RetryingOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Waits before each retry, ms. As many retries as there are waits. */
const BACKOFF_MS = [0, 1000, 2000, 4000] as const;
const JITTER = 0.2;
/** An upstream that asks for a longer wait is not waited for, ms. */
const MAX_RETRY_AFTER_MS = 20_000;

/** The wait before retry number `retries` (from 0) in ms, or undefined to stop. */
export function backoff(retries: number, random: number, retryAfterMs = 0): number | undefined {
  const base = BACKOFF_MS[retries];
  if (base === undefined || retryAfterMs > MAX_RETRY_AFTER_MS) return undefined;
  return Math.max(base * (1 + JITTER * (2 * random - 1)), retryAfterMs);
}

/** Tries again after failures that may pass by themselves, from the next byte on. */
export function retrying(upstream: DataSource, { clock, random }: RetryingOptions): DataSource {
  return {
    open: (spec: DataSpec, { signal }) =>
      openResuming(upstream, spec, signal, async (error) => {
        if (!isAfterbayError(error, "transient", "stalled", "unreachable")) throw error;
        spec.need.lastFailure = error;
        const wait = backoff(spec.need.retries, random(), error.retryAfterMs);
        if (wait === undefined) throw error;
        spec.need.retries += 1;
        const { code, status } = error;
        const retry = spec.need.retries;
        spec.need.tell({ event: "retry", retry, waitMs: wait, code, ...(status === undefined ? {} : { status }) });
        if (wait > 0) await sleep(clock, wait, signal);
      }),
  };
}
