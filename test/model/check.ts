import * as fc from "fast-check";
import { expect } from "vitest";
import { scenarios } from "./generate.ts";
import type { Sabotage } from "./instance.ts";
import { play } from "./play.ts";

export interface Extent {
  readonly runs: number;
  readonly seed: number;
  /** The most that a run has. */
  readonly tracks: number;
  readonly steps: number;
  /** Where to begin, to play one failure again: as fast-check prints it. */
  readonly path?: string | undefined;
}

/** Plays random scenarios. Throws fast-check's report of the first that shows something which must not be, made small. */
export async function check(extent: Extent): Promise<void> {
  let complete = 0;
  const { path, runs, seed } = extent;
  const tell = sparingly(path === undefined);
  try {
    await fc.assert(
      fc.asyncProperty(scenarios(extent), async (one) => {
        complete += (await play(one)).complete;
      }),
      { numRuns: runs, seed, ...(path === undefined ? {} : { path, endOnFailure: true }) },
    );
  } finally {
    tell();
  }
  // Faults did not keep everyone from everything.
  if (path === undefined) expect(complete).toBeGreaterThan(runs);
}

/** What the first of at most `runs` scenarios that fails under `sabotage` says; undefined if it goes unnoticed. */
export async function noticed(sabotage: Sabotage, runs: number): Promise<string | undefined> {
  const tell = sparingly(true);
  try {
    const property = fc.asyncProperty(scenarios({ tracks: 2, steps: 6 }), async (one) => {
      await play(one, sabotage);
    });
    const { failed, errorInstance } = await fc.check(property, { numRuns: runs, seed: 1, endOnFailure: true });
    if (!failed) return undefined;
    return errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  } finally {
    tell();
  }
}

/** Errors are made without their stacks, if so: there are many, and that is a tenth of the time. The returned function ends it. */
function sparingly(isSparing: boolean): () => void {
  const before = Error.stackTraceLimit;
  if (isSparing) Error.stackTraceLimit = 0;
  return () => {
    Error.stackTraceLimit = before;
  };
}
