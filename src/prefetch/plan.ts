import { Priority, type TrackKey } from "../data-source/data-source.ts";

export type PrefetchMode = "head" | "full";

/** A named list of tracks that a client would like to have at hand, most wanted first. */
export interface WishList {
  readonly ids: readonly TrackKey[];
  readonly mode: PrefetchMode;
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

/**
 * What is to be fetched, in order: the heads of all wish lists before the rest of any, then what is to be kept offline,
 * then what nearly is. A track that is wanted more than once is fetched for the most urgent of its reasons.
 */
export function plan(
  lists: Iterable<WishList>,
  pinned: Iterable<TrackKey>,
  tails: Iterable<TrackKey>,
): Map<string, Job> {
  const jobs = new Map<string, Job>();
  const add = (key: TrackKey, part: Job["part"], level: Priority, heals = false): void => {
    const name = jobName(key, part);
    if (!jobs.has(name)) jobs.set(name, { key, part, level, heals });
  };
  const all = [...lists];
  for (const { ids } of all) for (const key of ids) add(key, "head", Priority.head);
  for (const { ids, mode } of all) if (mode === "full") for (const key of ids) add(key, "whole", Priority.body);
  for (const key of pinned) add(key, "whole", Priority.background);
  for (const key of tails) add(key, "whole", Priority.background, true);
  return jobs;
}

export function jobName(key: TrackKey, part: Job["part"]): string {
  return `${part}\n${key.source}\n${key.id}`;
}
