import { copyFile, mkdir, readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { variantPath } from "../../src/cache/variant-paths.ts";
import { eventually } from "../helpers/process.ts";
import { CacheWorld, keyOf } from "./world.ts";

const MiB = 1024 ** 2;

let world: CacheWorld;
afterEach(() => world.close());

/** Three songs, of which a part of the last. */
async function songs(): Promise<void> {
  world = await CacheWorld.start();
  for (const id of ["a", "b", "c"]) world.song(id, MiB + 100);
  await world.play("a");
  await world.play("b");
  await world.play("c", { start: 600_000, end: 700_000 });
  await world.idle();
}
const index = (): string => join(world.dir.path, "index.log");
const tracks = async (): Promise<string[]> => {
  const names = await readdir(join(world.dir.path, "tracks"), { recursive: true });
  return names.filter((name) => name.includes("/")).toSorted();
};
/** The second after which it looks around. */
const surveyed = async (): Promise<void> => {
  world.clock.hurry(1001);
  await eventually(async () => await world.agree());
};

test("songs whose index was lost are counted and can be evicted without being played", async () => {
  await songs();
  await world.agree();
  const [before, files] = [await world.cache.measureDisk(), await tracks()];
  await world.restart({}, () => unlink(index()));
  expect(world.ids).toEqual([]);
  await surveyed();
  expect(world.ids).toEqual(["a", "b", "c"]);
  expect(await tracks()).toEqual(files);
  expect(Math.abs(world.cache.diskBytes - before)).toBeLessThanOrEqual(4096);
  // Nobody asks the upstream for bytes that are there.
  world.sent = 0;
  await world.play("a");
  expect(world.sent).toBeLessThan(MiB);
  expect(world.cache.find(keyOf("a"))).toMatchObject({ complete: true, facts: { size: MiB + 100 } });
  await world.idle();
  const { victims } = await world.cache.evictTo(0, { dryRun: false });
  expect(victims.map(({ id }) => id).toSorted()).toEqual(["a", "b", "c"]);
  expect(await tracks()).toEqual([]);
});

test("a single line that was lost is enough", async () => {
  await songs();
  await world.restart({}, async () => {
    const lines = (await readFile(index(), "utf8")).split("\n");
    await writeFile(index(), lines.filter((line) => !line.includes('["s","b"]')).join("\n"));
  });
  expect(world.ids).toEqual(["a", "c"]);
  await surveyed();
  expect(world.ids).toEqual(["a", "b", "c"]);
});

test("an eviction that is asked for waits until it is known what is there", async () => {
  await songs();
  await world.restart({}, () => unlink(index()));
  const { victims } = await world.cache.evictTo(0, { dryRun: true });
  expect(victims).toHaveLength(3);
});

test("what is on disk beyond the budget, and in no index, goes", async () => {
  await songs();
  await world.restart({ budget: 1.5 * MiB }, () => unlink(index()));
  await surveyed();
  expect(world.ids.length).toBeLessThan(3);
});

test("what nothing can be made of is deleted, and what is not ours is left alone", async () => {
  await songs();
  const [a, b, c] = ["a", "b", "c"].map((id) => world.pathOf(id)) as [string, string, string];
  const stem = "0123456789abcdef0123456789abcdef";
  const strange = variantPath(world.dir.path, stem);
  const tracksDir = join(world.dir.path, "tracks");
  const foreign = [
    join(tracksDir, "notes.txt"),
    join(tracksDir, "xy", `${stem}.data`),
    // In the folder of another name.
    join(tracksDir, "ff", `${stem}.data`),
    join(dirname(a), "cover.jpg"),
    `${a}.bak`,
    join(world.dir.path, "a file of someone's"),
  ];
  await world.restart({}, async () => {
    await unlink(index());
    // Data without a map, a map without data, a map of another variant, a map of nothing, a rewriting that died.
    await unlink(`${a}.map`);
    await unlink(`${b}.data`);
    await mkdir(dirname(strange), { recursive: true });
    await copyFile(`${c}.map`, `${strange}.map`);
    await copyFile(`${c}.data`, `${strange}.data`);
    await writeFile(`${strange.slice(0, -1)}0.map`, "garbage");
    await writeFile(`${c}.map.new`, "half of a ma");
    for (const path of foreign) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, "mine");
    }
  });
  world.clock.hurry(1001);
  const left = [c].flatMap((path) => [`${path}.data`, `${path}.map`]);
  await eventually(async () =>
    expect((await tracks()).map((name) => join(tracksDir, name)).toSorted()).toEqual(
      [...left, ...foreign.filter((path) => dirname(dirname(path)) === tracksDir)].toSorted(),
    ),
  );
  expect(world.ids).toEqual(["c"]);
  for (const path of foreign) expect(await readFile(path, "utf8")).toBe("mine");
  for (const id of ["a", "b", "c"]) await world.play(id);
});

test("songs whose files are gone are forgotten", async () => {
  await songs();
  const paths = ["a", "b"].map((id) => world.pathOf(id));
  await world.restart({}, async () => {
    await unlink(`${paths[0]}.data`);
    await unlink(`${paths[1]}.map`);
  });
  expect(world.ids).toEqual(["a", "b", "c"]);
  await surveyed();
  // The accounting holds as soon as the first of them is forgotten.
  await eventually(() => expect(world.ids).toEqual(["c"]));
  await world.play("a");
});

test("what is playing is left alone while it looks around", async () => {
  await songs();
  await world.restart({}, () => unlink(index()));
  let surveys = 0;
  await world.play("a", {
    pace: async () => {
      if (surveys === 0) await world.cache.evictTo(Number.MAX_SAFE_INTEGER, { dryRun: true });
      surveys += 1;
    },
  });
  expect(surveys).toBeGreaterThan(1);
  expect(world.ids).toEqual(["a", "b", "c"]);
});

test("the folder was deleted while it runs: what is counted is what is there", async () => {
  await songs();
  world.song("d", MiB);
  await rm(world.dir.path, { recursive: true, maxRetries: 5, retryDelay: 5 });
  await world.play("d");
  await world.idle();
  await world.play("d");
  world.clock.hurry(6000);
  await world.agree();
  await eventually(() => expect(world.ids).toEqual(["d"]));
  await world.agree();
  expect((await stat(`${world.pathOf("d")}.data`)).size).toBe(MiB);
});
