import { setFlagsFromString } from "node:v8";
import { vi } from "vitest";
import { run } from "./run.ts";

vi.mock("node:fs", async (original) => (await import("./fs-mock.ts")).mockSync(await original()));
vi.mock("node:fs/promises", async (original) => (await import("./fs-mock.ts")).mockPromises(await original()));
vi.mock("node:crypto", async (original) => (await import("./repeatable.ts")).mockCrypto(await original()));
// Takes turns by real time.
vi.mock("../../src/data-source/time-slice.ts", () => import("./repeatable.ts"));
// Makes room for thousands of entries at once, of which a run needs a few.
vi.mock("lru-cache", () => import("./light-lru.ts"));

// Most code runs a few times a run, too seldom to be optimised soon.
setFlagsFromString("--always-sparkplug");

/** What is not repeatable, or not fast, is replaced in all that this loads: the same scenario is the same run each time. */
export const play: typeof run = (...args) => run(...args);
