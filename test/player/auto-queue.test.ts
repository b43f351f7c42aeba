import { expect, test } from "vitest";
import { deferred } from "../../src/data-source/aborting.ts";
import type { TrackKey } from "../../src/data-source/data-source.ts";
import { AutoQueue, type AutoQueueOptions } from "../../src/player/auto-queue.ts";
import { Playback } from "../../src/player/playback.ts";
import { ManualClock, settle } from "../data-source/fakes.ts";
import { FakeDriver } from "./fake-driver.ts";

const tracks = (ids: string): TrackKey[] => ids.split("").map((id) => ({ source: "s", id }));

/** A playback of these tracks, and what is said to be similar to each. */
async function world(
  ids: string,
  alike: Readonly<Record<string, string | Error>>,
  options: Partial<AutoQueueOptions> = {},
) {
  const driver = new FakeDriver();
  const clock = new ManualClock();
  const playback = new Playback({
    driver,
    clock,
    random: () => 0.999,
    urlFor: ({ id }) => `http://proxy/${id}`,
    outcomeOf: () => undefined,
  });
  const asked: string[] = [];
  const similar = async ({ id }: TrackKey): Promise<TrackKey[]> => {
    asked.push(id);
    const found = alike[id] ?? "";
    if (found instanceof Error) throw found;
    return tracks(found);
  };
  const auto = new AutoQueue(playback, { similar, enabled: true, clock, ...options });
  playback.add(tracks(ids));
  await settle();
  return { playback, driver, clock, asked, auto, queue: () => playback.queue.entries.map(({ id }) => id).join("") };
}

/** The track that was loaded plays, to its end. */
async function played({ driver }: { driver: FakeDriver }): Promise<void> {
  driver.begin();
  driver.end();
  await settle();
}

test("adds what is similar to the last track when the end is near, and nothing that is there already", async () => {
  const it = await world("abcd", { d: "axdyxz", c: "no" });
  expect(it.asked).toEqual([]);
  it.playback.play();
  await settle();
  it.driver.begin();
  await settle();
  expect(it.asked).toEqual([]);
  it.playback.next();
  await it.clock.advance(500);
  expect([it.asked, it.queue()]).toEqual([[], "abcd"]);
  it.playback.next();
  await it.clock.advance(500);
  expect([it.asked, it.queue()]).toEqual([["d"], "abcdxyz"]);
});

test("goes on by the last of what it added, ten at a time", async () => {
  const it = await world("a", { a: "bcdefghijklmnop", k: "lmno" });
  it.playback.play();
  await settle();
  expect(it.queue()).toBe("abcdefghijk");
  it.playback.jump(it.playback.queue.entries.at(-2)?.entry ?? 0);
  await it.clock.advance(500);
  expect([it.asked, it.queue()]).toEqual([["a", "k"], "abcdefghijklmno"]);
});

test("asks about the current track where the last one's source does not know, and each once a minute", async () => {
  const it = await world("ab", { b: new Error("it knows none"), a: "" });
  it.playback.play();
  await settle();
  it.driver.begin();
  for (let second = 0; second < 50; second += 1) {
    it.driver.at(second * 1000);
    await it.clock.advance(1000);
  }
  expect([it.asked, it.queue()]).toEqual([["b", "a"], "ab"]);
  for (let second = 50; second < 62; second += 1) {
    it.driver.at(second * 1000);
    await it.clock.advance(1000);
  }
  expect(it.asked).toEqual(["b", "a", "b", "a"]);
});

test("does nothing while it is off, nothing plays, or something repeats", async () => {
  const it = await world("ab", { b: "x" }, { enabled: false });
  it.playback.play();
  await settle();
  it.playback.setRepeat("all");
  it.auto.enabled = true;
  await settle();
  it.playback.stop();
  it.playback.setRepeat("off");
  await settle();
  expect([it.asked, it.auto.enabled]).toEqual([[], true]);
  it.playback.play();
  await settle();
  expect(it.queue()).toBe("abx");
  it.auto.close();
  it.playback.next();
  await it.clock.advance(500);
  expect(it.asked).toEqual(["b"]);
});

test("plays on where the queue had come to its end before the answer, unless the listener stopped it", async () => {
  for (const stops of [false, true]) {
    const answer = deferred<TrackKey[]>();
    const it = await world("a", {}, { similar: () => answer.promise });
    it.playback.play();
    await settle();
    await played(it);
    expect(it.playback.state.status).toBe("ended");
    if (stops) it.playback.stop();
    answer.resolve(tracks("b"));
    await settle();
    await it.clock.advance(500);
    expect([it.queue(), it.playback.state.status]).toEqual(stops ? ["a", "stopped"] : ["ab", "loading"]);
    expect(it.playback.queue.current?.id).toBe(stops ? "a" : "b");
  }
});

test("an answer that comes when it is off is not taken, and its request is ended", async () => {
  let signal: AbortSignal | undefined;
  const answer = deferred<TrackKey[]>();
  const it = await world(
    "a",
    {},
    {
      similar(_track, until) {
        signal = until;
        return answer.promise;
      },
    },
  );
  it.playback.play();
  await settle();
  it.auto.enabled = false;
  expect(signal?.aborted).toBe(true);
  answer.resolve(tracks("b"));
  await settle();
  expect(it.queue()).toBe("a");
});

test("with shuffle, what is added comes behind what plays", async () => {
  const it = await world("abc", { a: "x", b: "x", c: "x" });
  it.playback.setShuffle(true);
  it.playback.play();
  await settle();
  it.playback.next();
  await it.clock.advance(500);
  expect(it.queue().slice(0, 2)).not.toContain("x");
  expect(it.queue()).toHaveLength(4);
});
