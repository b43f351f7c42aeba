import { test } from "vitest";
import { check } from "./check.ts";

// A failure is played again by MODEL_SEED and MODEL_PATH, from what is printed of it.
const RUNS = Number(process.env["MODEL_RUNS"] ?? 250);
const SEED = Number(process.env["MODEL_SEED"] ?? 2);

test("however many tracks and steps there are, too", { timeout: 36_000_000 }, async () => {
  await check({ runs: RUNS, seed: SEED, tracks: 4, steps: 16, path: process.env["MODEL_PATH"] });
});
