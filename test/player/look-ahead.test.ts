import { expect, test } from "vitest";
import type { TrackKey } from "../../src/data-source/data-source.ts";
import { DailyBudget } from "../../src/player/daily-budget.ts";
import { LookAhead, type LookAheadOptions } from "../../src/player/look-ahead.ts";
import { proxyPrefetch } from "../../src/player/proxy-prefetch.ts";
import { Playback } from "../../src/player/playback.ts";
import { Reachability } from "../../src/player/reachability.ts";
import { ManualClock, settle } from "../data-source/fakes.ts";
import { FakeDriver } from "./fake-driver.ts";

const tracks = (...ids: string[]) => ids.map((id) => ({ source: "s", id }));

async function world(ids: string, options: Partial<LookAheadOptions> = {}) {
  const driver = new FakeDriver();
  const clock = new ManualClock();
  const outcome = { outcome: "failed", status: 503, code: "offline", retryAfterMs: 5000 } as const;
  const playback = new Playback({
    driver,
    clock,
    random: () => 0.999,
    urlFor: ({ id }) => `http://proxy/${id}`,
    outcomeOf: () => outcome,
  });
  playback.add(tracks(...ids.split("")));
  const lists: string[] = [];
  const note = (list: readonly TrackKey[]): void => void lists.push(list.map(({ id }) => id).join(""));
  const ahead = new LookAhead(playback, { prefetch: note, clock, ...options });
  await settle();
  return { playback, driver, clock, lists, ahead };
}

test("wishes for the next three in play order, once something plays, and for none at its end", async () => {
  const { playback, driver, clock, lists, ahead } = await world("abcde");
  expect(lists).toEqual([]);
  playback.play();
  await clock.advance(200);
  driver.begin();
  for (let second = 0; second < 5; second += 1) {
    driver.at(second * 1000);
    await clock.advance(1000);
  }
  expect(lists).toEqual(["bcd"]);
  driver.end();
  await clock.advance(500);
  playback.setRepeat("all");
  await clock.advance(500);
  playback.setShuffle(true);
  await clock.advance(500);
  const shuffled = playback.queue.upcoming(3).map(({ id }) => id);
  expect(lists).toEqual(["bcd", "cde", shuffled.join("")]);
  await ahead.close();
  expect(lists.at(-1)).toBe("");
});

test("wishes once more for the same when it is told to", async () => {
  const { playback, clock, lists, ahead } = await world("abc");
  playback.play();
  await clock.advance(500);
  ahead.renew();
  await settle();
  expect(lists).toEqual(["bc", "bc"]);
});

test("a source that was found away is taken for away for 15 s, or until something of it comes", () => {
  const clock = new ManualClock();
  const reachability = new Reachability(clock);
  const after = (code: string | undefined): boolean => {
    reachability.note(code);
    return reachability.isOffline();
  };
  expect(["not-found", "offline", undefined, "unreachable", "unplayable"].map(after)).toEqual([
    ...[false, true, false, true, true],
  ]);
  clock.holdUp(14_999);
  expect(reachability.isOffline()).toBe(true);
  clock.holdUp(1);
  expect(reachability.isOffline()).toBe(false);
});

test("a track that is there twice is wished for once, and one that plays not at all", async () => {
  const { playback, clock, lists } = await world("abaab");
  playback.play();
  await clock.advance(500);
  expect(lists).toEqual(["b"]);
});

test("what changes often is told at once, and when it is quiet", async () => {
  const { playback, clock, lists } = await world("abcdefghijklmnop");
  playback.play();
  await settle();
  await clock.advance(500);
  for (let skip = 0; skip < 10; skip += 1) {
    playback.next();
    await settle();
    await clock.advance(50);
  }
  await clock.advance(1000);
  expect(lists).toEqual(["bcd", "cde", "lmn"]);
});

test("none while offline, or while playback waits for its source", async () => {
  let offline = false;
  const { playback, driver, clock, lists } = await world("abcde", { isOffline: () => offline });
  playback.play();
  await clock.advance(500);
  driver.fail();
  await settle();
  await clock.advance(1000);
  expect(lists).toEqual(["bcd", ""]);
  await clock.advance(5000);
  expect(playback.state.status).toBe("loading");
  await clock.advance(1000);
  expect(lists).toEqual(["bcd", ""]);
  driver.begin();
  await clock.advance(500);
  offline = true;
  await clock.advance(5000);
  offline = false;
  await clock.advance(5000);
  expect(lists).toEqual(["bcd", "", "bcd", "", "bcd"]);
});

test("a proxy in this process is told the new list before the old one ends", () => {
  const calls: string[] = [];
  const prefetch = proxyPrefetch({
    prefetch: (ids, { source, signal } = {}) =>
      new Promise((_, reject) => {
        calls.push(`${source} ${ids.join("")}`);
        signal?.addEventListener("abort", () => {
          calls.push(`${source} ${ids.join("")} ends`);
          reject(new Error("aborted"));
        });
      }),
  });
  prefetch([...tracks("a", "b"), { source: "r", id: "c" }]);
  prefetch(tracks("b"));
  prefetch([]);
  expect(calls).toEqual(["s ab", "r c", "s b", "s ab ends", "r c ends", "s b ends"]);
});

test("a list that is not taken is tried again after a while", async () => {
  let fails = 2;
  const taken: string[] = [];
  const { playback, clock } = await world("abcde", {
    prefetch: async (list) => {
      if ((fails -= 1) >= 0) throw new Error("refused");
      taken.push(list.map(({ id }) => id).join(""));
    },
  });
  playback.play();
  await clock.advance(4000);
  expect(taken).toEqual([]);
  await clock.advance(7000);
  expect(taken).toEqual(["bcd"]);
});

test("a cap a day: beyond it nothing is wished for, until the next day", async () => {
  const cached = new Map<string, number>([["b", 1000]]);
  const clock = new ManualClock();
  const daily = new DailyBudget(5000, clock);
  const made = await world("abcde", { clock, budget: { daily, cachedBytes: ({ id }) => cached.get(id) ?? 0 } });
  made.playback.play();
  await clock.advance(1000);
  // What was there before is not spent, nor is what is given up.
  cached.set("b", 4000);
  await clock.advance(5000);
  expect(daily.toJSON().bytes).toBe(3000);
  cached.set("c", 2500);
  await clock.advance(6000);
  expect(daily.toJSON().bytes).toBe(5500);
  expect(made.lists).toEqual(["bcd", ""]);
  clock.jump(24 * 3600 * 1000);
  await clock.advance(6000);
  expect(made.lists).toEqual(["bcd", "", "bcd"]);
  expect(daily.toJSON().bytes).toBe(0);
});

test("what was spent is remembered for its day only", () => {
  const clock = new ManualClock();
  const spent = new DailyBudget(100, clock);
  spent.spend(100);
  expect(new DailyBudget(100, clock, spent.toJSON()).isSpent).toBe(true);
  expect(new DailyBudget(100, clock, { ...spent.toJSON(), day: "2001-01-01" }).isSpent).toBe(false);
});
