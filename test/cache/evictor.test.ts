import { mkdir, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { VariantName } from "../../src/cache/variant-name.ts";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { deferred } from "../../src/data-source/aborting.ts";
import { du } from "../helpers/du.ts";
import { eventually, tmpDir } from "../helpers/process.ts";
import { CacheWorld, keyOf } from "./world.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

let world: CacheWorld;
afterEach(() => world.close());

async function start(ids: string, options: Parameters<typeof CacheWorld.start>[0] = {}): Promise<void> {
  world = await CacheWorld.start(options);
  for (const id of ids) {
    world.song(id, MiB);
    await world.play(id);
    world.clock.hurry(10);
  }
  await world.agree();
}
const gone = (): string[] => world.changes.filter((change) => change.startsWith("evicted")).map((one) => one.slice(8));

test("a lowered budget takes effect while an earlier one is still being met", async () => {
  await start("abcdef");
  world.cache.budget = 5.5 * MiB;
  world.cache.budget = 4.5 * MiB;
  await delay(0);
  world.cache.budget = 2.5 * MiB;
  // Several go at once; which file is gone first is the disk's affair.
  await eventually(() => expect(gone().toSorted()).toEqual(["a", "b", "c", "d"]));
  expect(world.ids).toEqual(["e", "f"]);
  await world.agree();
});

test("versions that nothing leads to go before any song, and are not told as a song's eviction", async () => {
  await start("ab");
  world.song("c", MiB);
  await world.play("c", { end: 200 * KiB });
  world.song("c", MiB, "2");
  // The old version is not whole, and the upstream does not have the rest.
  await world.play("c", { start: 600 * KiB }).catch(() => {});
  await world.play("c");
  await world.agree();
  const before = await world.cache.measureDisk();
  world.cache.budget = before;
  await eventually(() =>
    expect(world.log.map(({ message }) => message)).toContainEqual(expect.stringMatching("version")),
  );
  expect(gone()).toEqual([]);
  expect(world.ids).toEqual(["a", "b", "c"]);
  await world.play("c");
  world.cache.budget = before - MiB;
  await eventually(() => expect(gone()).toEqual(["a"]));
});

test("each quality of a song goes with it, and none while one of them is in use", async () => {
  await start("a");
  world.songs.set("a low", world.song("a low", 300 * KiB, "low"));
  await world.play("a", { quality: "low" });
  await world.agree();
  const pulled: number[] = [];
  await world.play("a", {
    quality: "low",
    pace: async () => {
      pulled.push(1);
      if (pulled.length > 1) return;
      world.cache.budget = 0;
      await delay(20);
      expect(gone()).toEqual([]);
    },
  });
  await world.idle();
  await eventually(() => expect(gone()).toEqual(["a"]));
  expect(world.index.disk).toBe(0);
});

test("what cannot be deleted still counts, does not stop the others, and goes when it can", async () => {
  await start("abc");
  const map = `${world.pathOf("a")}.map`;
  await unlink(map);
  await mkdir(map);
  await writeFile(join(map, "obstacle"), "");
  world.cache.budget = 1.5 * MiB;
  await eventually(() => expect(gone()).toEqual(["b", "c"]));
  expect(world.index.disk).toBeGreaterThanOrEqual(MiB);
  await rm(map, { recursive: true });
  world.cache.budget = MiB;
  await eventually(() => expect(gone()).toEqual(["b", "c", "a"]));
  await world.agree();
});

test("what a disk refuses to take makes room, though it says that there is some", async () => {
  await start("abc");
  for (const code of ["ENOSPC", "EDQUOT"]) {
    const count = gone().length;
    world.cache.onStorageError(Object.assign(new Error(code), { code }));
    await eventually(() => expect(gone()).toHaveLength(count + 1));
  }
  world.cache.onStorageError(Object.assign(new Error("EACCES"), { code: "EACCES" }));
  await world.idle();
  expect(gone()).toEqual(["a", "b"]);
});

test("a deletion that is under way has ended when the cache is closed", async () => {
  const root = await tmpDir();
  let deleted = false;
  class Slow extends FileChunkStore {
    override async delete(name: VariantName): Promise<void> {
      await delay(50);
      await super.delete(name);
      deleted = true;
    }
  }
  world = await CacheWorld.start({ store: new Slow(root.path) });
  world.song("a", MiB);
  await world.play("a");
  await world.idle();
  const deleting = world.cache.delete(keyOf("a"));
  await world.cache.close();
  expect(deleted).toBe(true);
  await deleting;
  await root.remove();
});

test("nothing is opened for whoever came just before the cache closed", async () => {
  await start("a");
  world.song("b", MiB);
  const before = world.sent;
  const entering = world.cache.enter({ ...keyOf("b"), position: 0, signal: new AbortController().signal });
  await Promise.all([expect(entering).rejects.toMatchObject({ code: "busy" }), world.cache.close()]);
  expect(world.sent).toBe(before);
  expect(world.cache.find(keyOf("b"))).toBeUndefined();
});

test("a disk that is so full that it cannot even delete is left alone for a while", async () => {
  await start("abc");
  const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  const deletion = vi.spyOn(FileChunkStore.prototype, "delete").mockRejectedValue(full);
  try {
    world.cache.onStorageError(full);
    await eventually(() => expect(deletion).toHaveBeenCalled());
    await world.idle();
    expect(deletion.mock.calls.length).toBeLessThanOrEqual(3);
  } finally {
    deletion.mockRestore();
  }
  expect(gone()).toEqual([]);
  world.cache.onStorageError(full);
  await eventually(() => expect(gone()).toHaveLength(1));
  await world.agree();
});

test("a cache that is sparing has no budget where more is stored already, and one where less is", async () => {
  await start("abc");
  await world.restart({ sparing: true, budget: 2 * MiB });
  world.song("d", MiB);
  await world.play("d");
  await world.agree();
  expect(world.ids).toEqual(["a", "b", "c", "d"]);
  await world.restart({ sparing: true, budget: 4.5 * MiB });
  world.song("e", MiB);
  await world.play("e");
  await world.idle();
  await eventually(() => expect(world.ids).toEqual(["b", "c", "d", "e"]));
});

test("a deletion is told, and is none of a song's that nobody has", async () => {
  await start("a");
  expect(await world.cache.delete(keyOf("a"))).toEqual({ found: true, inUse: false });
  expect(world.changes.at(-1)).toBe("lost a");
  const { length } = world.changes;
  expect(await world.cache.delete(keyOf("a"))).toEqual({ found: false, inUse: false });
  expect(world.changes).toHaveLength(length);
});

test("a song that is deleted while it comes to life plays from the upstream", async () => {
  await start("a");
  await world.restart();
  for (let round = 0; round < 10; round += 1) {
    const playing = [world.play("a"), world.play("a", { start: 500 * KiB })];
    for (let turns = 0; turns < round; turns += 1) await Promise.resolve();
    const deleted = world.cache.delete(keyOf("a"));
    await Promise.all(playing);
    await deleted;
  }
  await world.agree();
});

test("an import that does not end leaves nothing, also when the process dies in it", async () => {
  world = await CacheWorld.start();
  await expect(world.import("a", MiB, true)).rejects.toThrow("changed");
  await world.agree();
  expect(world.index.disk).toBe(0);
  const importing = world.import("a", 20 * MiB).catch(() => {});
  await eventually(() => expect(world.index.disk).toBeGreaterThan(MiB));
  expect(world.ids).toEqual([]);
  await world.restart();
  await importing;
  expect(world.ids).toEqual([]);
  await world.agree();
  expect(world.index.disk).toBe(0);
});

test("an import is waited for when the cache closes, and leaves nothing", async () => {
  world = await CacheWorld.start();
  const more = deferred();
  const chunk = new Uint8Array(512 * KiB);
  const importing = world.cache.importTrack(keyOf("a"), {
    size: 2 * chunk.length,
    contentType: "audio/flac",
    async *chunks() {
      yield chunk;
      await more.promise;
      yield chunk;
    },
    async close() {},
  });
  await eventually(() => expect(world.index.disk).toBeGreaterThan(chunk.length / 2));
  const closed = world.cache.close();
  const first = await Promise.race([closed.then(() => "closed"), delay(50).then(() => "waits")]);
  more.resolve();
  await expect(importing).rejects.toMatchObject({ code: "busy" });
  await closed;
  expect(first).toBe("waits");
  expect((await du(world.dir.path)).bytes).toBeLessThan(chunk.length);
});

test("an import makes room as it goes", async () => {
  await start("abc", { budget: 4 * MiB });
  await world.import("d", 2.5 * MiB);
  await world.agree();
  expect(world.ids).toEqual(["c", "d"]);
});
