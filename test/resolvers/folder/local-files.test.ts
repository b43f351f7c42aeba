import { mkdir, rename, rm, symlink, truncate, unlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { never } from "../../data-source/fakes.ts";
import { assertBytes } from "../../helpers/assert-bytes.ts";
import { openFiles } from "../../helpers/process.ts";
import { bytesOf as pattern } from "../../helpers/scripted-upstream.ts";
import { bytesOf, makeFifo, makeLibrary, named, tagsRead, type TestLibrary, wav } from "./library.ts";

const first = wav({ samples: pattern(1, "song", 1, 0, 300_000) });
const second = wav({ samples: pattern(1, "song", 2, 0, 300_000) });
const SIZE = first.length;
const gone = { name: "AfterbayError", code: "not-found" };

let library: TestLibrary;
beforeEach(async () => {
  library = await makeLibrary();
  return () => library.close();
});

async function start(name = "song.wav") {
  const path = await library.add(name, first);
  const folder = await library.open();
  const { id } = named(await tagsRead(folder), "song");
  return { path, folder, id, open: () => folder.local.open(id, { signal: never }) };
}

it("reads a range, the end exclusive and at most the size", async () => {
  const { open } = await start();
  const pieces: Uint8Array[] = [];
  const file = await open();
  for await (const piece of file.read(100_000, SIZE + 5)) pieces.push(piece);
  assertBytes(Buffer.concat(pieces), first.subarray(100_000));
  expect(pieces.map(({ length }) => length)).toEqual([65_536, 65_536, 65_536, SIZE - 100_000 - 3 * 65_536]);
});

it("does not know other ids", async () => {
  const { folder } = await start();
  for (const id of ["song.wav", "../song.wav", "%2e%2e", "", "f".repeat(32)]) {
    await expect(folder.local.open(id, { signal: never })).rejects.toMatchObject(gone);
    await expect(folder.artwork(id)).rejects.toMatchObject(gone);
  }
});

describe("a file that changes", () => {
  it("has another variant when its size or its time is another", async () => {
    const { path, open } = await start();
    const variants = new Set<string>();
    for (const seconds of [1000, 1000.001, 2000]) {
      await utimes(path, seconds, seconds);
      await using file = await open();
      variants.add(file.variant);
    }
    await truncate(path, SIZE - 1);
    await utimes(path, 2000, 2000);
    await using file = await open();
    expect(variants.add(file.variant).size).toBe(4);
  });

  it.each([
    ["rewritten in place", (path: string) => writeFile(path, second)],
    ["cut short", (path: string) => truncate(path, 70_000)],
    ["grown", (path: string) => writeFile(path, new Uint8Array(10), { flag: "a" })],
  ])("%s while it is read: an error, and no byte of the other version", async (_, change) => {
    const { path, open } = await start();
    const file = await open();
    const pieces = file.read(0, SIZE)[Symbol.asyncIterator]();
    assertBytes((await pieces.next()).value as Uint8Array, first.subarray(0, 65_536));
    await change(path);
    await expect(pieces.next()).rejects.toMatchObject({ name: "AfterbayError", code: "variant-changed" });
    expect(openFiles() ?? []).not.toContain(path);
  });

  it.each([
    [
      "replaced by another file",
      async (path: string) => {
        await writeFile(`${path}.new`, second);
        await rename(`${path}.new`, path);
      },
    ],
    ["deleted", (path: string) => unlink(path)],
    ["moved", (path: string) => rename(path, join(library.outside, "song.wav"))],
  ])("%s while it is read: the version that was opened plays to its end", async (_, change) => {
    const { path, open } = await start();
    const file = await open();
    const pieces: Uint8Array[] = [];
    for await (const piece of file.read(0, SIZE)) {
      if (pieces.length === 0) await change(path);
      pieces.push(piece);
    }
    assertBytes(Buffer.concat(pieces), first);
  });

  it("not-found once it is deleted", async () => {
    const { path, open } = await start();
    await unlink(path);
    await expect(open()).rejects.toMatchObject(gone);
  });
});

describe("a file that was swapped since the scan", () => {
  it("for a link to outside is not opened", async () => {
    const { path, open } = await start();
    await writeFile(join(library.outside, "secret.mp3"), second);
    await unlink(path);
    await symlink(join(library.outside, "secret.mp3"), path);
    await expect(open()).rejects.toMatchObject(gone);
  });

  it("below a folder that became a link to outside is not opened", async () => {
    const { open } = await start("album/song.wav");
    await writeFile(join(library.outside, "song.wav"), second);
    await rename(join(library.path, "album"), join(library.path, "other"));
    await symlink(library.outside, join(library.path, "album"));
    await expect(open()).rejects.toMatchObject(gone);
  });

  it("for a FIFO or a socket is not opened, and nobody waits for a writer", async () => {
    const { path, open } = await start();
    await unlink(path);
    makeFifo(path);
    await expect(open()).rejects.toMatchObject(gone);
    await unlink(path);
    const server = createServer().listen(path);
    await expect(open()).rejects.toMatchObject(gone);
    await new Promise((done) => server.close(done));
  });

  it("for a folder is not opened", async () => {
    const { path, open } = await start();
    await unlink(path);
    await mkdir(path);
    await expect(open()).rejects.toMatchObject(gone);
  });

  it("again and again during the open never yields a byte from outside", async () => {
    const { folder, id } = await start("album/song.wav");
    await writeFile(join(library.outside, "song.wav"), second);
    const album = join(library.path, "album");
    const done = new AbortController();
    const swap = async (): Promise<void> => {
      for (let round = 0; !done.signal.aborted; round += 1) {
        await rename(album, `${album}.kept`);
        await symlink(library.outside, album);
        await rm(album);
        await rename(`${album}.kept`, album);
        await delay(round % 5);
      }
    };
    const swapping = swap();
    let served = 0;
    for (const end = performance.now() + 1000; performance.now() < end; ) {
      const bytes = await bytesOf(folder, id).catch((error: unknown) => {
        expect(error).toMatchObject(gone);
      });
      if (bytes === undefined) continue;
      assertBytes(bytes, first);
      served += 1;
    }
    done.abort();
    await swapping;
    expect(served).toBeGreaterThan(0);
  });
});
