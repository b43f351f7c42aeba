import { abortable } from "../data-source/aborting.ts";
import type { Clock } from "../data-source/clock.ts";
import { type DataSource, type Opened, Priority } from "../data-source/data-source.ts";
import type { Resolution } from "../data-source/resolution.ts";
import { isAfterbayError } from "../errors.ts";
import { Fill } from "./fill.ts";
import type { LiveVariant } from "./live-variant.ts";
import { trackKey } from "./track-index.ts";
import type { Want } from "./open-track.ts";

export interface OpeningsOptions {
  readonly upstream: DataSource;
  readonly clock: Clock;
  /** Finds the live variant that an upstream's answer belongs to, and hands it over while it surely lives. */
  readonly establish: (opened: Opened, want: Want, take: (variant: LiveVariant) => void) => Promise<LiveVariant>;
}

/** What an opening found, and how long that took, ms. */
export interface Found {
  readonly variant: LiveVariant;
  readonly fill: Fill;
  readonly resolveMs?: number;
  readonly upstreamMs: number;
}

interface Opening {
  readonly promise: Promise<Found>;
  fill: Fill;
  waiting: number;
  done: boolean;
}

/** Asks the upstream which variant a track has: one fill is opened, and all who come meanwhile wait for it. */
export class Openings {
  readonly #options: OpeningsOptions;
  readonly #running = new Map<string, Opening>();
  /** Why nothing is opened any more. */
  #closed: Error | undefined;

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /** Waits for the variant. Rejects with what the upstream did, or the signal's reason. */
  async wait(want: Want): Promise<Found> {
    const opening = this.#join(want);
    opening.waiting += 1;
    try {
      return await abortable(opening.promise, want.signal);
    } catch (error) {
      throw reasonToGive(error, opening.fill);
    } finally {
      opening.waiting -= 1;
      // A client that was told to wait no longer, or has its headers already, may come back for what is on its way.
      const patient = isAfterbayError(want.signal.reason, "upstream-timeout") || want.isPatient?.() === true;
      if (opening.waiting === 0 && !opening.done && !patient) this.#abandon(opening);
    }
  }

  /** What the resolver says of a track that is being opened: hints, until the upstream answers. */
  hintOf(want: Pick<Want, "source" | "id" | "quality">): Resolution | undefined {
    return this.#running.get(keyOf(want))?.fill.need.resolution;
  }

  /** Ends all, and begins no more: whoever was on the way here gets the reason. */
  async close(reason: Error): Promise<void> {
    this.#closed = reason;
    const running = [...this.#running.values()];
    for (const opening of running) opening.fill.stop(reason);
    await Promise.allSettled(running.map(({ promise }) => promise));
  }

  #abandon(opening: Opening): void {
    const { fill } = opening;
    if (fill.urgency.level === Priority.playback)
      fill.stop(new DOMException("Nobody waits for this track", "AbortError"));
    // What was fetched ahead, and has been sent, is kept.
    else fill.stopInPause(() => opening.waiting === 0 && fill.isUnread);
  }

  #join(want: Want): Opening {
    const key = keyOf(want);
    const running = this.#running.get(key);
    if (running !== undefined && !running.fill.signal.aborted) {
      const level = want.level ?? Priority.playback;
      running.fill.follow(want.onFollow);
      if (want.sizeOnly !== true) running.fill.bound = Number.POSITIVE_INFINITY;
      if (level < running.fill.urgency.level) running.fill.urgency.level = level;
      return running;
    }
    const opening: Opening = {
      fill: this.#firstFill(want, want.position),
      promise: Promise.resolve()
        .then(() => this.#open(opening, want))
        .finally(() => {
          opening.done = true;
          if (this.#running.get(key) === opening) this.#running.delete(key);
        }),
      waiting: 0,
      done: false,
    };
    opening.promise.catch(() => {});
    this.#running.set(key, opening);
    return opening;
  }

  #firstFill({ source, id, quality, level, sizeOnly, onFollow }: Want, position: number): Fill {
    if (this.#closed !== undefined) throw this.#closed;
    const { clock } = this.#options;
    const fill = new Fill({ source, id, position, ...(quality === undefined ? {} : { quality }) }, clock);
    fill.urgency.level = level ?? Priority.playback;
    if (sizeOnly === true) fill.probeSize();
    fill.follow(onFollow);
    return fill;
  }

  async #open(opening: Opening, want: Want): Promise<Found> {
    const { clock, upstream, establish } = this.#options;
    const began = clock.now();
    let opened = await opening.fill.open(upstream);
    if (opened.validator === undefined && want.position > 0) {
      // Past the end, an upstream says how long the resource is but not which: that takes a byte that exists.
      await opened[Symbol.asyncDispose]();
      opening.fill = this.#firstFill(want, 0);
      opened = await opening.fill.open(upstream);
    }
    const upstreamMs = clock.now() - began;
    const { resolveMs } = opening.fill.need;
    try {
      // The caller takes hold of it in a later turn: the fill keeps it alive until then.
      const variant = await establish(opened, want, (found) => found.adopt(opening.fill, opened));
      return { variant, fill: opening.fill, upstreamMs, ...(resolveMs === undefined ? {} : { resolveMs }) };
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }
}

function keyOf(want: Pick<Want, "source" | "id" | "quality">): string {
  return `${trackKey(want)}\n${want.quality ?? ""}`;
}

/** What failed before is a better reason than that it took too long. */
function reasonToGive(error: unknown, { need }: Fill): unknown {
  return isAfterbayError(error, "upstream-timeout") ? (need.lastFailure ?? error) : error;
}
