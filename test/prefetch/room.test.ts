import { afterEach, expect, test } from "vitest";
import type { TrackKey } from "../../src/data-source/data-source.ts";
import { Prefetcher } from "../../src/prefetch/prefetcher.ts";
import { CacheWorld, keyOf } from "../cache/world.ts";
import { eventually } from "../helpers/process.ts";

const MiB = 1024 ** 2;
let world: CacheWorld;
let prefetcher: Prefetcher;
afterEach(async () => {
  prefetcher.close();
  await world.close();
});

/** A budget for one song and a half; one was just heard, and another is pinned. */
async function crowded(): Promise<void> {
  world = await CacheWorld.start({ budget: 3 * MiB });
  world.song("heard", 2 * MiB);
  world.song("pinned", 2 * MiB);
  await world.play("heard");
  await eventually(() => expect(isWhole("heard")).toBe(true));
  world.pinned.add("pinned");
  const pinned = { has: ({ id }: TrackKey) => world.pinned.has(id), all: () => [keyOf("pinned")] };
  prefetcher = new Prefetcher({
    cache: world.cache,
    clock: world.clock,
    pinned,
    tails: { has: () => false, all: () => [] },
  });
  prefetcher.update();
  prefetcher.update();
  await eventually(() => expect(stateOf("pinned")).toMatchObject({ state: "failed", code: "no-space" }));
}

const stateOf = (id: string): object => prefetcher.stateOf(keyOf(id), "full");
const isWhole = (id: string): boolean => world.cache.find(keyOf(id))?.complete === true;

test("a pin whose room is in use is fetched once that is free", async () => {
  await crowded();
  const sent = world.sent;
  await eventually(
    () => {
      world.clock.hurry(31_000);
      expect(isWhole("pinned")).toBe(true);
    },
    { timeoutMs: 5000, intervalMs: 20 },
  );
  await eventually(() => expect(world.changes).toContain("evicted heard"));
  expect(world.sent - sent).toBeLessThanOrEqual(2 * MiB);
});

test("room that was made is taken at once", async () => {
  await crowded();
  world.cache.budget = 8 * MiB;
  prefetcher.onRoom();
  await eventually(() => expect(isWhole("pinned")).toBe(true));
  expect(isWhole("heard")).toBe(true);
});
