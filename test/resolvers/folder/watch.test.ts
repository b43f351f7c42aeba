import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { FolderSource } from "../../../src/resolvers/folder/folder.ts";
import { ManualClock } from "../../data-source/fakes.ts";
import { makeLibrary, type TestLibrary, titlesOf, wav } from "./library.ts";

let library: TestLibrary;
beforeEach(async () => {
  library = await makeLibrary();
  return () => library.close();
});

/** A change shows within about a second; a machine that is busy with other tests gets more. */
async function expectSoon(folder: FolderSource, titles: readonly string[]): Promise<void> {
  await expect.poll(async () => titlesOf(await folder.list()), { timeout: 5000, interval: 20 }).toEqual(titles);
}

describe("a watched folder", () => {
  it("shows what is added, changed, renamed and removed", async () => {
    await library.add("a.mp3");
    const folder = await library.open();
    expect(titlesOf(await folder.list())).toEqual(["a"]);
    const b = await library.add("b.mp3");
    await expectSoon(folder, ["a", "b"]);
    await rename(b, join(library.path, "c.mp3"));
    await expectSoon(folder, ["a", "c"]);
    await rm(join(library.path, "a.mp3"));
    await expectSoon(folder, ["c"]);
    await library.add("c.mp3", new Uint8Array(12_345));
    await expect.poll(async () => (await folder.list())[0]?.size, { timeout: 5000 }).toBe(12_345);
  });

  it("follows folders that come, move, and come again under the same name", async () => {
    const folder = await library.open();
    expect(await folder.list()).toEqual([]);
    await library.add("album/disc/1.mp3");
    await expectSoon(folder, ["1"]);
    await rename(join(library.path, "album"), join(library.path, "moved"));
    await expect.poll(async () => (await folder.list())[0]?.artist, { timeout: 5000 }).toBe("moved");
    await library.add("moved/disc/2.mp3");
    await expectSoon(folder, ["1", "2"]);
    await rm(join(library.path, "moved"), { recursive: true });
    await mkdir(join(library.path, "moved/disc"), { recursive: true });
    await expectSoon(folder, []);
    await library.add("moved/disc/3.mp3");
    await expectSoon(folder, ["3"]);
  });

  it("may itself vanish and come again", async () => {
    await library.add("1.mp3");
    const folder = await library.open();
    expect(titlesOf(await folder.list())).toEqual(["1"]);
    await rm(library.path, { recursive: true });
    await expectSoon(folder, []);
    await library.add("2.mp3");
    await expectSoon(folder, ["2"]);
    await library.add("3.mp3");
    await expectSoon(folder, ["2", "3"]);
  });

  it("gives up its watches when it is closed", async () => {
    let open = 0;
    await library.add("a/b/c.mp3");
    const watchDirectory = () => {
      open += 1;
      return { close: () => void (open -= 1) };
    };
    const folder = await library.open({ watchDirectory });
    await folder.list();
    expect(open).toBe(3);
    await folder.close();
    expect(open).toBe(0);
  });
});

describe("a folder that cannot be watched whole", () => {
  it("is looked through again where it is used, after 2 s, and warns once", async () => {
    const clock = new ManualClock();
    const watchDirectory = () => {
      throw Object.assign(new Error("no watch left"), { code: "ENOSPC" });
    };
    await library.add("a/1.mp3");
    const folder = await library.open({ clock, watchDirectory });
    expect(titlesOf(await folder.list())).toEqual(["1"]);
    await writeFile(join(library.path, "a/2.mp3"), wav());
    await clock.advance(1900);
    expect(titlesOf(await folder.list())).toEqual(["1"]);
    await clock.advance(200);
    expect(titlesOf(await folder.list())).toEqual(["1", "2"]);
    expect(library.warnings).toMatchObject([{ fields: { code: "ENOSPC" } }]);
  });

  it("does the same when a watch fails later", async () => {
    const clock = new ManualClock();
    let fail = (_error: Error): void => {};
    const folder = await library.open({
      clock,
      watchDirectory: (_path, on) => {
        fail = on.error;
        return { close() {} };
      },
    });
    expect(await folder.list()).toEqual([]);
    await library.add("1.mp3");
    await clock.advance(2100);
    expect(await folder.list()).toEqual([]);
    fail(Object.assign(new Error("gone"), { code: "EIO" }));
    expect(titlesOf(await folder.list())).toEqual(["1"]);
    expect(library.warnings).toMatchObject([{ fields: { code: "EIO" } }]);
  });
});

it("scans at most a quarter of the time while changes keep coming", async () => {
  const clock = new ManualClock();
  let change = (): void => {};
  await library.add("1.mp3");
  const folder = await library.open({
    clock,
    watchDirectory: (_path, on) => {
      change = () => on.event("rename", "x.mp3");
      return { close() {} };
    },
  });
  await folder.list();
  for (let count = 0; count < 100; count += 1) change();
  expect(clock.pending.filter((ms) => ms === 200)).toHaveLength(1);
});
