import type * as fs from "node:fs/promises";
import { renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { openInside } from "../../../src/resolvers/folder/open-inside.ts";
import { openFiles } from "../../helpers/process.ts";
import { makeFifo, makeLibrary, type TestLibrary } from "./library.ts";

/** Somebody swaps files right before the open, and the system may not tell where an open file is. */
const rival = vi.hoisted(() => ({ swap: (): void => {}, tellsPlaces: true }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    open: (...args: Parameters<typeof real.open>) => {
      rival.swap();
      return real.open(...args);
    },
    readlink: (...args: Parameters<typeof real.readlink>) =>
      rival.tellsPlaces ? real.readlink(...args) : Promise.reject(new Error("no /proc")),
  };
});

let library: TestLibrary;
let path: string;
let secret: string;
beforeEach(async () => {
  library = await makeLibrary();
  path = await library.add("album/song.mp3");
  secret = join(library.outside, "song.mp3");
  writeFileSync(secret, "secret");
  rival.swap = () => {};
  return () => library.close();
});

describe.each([true, false])("a file that is swapped right before it is opened, places told: %s", (tellsPlaces) => {
  beforeEach(() => {
    rival.tellsPlaces = tellsPlaces;
  });

  it("opens where nothing is swapped", async () => {
    const { handle, stats } = await openInside(library.path, path);
    expect(stats.isFile()).toBe(true);
    await handle.close();
  });

  it.each<[string, () => void]>([
    [
      "a folder on its way for a link to outside",
      () => {
        renameSync(join(library.path, "album"), join(library.path, "kept"));
        symlinkSync(library.outside, join(library.path, "album"));
      },
    ],
    [
      "itself for a link to outside",
      () => {
        unlinkSync(path);
        symlinkSync(secret, path);
      },
    ],
    [
      "itself for a FIFO",
      () => {
        unlinkSync(path);
        makeFifo(path);
      },
    ],
    ["itself for nothing", () => unlinkSync(path)],
  ])("%s: not found, at once, and nothing stays open", async (_, swap) => {
    rival.swap = swap;
    await expect(openInside(library.path, path)).rejects.toMatchObject({ name: "AfterbayError", code: "not-found" });
    expect(openFiles() ?? []).not.toContain(path);
    expect(openFiles() ?? []).not.toContain(secret);
  });
});
