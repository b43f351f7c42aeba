import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LiveVariant } from "../../src/cache/live-variant.ts";
import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import type { VariantReader } from "../../src/cache/variant-reader.ts";
import { CHUNK_SIZE, KiB, MiB, Priority, type ResolvedSpec } from "../../src/data-source/data-source.ts";
import { resolving } from "../../src/data-source/resolving.ts";
import { MemoryUriCache } from "../../src/data-source/uri-cache.ts";
import { WindowLimits } from "../../src/data-source/window-limits.ts";
import { windowing } from "../../src/data-source/windowing.ts";
import { AfterbayError } from "../../src/errors.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";
import { answer, fakeSource, ManualClock, settle } from "../data-source/fakes.ts";

const SIZE = 24 * MiB;
const HOUR = 3_600_000;
const bytes = bytesOf(1, "song", 1, 0, SIZE);
const gone = new AbortController();

let clock: ManualClock;
let resolves: { readonly reason: string; readonly at: number }[];
/** How long the resolver takes, and its URLs live. */
let takesMs: number;
let livesMs: number;
let broken: boolean;
let upstream: ReturnType<typeof fakeSource<ResolvedSpec>>;
let variant: LiveVariant;
beforeEach(async () => {
  clock = new ManualClock();
  resolves = [];
  takesMs = 0;
  livesMs = 6 * HOUR;
  broken = false;
  upstream = fakeSource<ResolvedSpec>(({ position, end = SIZE, resolution }) => {
    if ((resolution.expiresAt ?? 0) <= clock.wall()) throw new AfterbayError("url-refused", "Expired", { status: 403 });
    const chunks: Uint8Array[] = [];
    for (let at = position; at < end; at += 64 * KiB) chunks.push(bytes.subarray(at, Math.min(end, at + 64 * KiB)));
    return answer(chunks, { start: position, size: SIZE, variant: "v", resolution });
  });
  const source = resolving(windowing(upstream, { limits: new WindowLimits(clock) }), {
    clock,
    uriCache: new MemoryUriCache(clock),
    validate: validateResolution,
    resolver: {
      async resolve(_id, { reason }) {
        resolves.push({ reason, at: clock.now() });
        const n = resolves.length;
        await new Promise<void>((done) => (takesMs === 0 ? done() : void clock.after(takesMs, done)));
        if (broken) throw new Error("broken");
        return { url: `http://media.example.com/${n}`, variant: "v", expiresAt: clock.wall() + livesMs };
      },
    },
  });
  const name = { source: "s", id: "song", variant: "v" };
  variant = new LiveVariant({
    name,
    stem: "stem",
    stored: await new MemoryChunkStore().open(name),
    facts: { upstreamName: "v", resolverVariant: "v", size: SIZE, contentType: "audio/flac" },
    upstream: source,
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

/** Stores the track up to `end`, as if it had been heard long ago. */
async function cacheUpTo(end: number): Promise<void> {
  for (let at = 0; at < end; at += CHUNK_SIZE) {
    await variant.stored.writeChunk(at / CHUNK_SIZE, 0, bytes.subarray(at, Math.min(end, at + CHUNK_SIZE)));
  }
}

const play = (start = 0, end = SIZE, more: Partial<Parameters<LiveVariant["read"]>[0]> = {}): VariantReader =>
  variant.read({ start, end, level: Priority.playback, signal: gone.signal, ...more });

/** Takes `count` bytes, `ms` apart for every 64 KiB; the longest that it waited for some, ms. */
async function hear(reader: VariantReader, count: number, ms: number): Promise<number> {
  let longest = 0;
  for (const until = reader.position + count; reader.position < until; ) {
    const from = reader.position;
    const asked = clock.now();
    const state = { waits: true };
    const next = reader.next().finally(() => {
      state.waits = false;
    });
    await settle();
    while (state.waits) await clock.advance(100);
    const { value } = await next;
    assertBytes(value as Uint8Array, bytes.subarray(from, reader.position));
    longest = Math.max(longest, clock.now() - asked);
    await clock.advance(ms);
  }
  return longest;
}

/** 64 KiB a second is what a lossless track takes. */
const PACE = 1000;

describe("while bytes come from disk", () => {
  test("the URL of the next hole is asked for once, and nobody waits at its end", async () => {
    await cacheUpTo(2 * MiB);
    takesMs = 15_000;
    const reader = play();
    expect(await hear(reader, 3 * MiB, PACE)).toBe(0);
    expect(resolves).toHaveLength(1);
    expect(upstream.asked[0]?.position).toBe(2 * MiB);
    reader.close();
  });

  test("a reader that gets there sooner waits for the rest of that call only", async () => {
    await cacheUpTo(512 * KiB);
    takesMs = 15_000;
    const reader = play();
    expect(await hear(reader, MiB, PACE)).toBeLessThan(10_000);
    expect(resolves).toHaveLength(1);
    reader.close();
  });

  test("not for probes: thirty heads read at once, or opened and left", async () => {
    await cacheUpTo(512 * KiB);
    for (let n = 0; n < 30; n += 1) {
      const reader = play();
      await hear(reader, 256 * KiB, 0);
      reader.close();
      play().close();
    }
    // Nor for those that are kept open and not read on.
    const paused = play();
    await hear(paused, 256 * KiB, 0);
    await clock.advance(HOUR);
    expect(resolves).toEqual([]);
    await hear(paused, 64 * KiB, 0);
    expect(resolves).toHaveLength(1);
    paused.close();
  });

  test("not where all is stored, by ?offline=1, for prefetch, or where what is asked for ends before the hole", async () => {
    await cacheUpTo(2 * MiB);
    const readers = [
      play(0, SIZE, { offline: true }),
      play(0, SIZE, { level: Priority.head }),
      play(0, SIZE, { level: Priority.body }),
      play(0, 2 * MiB),
    ];
    for (const reader of readers) {
      await hear(reader, MiB, PACE);
      reader.close();
    }
    await cacheUpTo(SIZE);
    const whole = play();
    await hear(whole, 2 * MiB, PACE);
    whole.close();
    expect(resolves).toEqual([]);
  });

  test("not while the hole is far: the URL might be over by then", async () => {
    await cacheUpTo(20 * MiB);
    const reader = play(14 * MiB);
    await hear(reader, 2 * MiB - 64 * KiB, PACE);
    expect(resolves).toEqual([]);
    await hear(reader, 128 * KiB, PACE);
    expect(resolves).toHaveLength(1);
    reader.close();
  });

  test("a resolver that fails then is asked once more, by the need itself", async () => {
    await cacheUpTo(2 * MiB);
    broken = true;
    const reader = play();
    await hear(reader, 2 * MiB, PACE);
    expect(resolves).toHaveLength(1);
    broken = false;
    await hear(reader, MiB, PACE);
    expect(resolves).toHaveLength(2);
    reader.close();
  });
});

describe("while it plays", () => {
  test("a URL is renewed before its life ends, and no reader waits for it, though the resolver takes 15 s", async () => {
    takesMs = 15_000;
    livesMs = 120_000;
    const reader = play();
    await hear(reader, 64 * KiB, 0);
    // A quarter of an hour of music, at six lives of a URL.
    expect(await hear(reader, 16 * MiB, 3000)).toBe(0);
    expect(resolves.map(({ reason }) => reason)).toEqual(["first", ...Array.from({ length: 5 }, () => "expired")]);
    reader.close();
  });

  test("nothing is renewed for a player that paused; the first need after hours is asked of a fresh URL", async () => {
    const reader = play();
    await hear(reader, 512 * KiB, PACE);
    const before = upstream.asked.length;
    await clock.advance(7 * HOUR);
    expect(resolves).toHaveLength(1);
    await hear(reader, 8 * MiB, PACE);
    expect(resolves.map(({ reason }) => reason)).toEqual(["first", "expired"]);
    const later = upstream.asked.slice(before).map(({ resolution }) => resolution.url);
    expect(new Set(later)).toEqual(new Set(["http://media.example.com/2"]));
    reader.close();
  });

  test("after a sleep of the machine, in which its monotonic clock stood still, the first need is, too", async () => {
    const reader = play();
    await hear(reader, 512 * KiB, PACE);
    const before = upstream.asked.length;
    clock.jump(7 * HOUR);
    await hear(reader, 8 * MiB, PACE);
    expect(resolves.map(({ reason }) => reason)).toEqual(["first", "expired"]);
    expect(upstream.asked.slice(before).every(({ resolution }) => resolution.url.endsWith("/2"))).toBe(true);
    reader.close();
  });
});
