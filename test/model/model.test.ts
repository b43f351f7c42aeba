import * as fc from "fast-check";
import { expect, test } from "vitest";
import { scenario } from "./generate.ts";
import { play } from "./play.ts";

// MODEL_RUNS=20000 MODEL_SEED=7 npm test -- test/model/model.test.ts
// What a failure prints is played again by its MODEL_SEED and MODEL_PATH.
const RUNS = Number(process.env["MODEL_RUNS"] ?? 300);
const SEED = Number(process.env["MODEL_SEED"] ?? 1);
const PATH = process.env["MODEL_PATH"];

test("whatever happens, a player gets the truth, an honest error or a cut", { timeout: 36_000_000 }, async () => {
  let complete = 0;
  await fc.assert(
    fc.asyncProperty(scenario, async (one) => {
      complete += (await play(one)).complete;
    }),
    { numRuns: RUNS, seed: SEED, ...(PATH === undefined ? {} : { path: PATH, endOnFailure: true }) },
  );
  // Faults did not keep everyone from everything.
  if (PATH === undefined) expect(complete).toBeGreaterThan(RUNS);
});
