import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LiveVariant } from "../../src/cache/live-variant.ts";
import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import type { VariantReader } from "../../src/cache/variant-reader.ts";
import { abortable, deferred } from "../../src/data-source/aborting.ts";
import { KiB, MiB, Priority, type ResolvedSpec } from "../../src/data-source/data-source.ts";
import type { WindowTrace } from "../../src/data-source/trace.ts";
import { WindowLimits } from "../../src/data-source/window-limits.ts";
import { windowing } from "../../src/data-source/windowing.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";
import { answer, fakeSource, ManualClock, resolved, settle } from "../data-source/fakes.ts";

const SIZE = 4 * MiB;
const bytes = bytesOf(1, "song", 1, 0, SIZE);

let clock: ManualClock;
/** False: requests wait for their turn, and nothing is sent. */
let asks: boolean;
/** The upstream answers once this is resolved. */
let gate: ReturnType<typeof deferred<void>>;
let upstream: ReturnType<typeof fakeSource<ResolvedSpec>>;
let aborts: number;
let variant: LiveVariant;
beforeEach(async () => {
  clock = new ManualClock();
  asks = true;
  gate = deferred();
  aborts = 0;
  upstream = fakeSource<ResolvedSpec>(async ({ position, end = SIZE, resolution, need }, _count, signal) => {
    const told = asks
      ? need.tell<WindowTrace>({ event: "window", url: "", start: position, end, bytes: 0 })
      : undefined;
    signal.addEventListener("abort", () => (aborts += 1));
    await abortable(gate.promise, signal);
    if (told !== undefined) told.firstByteMs = 1;
    const chunks: Uint8Array[] = [];
    for (let at = position; at < end; at += 64 * KiB) chunks.push(bytes.subarray(at, Math.min(end, at + 64 * KiB)));
    return answer(chunks, { start: position, size: SIZE, variant: "v", resolution });
  });
  const name = { source: "s", id: "song", variant: "v" };
  variant = new LiveVariant({
    name,
    stem: "stem",
    stored: await new MemoryChunkStore().open(name),
    facts: { upstreamName: "v", resolverVariant: "v", size: SIZE, contentType: "audio/flac" },
    upstream: resolved(windowing(upstream, { limits: new WindowLimits(clock) }), () => ({
      url: "http://media.example.com/song",
      variant: "v",
    })),
    dataSaver: false,
    hooks: {
      now: () => clock.now(),
      after: (ms, act) => clock.after(ms, act),
      isStoring: () => true,
      onStored() {},
      onStorageError(error) {
        throw error;
      },
      onLost() {},
      onChanged() {},
      onDescribed() {},
      onIdle() {},
    },
  });
});
afterEach(() => variant.stop(new DOMException("The test is over", "AbortError")));

const prefetch = (level: Priority): VariantReader =>
  variant.read({ start: 0, end: SIZE, level, signal: new AbortController().signal });

async function readOn(reader: VariantReader): Promise<void> {
  while (!(await reader.next()).done) await settle();
}

/** A wish list wants the track, and lets go of it when its first window has begun. */
async function wishAndLetGo(): Promise<void> {
  const reader = prefetch(Priority.body);
  const first = reader.next().catch(() => {});
  await settle();
  expect(upstream.asked).toHaveLength(1);
  reader.close();
  await first;
}

describe("what a wish list wants", () => {
  test("is asked for chunk by chunk", async () => {
    gate.resolve();
    await readOn(prefetch(Priority.body));
    expect(upstream.asked.map(({ position, end = SIZE }) => (end - position) / KiB)).toEqual(Array(8).fill(512));
  });

  test("where it is pinned, is asked for in windows that grow", async () => {
    gate.resolve();
    await readOn(prefetch(Priority.background));
    expect(upstream.asked.map(({ position, end = SIZE }) => (end - position) / KiB)).toEqual([512, 1024, 2048, 512]);
  });
});

describe("what a wish list lets go of", () => {
  test("is finished where the upstream was asked and answers soon: it would be sent again", async () => {
    await wishAndLetGo();
    await clock.advance(150);
    gate.resolve();
    await settle();
    await clock.advance(300);
    expect({ aborts, stored: variant.stored.bytes, asked: upstream.asked.length }).toEqual({
      aborts: 0,
      stored: 512 * KiB,
      asked: 1,
    });
    expect(variant.busy).toBe(false);
  });

  test("is cut where nothing has come after 200 ms", async () => {
    await wishAndLetGo();
    await clock.advance(190);
    expect(aborts).toBe(0);
    await clock.advance(20);
    expect(aborts).toBe(1);
  });

  test("is not waited for before the upstream is asked", async () => {
    asks = false;
    await wishAndLetGo();
    await clock.advance(50);
    expect(aborts).toBe(1);
  });
});
