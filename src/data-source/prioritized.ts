import { AfterbayError, isAfterbayError } from "../errors.ts";
import { linkedController } from "./aborting.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type DataSource, type DataSpec, type Opened, Priority, Urgency } from "./data-source.ts";
import { withBody } from "./opened.ts";
import { openResuming } from "./resuming.ts";
import { PauseWatch } from "./pause-watch.ts";
import type { Applicant, Scheduler } from "./scheduler.ts";

/** An upstream goes on sending until it notices that a request was cut: its place is given to nobody before, ms. */
const NOTICE_MS = 10;
/** Prefetch that is to give way waits no longer for a pause in which nothing is lost, ms. */
const GIVE_WAY_MS = 60;
/** Waits for a place that are worth telling of, ms. */
const NOTABLE_MS = 2;

export interface PrioritizedOptions {
  readonly scheduler: Scheduler;
  readonly clock?: Clock;
}

/**
 * Makes every upstream request wait for its turn at the scheduler, and gives way when more urgent work comes: the
 * request is ended, and goes on at the next byte when its turn has come again.
 */
export function prioritized(upstream: DataSource, options: PrioritizedOptions): DataSource {
  const yielding: DataSource = {
    open: (spec, { signal }) => openYielding(upstream, options, spec, signal),
  };
  return {
    open: (spec, { signal }) =>
      openResuming(yielding, spec, signal, async (error) => {
        if (!isAfterbayError(error, "preempted")) throw error;
        spec.need.tell({ event: "preempted" });
      }),
  };
}

async function openYielding(
  upstream: DataSource,
  { scheduler, clock = systemClock }: PrioritizedOptions,
  spec: DataSpec,
  signal: AbortSignal,
): Promise<Opened> {
  const { controller, unlink } = linkedController(signal);
  const urgency = spec.urgency ?? new Urgency(Priority.playback);
  const watch = new PauseWatch((ms, act) => clock.after(ms, act));
  const admitted: DataSpec = {
    ...spec,
    async admit(window, windowSignal) {
      // What is not wanted yet must not hold a place; what is wanted may have shrunk when the place is there.
      const demand = await spec.admit?.(window, windowSignal);
      if (demand?.end !== undefined && demand.end <= window.start) return demand;
      let over = false;
      const preempt = (): void => {
        // A request that is over and holds its place only until that is noticed must not take the next one along.
        if (!over) controller.abort(new AfterbayError("preempted", "More urgent work came"));
      };
      const applicant: Applicant = {
        source: spec.source,
        id: spec.id,
        urgency,
        preempt,
        giveWay: () => {
          watch.cutSoon(() => {
            if (urgency.level !== Priority.playback) preempt();
          }, GIVE_WAY_MS);
        },
      };
      const began = spec.need.now();
      const waited = (): void => {
        const ms = spec.need.now() - began;
        if (ms >= NOTABLE_MS) spec.need.tell({ event: "place", ms });
      };
      const release = await scheduler.acquire(applicant, windowSignal).catch((error: unknown) => {
        waited();
        demand?.release(false);
        throw error;
      });
      waited();
      const live: { readonly end: number | undefined; release(cut: boolean): void } = {
        get end() {
          return demand?.end;
        },
        release(cut) {
          over = true;
          if (cut) clock.after(NOTICE_MS, release);
          else release();
          demand?.release(cut);
        },
      };
      return live;
    },
  };
  try {
    const opened = await upstream.open(admitted, { signal: controller.signal });
    watch.came();
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        watch.waits();
        for await (const chunk of opened.body) {
          watch.came();
          yield chunk;
          watch.waits();
        }
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
