import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CacheWorld, keyOf } from "./world.ts";

const KiB = 1024;
const cover = randomBytes(50 * KiB);
let world: CacheWorld;
beforeEach(async () => {
  world = await CacheWorld.start();
  world.song("a", 300 * KiB);
});
afterEach(() => world.close());

const kept = async (id = "a"): Promise<Buffer | undefined> => {
  const bytes = await world.cache.artwork(keyOf(id));
  return bytes === undefined ? undefined : Buffer.from(bytes);
};

async function covers(): Promise<string[]> {
  const names = await readdir(join(world.dir.path), { recursive: true });
  return names.filter((name) => /\.art/.test(name));
}

test("a cover stays with its track, also after a restart, and goes with it", async () => {
  await world.play("a");
  await world.idle();
  expect(await world.cache.keepArtwork(keyOf("a"), cover)).toBe(true);
  expect(await kept()).toEqual(cover);
  await world.agree();
  await world.restart();
  expect(await kept()).toEqual(cover);
  await world.agree();
  await world.cache.delete(keyOf("a"));
  expect(await kept()).toBeUndefined();
  expect(await covers()).toEqual([]);
  await world.agree();
});

test("nothing is kept of a track of which nothing is stored, or that goes meanwhile", async () => {
  expect(await world.cache.keepArtwork(keyOf("a"), cover)).toBe(false);
  await world.play("a");
  const keeping = world.cache.keepArtwork(keyOf("a"), cover);
  await world.idle();
  await Promise.all([keeping, world.cache.delete(keyOf("a"))]);
  expect(await covers()).toEqual([]);
});

test("a cover counts for the budget, and is evicted with its track", async () => {
  await world.play("a");
  await world.idle();
  const before = await world.cache.measureDisk();
  await world.cache.keepArtwork(keyOf("a"), cover);
  expect(await world.cache.measureDisk()).toBeGreaterThanOrEqual(before + cover.length);
  await world.restart();
  const { victims } = await world.cache.evictTo(0, { dryRun: false });
  expect(victims[0]?.bytes).toBeGreaterThan(350 * KiB);
  expect(await covers()).toEqual([]);
});

test("a cover that does not hold is none, and what was half written is tidied up", async () => {
  await world.play("a");
  await world.idle();
  await world.cache.keepArtwork(keyOf("a"), cover);
  const path = `${world.pathOf("a")}.art`;
  const bytes = await readFile(path);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(path, bytes);
  expect(await kept()).toBeUndefined();
  await writeFile(`${path}.new`, "half");
  await world.restart();
  await world.cache.evictTo(1024 ** 3, { dryRun: true });
  expect(existsSync(`${path}.new`)).toBe(false);
  await unlink(`${world.pathOf("a")}.map`);
  await unlink(`${world.pathOf("a")}.data`);
  await world.restart();
  await world.cache.evictTo(1024 ** 3, { dryRun: true });
  expect(await covers()).toEqual([]);
});

test("a cover is handed on when the version goes that it was kept with", async () => {
  world.song("a", 2000 * KiB);
  await world.play("a", { end: 200 * KiB });
  await world.idle();
  await world.cache.keepArtwork(keyOf("a"), cover);
  world.song("a", 100 * KiB, "2");
  await world.play("a").catch(() => {});
  await world.play("a");
  await world.idle();
  const parked = await world.cache.measureDisk();
  await world.cache.evictTo(parked - 1, { dryRun: false });
  expect(await world.cache.measureDisk()).toBeLessThan(parked);
  expect(world.cache.find(keyOf("a"))?.complete).toBe(true);
  expect(await kept()).toEqual(cover);
  expect(await covers()).toHaveLength(1);
  await world.agree();
});
