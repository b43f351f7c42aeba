import { trackKey } from "../cache/track-index.ts";
import { Priority, type TrackKey } from "../data-source/data-source.ts";

export type PrefetchMode = "head" | "full";

/** A named list of tracks that a client would like to have at hand, most wanted first. */
export interface WishList {
  readonly ids: readonly TrackKey[];
  readonly mode: PrefetchMode;
}

/** Tracks that are wanted for some reason. */
export interface TrackSet {
  has(key: TrackKey): boolean;
  all(): Iterable<TrackKey>;
}

/** One thing to be fetched. */
export interface Job {
  readonly key: TrackKey;
  /** The first chunk, or everything. */
  readonly part: "head" | "whole";
  readonly level: Priority;
  /** Nobody asked for it: its bytes count against the healer's budget. */
  readonly heals: boolean;
}

export interface Reasons {
  readonly lists: Iterable<WishList>;
  /** To be kept offline. */
  readonly pinned: TrackSet;
  /** Nearly whole. */
  readonly tails: TrackSet;
}

/**
 * What is to be fetched, in order: the heads of all wish lists before the rest of any, then what is to be kept offline,
 * then what nearly is. A track that is wanted more than once is fetched for the most urgent of its reasons. Lists may be
 * long: nothing but their tracks is taken down at once, and jobs are made as they are pulled.
 */
export class Plan {
  readonly #lists: readonly WishList[];
  readonly #reasons: Reasons;
  /** The tracks of all lists, and whether one of these wants them whole. */
  readonly #wished = new Map<string, boolean>();

  constructor(reasons: Reasons) {
    this.#reasons = reasons;
    this.#lists = [...reasons.lists];
    for (const { ids, mode } of this.#lists) {
      for (const key of ids) {
        const name = trackKey(key);
        if (mode === "full" || !this.#wished.has(name)) this.#wished.set(name, mode === "full");
      }
    }
  }

  /** True if a wish list names the track. */
  wishes(key: TrackKey): boolean {
    return this.#wished.has(trackKey(key));
  }

  /** The job for a part of a track; undefined if that is not wanted. */
  jobOf(key: TrackKey, part: Job["part"]): Job | undefined {
    const { pinned, tails } = this.#reasons;
    const whole = this.#wished.get(trackKey(key));
    if (part === "head") return whole === undefined ? undefined : job(key, part, Priority.head);
    if (whole === true) return job(key, part, Priority.body);
    if (pinned.has(key)) return job(key, part, Priority.background);
    return tails.has(key) ? job(key, part, Priority.background, true) : undefined;
  }

  /** All jobs, most urgent first. Of a track with several reasons, the same may come more than once. */
  *jobs(): Generator<Job> {
    const { pinned, tails } = this.#reasons;
    for (const { ids } of this.#lists) for (const key of ids) yield job(key, "head", Priority.head);
    for (const { ids, mode } of this.#lists) {
      if (mode === "full") for (const key of ids) yield job(key, "whole", Priority.body);
    }
    for (const key of pinned.all()) yield job(key, "whole", Priority.background);
    for (const key of tails.all()) yield job(key, "whole", Priority.background, true);
  }
}

function job(key: TrackKey, part: Job["part"], level: Priority, heals = false): Job {
  return { key, part, level, heals };
}

/** What the jobs of a track are called: the one for its head, and the one for all of it. */
export function jobNames(key: TrackKey): readonly [head: string, whole: string] {
  return [jobName({ key, part: "head" }), jobName({ key, part: "whole" })];
}

export function jobName({ key, part }: Pick<Job, "key" | "part">): string {
  return `${part}\n${key.source}\n${key.id}`;
}
