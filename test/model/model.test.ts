import { test } from "vitest";
import { check } from "./check.ts";

// A failure is played again by MODEL_SEED and MODEL_PATH, from what is printed of it.
const RUNS = Number(process.env["MODEL_RUNS"] ?? 1750);
const SEED = Number(process.env["MODEL_SEED"] ?? 1);

test("whatever happens, a player gets the truth, an honest error or a cut", { timeout: 36_000_000 }, async () => {
  await check({ runs: RUNS, seed: SEED, tracks: 2, steps: 6, path: process.env["MODEL_PATH"] });
});
