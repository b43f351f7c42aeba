import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import type { CircuitBreaker, Pass } from "./circuit-breaker.ts";
import type { Clock } from "./clock.ts";
import { type DataSource, type DataSpec, Priority } from "./data-source.ts";
import { withBody } from "./opened.ts";

export interface CircuitBreakingOptions {
  readonly breaker: CircuitBreaker;
  readonly clock: Clock;
  /** Ms that a player in the middle of a track is kept waiting for the source to recover. */
  readonly patienceMs: number;
}

/**
 * Asks nothing of a source that fails for all tracks: throws `circuit-open` instead, with the time after which another
 * try makes sense. A player in the middle of a track waits that time, since an error would end its playback.
 */
export function circuitBreaking(upstream: DataSource, options: CircuitBreakingOptions): DataSource {
  return {
    async open(spec, { signal }) {
      const { breaker } = options;
      const pass = await enter(spec, options, signal);
      /** What to throw for `error`, with which the need has ended. */
      const settle = (error: unknown): unknown => {
        if (signal.aborted || !blamesSource(error)) {
          pass.over();
          return error;
        }
        const tellsOfAll = pass.failed() && levelOf(spec) !== Priority.playback;
        // Prefetch that probed learned nothing of its track.
        return tellsOfAll ? circuitOpen(breaker.waitMs, error) : error;
      };
      try {
        const opened = await upstream.open(spec, { signal });
        async function* body(): AsyncGenerator<Uint8Array> {
          try {
            for await (const chunk of opened.body) {
              pass.delivered();
              yield chunk;
            }
          } catch (error) {
            throw settle(error);
          } finally {
            pass.over();
          }
        }
        return withBody(opened, {
          body: body(),
          dispose: async () => {
            pass.over();
            await opened[Symbol.asyncDispose]();
          },
        });
      } catch (error) {
        throw settle(error);
      }
    },
  };
}

function levelOf({ urgency }: DataSpec): Priority {
  return urgency?.level ?? Priority.playback;
}

function circuitOpen(retryAfterMs: number, cause?: unknown): AfterbayError {
  return new AfterbayError("circuit-open", "The source fails for all tracks just now", { retryAfterMs, cause });
}

async function enter(
  spec: DataSpec,
  { breaker, clock, patienceMs }: CircuitBreakingOptions,
  signal: AbortSignal,
): Promise<Pass> {
  const until = clock.now() + patienceMs;
  for (;;) {
    const level = levelOf(spec);
    const pass = breaker.enter(spec.id, level);
    if (typeof pass !== "number") return pass;
    // Whoever begins a track is told at once; prefetch comes back by itself.
    const waits = spec.expect !== undefined && level === Priority.playback;
    const left = until - clock.now();
    if (!waits || left <= 0) throw circuitOpen(pass);
    const waitMs = Math.min(pass, left);
    spec.need.lastFailure = circuitOpen(pass);
    spec.need.tell({ event: "circuit", waitMs });
    await waitFor(breaker, waitMs, signal);
  }
}

function waitFor(breaker: CircuitBreaker, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal));
    const onAbort = (): void => {
      cancel();
      reject(abortReason(signal));
    };
    const cancel = breaker.wait(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * True for the end of a need that tells against its source: failures that did not pass, silence, refusals (401, 403) and
 * wrong answers whatever the URL. Not what is true of one track alone, said by a source that works: unknown (404, 410),
 * unplayable, refused by the resolver's own word, other bytes than before. Nor what Afterbay itself held back.
 */
function blamesSource(error: unknown): boolean {
  if (isAfterbayError(error, "url-refused")) return error.status === 401 || error.status === 403;
  return isAfterbayError(error, "transient", "stalled", "unreachable", "wrong-answer", "range-refused");
}
