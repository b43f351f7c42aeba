import { beforeEach, describe, expect, test } from "vitest";
import { MemoryUriCache } from "../../src/data-source/uri-cache.ts";
import { ManualClock } from "./fakes.ts";

const HOUR = 3_600_000;
const url = "https://media.example.com/a?sig=1";
let clock: ManualClock;
let cache: MemoryUriCache;
beforeEach(() => {
  clock = new ManualClock();
  cache = new MemoryUriCache(clock);
});

/** Ms that a resolution which lives `ms` by its own word is used. */
async function lifetime(ms: number | undefined): Promise<number> {
  await cache.set("k", { url, ...(ms === undefined ? {} : { expiresAt: clock.wall() + ms }) });
  let low = 0;
  for (let step = 2 ** 25; step >= 1; step /= 2) {
    const probe = new ManualClock();
    const probed = new MemoryUriCache(probe);
    await probed.set("k", { url, ...(ms === undefined ? {} : { expiresAt: probe.wall() + ms }) });
    await probe.advance(low + step - 1);
    if ((await probed.get("k"))?.expired === false) low += step;
  }
  return low;
}

describe("the life of a URL", () => {
  test.each([
    ["without a word: 6 hours", undefined, 6 * HOUR],
    ["a day: 6 hours", 24 * HOUR, 6 * HOUR],
    ["6 hours: a minute less", 6 * HOUR, 6 * HOUR - 60_000],
    ["an hour: a minute less", HOUR, HOUR - 60_000],
    ["ten minutes: a minute less", 600_000, 540_000],
    ["one minute: a tenth less", 60_000, 54_000],
    ["one second: a tenth less", 1000, 900],
    ["none", 0, 0],
    ["over before it came", -5000, 0],
  ])("%s", async (_title, ms, expected) => {
    expect(await lifetime(ms)).toBe(expected);
  });

  test("ends by the wall clock where the machine slept: the monotonic one may have stood still", async () => {
    await cache.set("k", { url, expiresAt: clock.wall() + HOUR });
    clock.jump(HOUR);
    expect(await cache.get("k")).toMatchObject({ expired: true });
  });

  test("is not prolonged by a wall clock that jumps back: ages are never negative", async () => {
    await cache.set("k", { url, expiresAt: clock.wall() + HOUR });
    clock.jump(-48 * HOUR);
    expect(await cache.get("k")).toMatchObject({ expired: false });
    await clock.advance(HOUR);
    expect(await cache.get("k")).toMatchObject({ expired: true });
  });

  test("outlasts a wall clock that jumps forth and back; a clock that was wrong is found out at the next look", async () => {
    const kept = await cache.set("k", { url, expiresAt: clock.wall() + HOUR });
    clock.jump(24 * HOUR);
    expect([kept.expired, kept.due]).toEqual([true, true]);
    clock.jump(-24 * HOUR);
    expect([kept.expired, kept.due]).toEqual([false, false]);
    for (let turn = 0; turn < 10; turn += 1) {
      clock.jump(turn % 2 === 0 ? -5 * HOUR : 5 * HOUR);
      await clock.advance(HOUR / 20);
    }
    expect(kept.expired).toBe(false);
    await clock.advance(HOUR / 2);
    expect(kept.expired).toBe(true);
  });

  test.each([
    ["a life of 6 hours: 5 minutes before its end", undefined, 6 * HOUR, 300_000],
    ["ten minutes, of which nine are used: a fifth of those", 600_000, 540_000, 108_000],
    ["a minute, of which 54 s are used: a fifth of those", 60_000, 54_000, 10_800],
  ])("is to be renewed ahead: %s", async (_title, ms, used, lead) => {
    const kept = await cache.set("k", { url, ...(ms === undefined ? {} : { expiresAt: clock.wall() + ms }) });
    await clock.advance(used - lead - 1);
    expect([kept.due, kept.expired]).toEqual([false, false]);
    await clock.advance(1);
    expect([kept.due, kept.expired]).toEqual([true, false]);
    await clock.advance(lead - 1);
    expect(kept.expired).toBe(false);
    await clock.advance(1);
    expect(kept.expired).toBe(true);
  });

  test("ahead, too, by the wall clock where the machine slept", async () => {
    const kept = await cache.set("k", { url, expiresAt: clock.wall() + HOUR });
    clock.jump(HOUR - 61_000);
    expect([kept.due, kept.expired]).toEqual([true, false]);
  });

  test("one that is over at once replaces what was kept, and is not kept", async () => {
    await cache.set("k", { url });
    await cache.set("k", { url: `${url}2`, expiresAt: clock.wall() - 1 });
    expect(await cache.get("k")).toBeUndefined();
  });
});

test("a refused URL is forgotten, one that came later is kept", async () => {
  await cache.set("k", { url: `${url}2` });
  await cache.delete("k", url);
  expect(await cache.get("k")).toBeDefined();
  await cache.delete("k", `${url}2`);
  expect(await cache.get("k")).toBeUndefined();
});

test("holds a bounded number of them", async () => {
  const small = new MemoryUriCache(clock, { max: 2 });
  for (const key of ["a", "b", "c"]) await small.set(key, { url });
  expect(await small.get("a")).toBeUndefined();
  expect(await small.get("c")).toMatchObject({ resolution: { url }, expired: false });
});
