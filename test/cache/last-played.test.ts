import { afterEach, beforeEach, expect, test } from "vitest";
import { Priority } from "../../src/data-source/data-source.ts";
import { eventually } from "../helpers/process.ts";
import { CacheWorld, keyOf } from "./world.ts";

const MiB = 1024 ** 2;
const DAY = 24 * 3_600_000;

let world: CacheWorld;
beforeEach(async () => {
  world = await CacheWorld.start();
  for (const id of ["a", "b"]) world.song(id, MiB);
});
afterEach(() => world.close());

const playedAt = (id: string): number => Math.round(world.cache.find(keyOf(id))?.playedAt ?? 0);
const daysLater = async (days = 1): Promise<void> => {
  await world.idle();
  world.clock.hurry(days * DAY);
};

test("playing moves it, to the moment when the playing ended, also after a restart", async () => {
  await world.play("a");
  await daysLater();
  const first = playedAt("a");
  await world.idle();
  expect(playedAt("a")).toBe(first);
  await world.play("a", { start: 100, end: 200 });
  const ended = world.clock.wall();
  await world.idle();
  expect(Math.abs(playedAt("a") - ended)).toBeLessThan(1000);
  const last = playedAt("a");
  await world.restart();
  expect(playedAt("a")).toBe(last);
});

test("fetching ahead, completing, checking and repairing do not", async () => {
  await world.play("a", { end: 600_000 });
  await daysLater();
  const before = playedAt("a");
  for (const level of [Priority.head, Priority.body, Priority.background]) {
    await world.play("a", { level });
    await world.cache.verify(keyOf("a"));
    await daysLater();
  }
  expect(world.cache.find(keyOf("a"))).toMatchObject({ complete: true });
  expect(playedAt("a")).toBe(before);
  await world.restart();
  expect(playedAt("a")).toBe(before);
});

test("one that was never played counts from when it came, and is told as never played", async () => {
  await world.play("a", { level: Priority.body });
  await world.import("c", MiB);
  const came = [playedAt("a"), playedAt("c")];
  for (const at of came) expect(Math.abs(at - world.clock.wall())).toBeLessThan(1000);
  await daysLater();
  expect([playedAt("a"), playedAt("c")]).toEqual(came);
  expect(["a", "c"].map((id) => world.cache.find(keyOf(id))?.played)).toEqual([false, false]);
  await world.restart();
  expect(world.cache.find(keyOf("a"))?.played).toBe(false);
  await world.play("a");
  await world.play("b");
  await world.idle();
  expect(["a", "b", "c"].map((id) => world.cache.find(keyOf(id))?.played)).toEqual([true, true, false]);
});

test("what is fetched ahead of a player that comes later has its time", async () => {
  await Promise.all([world.play("a", { level: Priority.body }), world.play("a")]);
  await daysLater();
  await Promise.all([world.play("a"), world.play("a", { level: Priority.body })]);
  const now = world.clock.wall();
  await world.idle();
  expect(Math.abs(playedAt("a") - now)).toBeLessThan(1000);
});

test("a stop notes what was playing", async () => {
  await world.play("a");
  await daysLater();
  const controller = new AbortController();
  let pulled = 0;
  const playing = world.play("a", {
    signal: controller.signal,
    pace: async () => {
      pulled += 1;
      await new Promise<void>((resolve) => controller.signal.addEventListener("abort", () => resolve()));
    },
  });
  await eventually(() => expect(pulled).toBe(1));
  world.clock.hurry(3_600_000);
  const stopped = world.clock.wall();
  await world.restart();
  controller.abort();
  await playing.catch(() => {});
  expect(Math.abs(playedAt("a") - stopped)).toBeLessThan(1000);
});

test("eviction goes by it", async () => {
  await world.play("a");
  await daysLater();
  await world.play("b");
  await daysLater();
  await world.play("a", { level: Priority.head });
  await world.cache.verify(keyOf("a"));
  await daysLater();
  const { victims } = await world.cache.evictTo(1.5 * MiB, { dryRun: true });
  expect(victims.map(({ id }) => id)).toEqual(["a"]);
});
