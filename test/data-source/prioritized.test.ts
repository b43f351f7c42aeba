import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Admission,
  type DataSource,
  type DataSpec,
  MiB,
  Priority,
  Urgency,
} from "../../src/data-source/data-source.ts";
import { prioritized } from "../../src/data-source/prioritized.ts";
import { Scheduler } from "../../src/data-source/scheduler.ts";
import { WindowLimits } from "../../src/data-source/window-limits.ts";
import { windowing } from "../../src/data-source/windowing.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { ManualClock, never, readAll, realHttp, resolved, specOf } from "./fakes.ts";
import { MEASURED } from "../helpers/measured.ts";

let up: Upstream;
let raw: ReturnType<typeof realHttp>;
let scheduler: Scheduler;
let source: DataSource;
beforeEach(async () => {
  up = await startUpstream();
  for (const name of ["a", "b"]) up.resource(name, { size: 2 * MiB });
  raw = realHttp();
  scheduler = new Scheduler();
  const windows = windowing(raw.source, { limits: new WindowLimits(new ManualClock()) });
  source = prioritized(
    { open: (spec, options) => resolved(windows, () => ({ url: up.url(spec.id) })).open(spec, options) },
    { scheduler },
  );
});
afterEach(async () => {
  await raw.close();
  await up.close();
});

const idle = () => eventually(() => expect(scheduler.counts).toEqual({ active: 0, waiting: 0 }));
const open = (id: string, more: Partial<DataSpec> = {}, signal = never) =>
  source.open(specOf({ id, ...more }), { signal });

describe("giving way", () => {
  test(
    "S3: prefetch ends within 100 ms when playback comes, and goes on at the next byte after it",
    MEASURED,
    async () => {
      up.script("a", [{ do: { pace: 4_000_000 } }]);
      const prefetch = open("a", { urgency: new Urgency(Priority.body) }).then(readAll);
      await eventually(() => expect(up.bytesSent("a")).toBeGreaterThan(100_000));
      up.script("b", [{ do: { pace: 10_000_000 } }]);
      const playback = open("b").then(readAll);
      await eventually(() => expect(up.live("a")).toBe(0), { timeoutMs: 100 });
      const meanwhile = up.requests("a").length;
      assertBytes(await playback, up.bytes("b"));
      expect(up.requests("a")).toHaveLength(meanwhile);
      assertBytes(await prefetch, up.bytes("a"));
      expect(up.bytesSent("a") - up.uniqueBytes("a")).toBeLessThan(300_000);
      await idle();
    },
  );

  test("a request that nobody reads from gives its place back all the same", async () => {
    const opened = await open("a", { urgency: new Urgency(Priority.body) });
    assertBytes(await open("b").then(readAll), up.bytes("b"));
    assertBytes(await readAll(opened), up.bytes("a"));
    await idle();
  });

  test("promoted in time, it does not", async () => {
    up.script("a", [{ do: { pace: 8_000_000 } }]);
    const urgency = new Urgency(Priority.body);
    const prefetch = open("a", { urgency }).then(readAll);
    await eventually(() => expect(up.live("a")).toBe(1));
    urgency.level = Priority.playback;
    await open("b").then(readAll);
    assertBytes(await prefetch, up.bytes("a"));
    await up.waitIdle();
    expect(up.requests("a").every(({ outcome }) => outcome === "completed")).toBe(true);
  });
});

describe("places", () => {
  test("come back on every way out", async () => {
    const abort = new AbortController();
    up.script("a", [{ when: { request: 1 }, do: { status: 500 } }, { do: { stall: 100_000 } }]);
    await expect(open("a")).rejects.toMatchObject({ code: "transient" });
    await idle();
    const never1 = await open("a");
    await never1[Symbol.asyncDispose]();
    await idle();
    const left = await open("a");
    for await (const _ of left.body) break;
    await left[Symbol.asyncDispose]();
    await idle();
    const aborted = await open("a", {}, abort.signal);
    abort.abort();
    await idle();
    await aborted[Symbol.asyncDispose]();
    const holders = [await open("a"), await open("a")];
    const abortWaiting = new AbortController();
    const waiting = open("a", {}, abortWaiting.signal);
    await eventually(() => expect(scheduler.counts.waiting).toBe(1));
    abortWaiting.abort(new Error("left"));
    await expect(waiting).rejects.toThrow("left");
    for (const holder of holders) await holder[Symbol.asyncDispose]();
    await idle();
  });

  test("are not asked for where nothing is wanted any more; a demand is released even if no place comes", async () => {
    const released: boolean[] = [];
    const release = (cut: boolean): void => void released.push(cut);
    const nothing = await open("a", { admit: async ({ start }): Promise<Admission> => ({ end: start, release }) });
    expect((await readAll(nothing)).length).toBe(0);
    const holders = [await open("a"), await open("a")];
    const abort = new AbortController();
    const waiting = open("a", { admit: async () => ({ release }) }, abort.signal);
    await eventually(() => expect(scheduler.counts.waiting).toBe(1));
    abort.abort(new Error("left"));
    await expect(waiting).rejects.toThrow("left");
    expect(released).toEqual([false, false]);
    expect(up.requests("a")).toHaveLength(2);
    for (const holder of holders) await holder[Symbol.asyncDispose]();
  });
});
