import { AfterbayError, isAfterbayError } from "../errors.ts";
import { linkedController } from "./aborting.ts";
import { type DataSource, type DataSpec, type Opened, Priority, Urgency } from "./data-source.ts";
import { withBody } from "./opened.ts";
import { openResuming } from "./resuming.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * Makes every upstream request wait for its turn at the scheduler, and gives way when more urgent work comes: the
 * request is ended, and goes on at the next byte when its turn has come again.
 */
export function prioritized(upstream: DataSource, { scheduler }: { scheduler: Scheduler }): DataSource {
  const yielding: DataSource = {
    open: (spec, { signal }) => openYielding(upstream, scheduler, spec, signal),
  };
  return {
    open: (spec, { signal }) =>
      openResuming(yielding, spec, signal, async (error) => {
        if (!isAfterbayError(error, "preempted")) throw error;
      }),
  };
}

async function openYielding(
  upstream: DataSource,
  scheduler: Scheduler,
  spec: DataSpec,
  signal: AbortSignal,
): Promise<Opened> {
  const { controller, unlink } = linkedController(signal);
  const urgency = spec.urgency ?? new Urgency(Priority.playback);
  const admitted: DataSpec = {
    ...spec,
    async admit(window, windowSignal) {
      // What is not wanted yet must not hold a place; what is wanted may have shrunk when the place is there.
      const demand = await spec.admit?.(window, windowSignal);
      const release = await scheduler.acquire(
        {
          source: spec.source,
          id: spec.id,
          urgency,
          preempt: () => controller.abort(new AfterbayError("preempted", "More urgent work came")),
        },
        windowSignal,
      );
      return {
        get end() {
          return demand?.end;
        },
        release() {
          release();
          demand?.release();
        },
      } as { end?: number; release(): void };
    },
  };
  try {
    const opened = await upstream.open(admitted, { signal: controller.signal });
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        yield* opened.body;
      } finally {
        unlink();
      }
    }
    const dispose = async (): Promise<void> => {
      unlink();
      await opened[Symbol.asyncDispose]();
    };
    return withBody(opened, { body: body(), dispose });
  } catch (error) {
    unlink();
    throw error;
  }
}
