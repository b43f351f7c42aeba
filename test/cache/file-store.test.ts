import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync } from "node:fs";
import {
  appendFile,
  chmod,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoredVariant } from "../../src/cache/chunk-store.ts";
import { DataFile } from "../../src/cache/data-file.ts";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { stemOf, variantPath } from "../../src/cache/variant-paths.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { describeChunkStoreContract, read, store } from "../helpers/chunk-store-contract.ts";
import { eventually, openFiles, tmpDir, type TmpDir } from "../helpers/process.ts";

const NAME = { source: "s", id: "song", variant: "1" };
const PIECE = 64 * 1024;
const content = randomBytes(3 * CHUNK_SIZE);

let dir: TmpDir;
let files: FileChunkStore;
let stored: StoredVariant;
let path: string;
beforeEach(async () => {
  dir = await tmpDir();
  files = new FileChunkStore(dir.path);
  stored = await files.open(NAME);
  path = variantPath(dir.path, stemOf(NAME));
});
afterEach(async () => {
  await stored.release();
  await dir.remove();
});

describeChunkStoreContract("FileChunkStore", async () => {
  const root = await tmpDir();
  return { store: new FileChunkStore(root.path), close: () => root.remove() };
});

const handles = (): number => (openFiles() ?? []).filter((name) => name.startsWith(`${path}.data`)).length;
const mapLines = async (): Promise<string[]> => (await readFile(`${path}.map`, "utf8")).trimEnd().split("\n");
const reopened = async (): Promise<StoredVariant> => {
  await stored.release();
  stored = await files.open(NAME);
  return stored;
};
/** Which of the three chunks can be had. */
const chunks = async (): Promise<boolean[]> => {
  const got: boolean[] = [];
  for (const index of [0, 1, 2]) {
    const bytes = await stored.readChunk(index, 0, CHUNK_SIZE);
    if (bytes !== undefined) assertBytes(bytes, content.subarray(index * CHUNK_SIZE, (index + 1) * CHUNK_SIZE));
    got.push(bytes !== undefined);
  }
  return got;
};
const flip = async (file: string, at: number): Promise<void> => {
  const handle = await open(file, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
};

describe("what is found at the next start", () => {
  beforeEach(() => store(stored, content, 0, 3 * CHUNK_SIZE));

  it("one record a chunk, under names that are hashes", async () => {
    await reopened();
    expect(path).toMatch(/\/tracks\/([0-9a-f]{2})\/\1[0-9a-f]{30}$/);
    expect(stored.spans()).toEqual([{ start: 0, end: 3 * CHUNK_SIZE }]);
    expect(await chunks()).toEqual([true, true, true]);
    const lines = await mapLines();
    expect(lines[0]?.slice(9)).toBe('= ["s","song","1"]');
    expect(lines.at(-1)?.slice(9)).toMatch(/^\+ 1048576 1572864 [0-9a-f]{1,8}$/);
  });

  it("a flipped bit costs its chunk, in whatever part of it is asked for", async () => {
    await stored.release();
    await flip(`${path}.data`, CHUNK_SIZE + 400_000);
    await reopened();
    expect(await stored.readChunk(1, 0, 10)).toBeUndefined();
    expect(stored.missing(0, 3 * CHUNK_SIZE)).toEqual([{ start: CHUNK_SIZE, end: 2 * CHUNK_SIZE }]);
    await reopened();
    expect(await chunks()).toEqual([true, false, true]);
    await store(stored, content, CHUNK_SIZE, 2 * CHUNK_SIZE);
    await reopened();
    expect(await chunks()).toEqual([true, true, true]);
  });

  it("a verification finds every flipped bit, also under an open handle", async () => {
    expect(await chunks()).toEqual([true, true, true]);
    await flip(`${path}.data`, 5);
    await flip(`${path}.data`, 3 * CHUNK_SIZE - 1);
    expect(await stored.verify()).toBe(2 * CHUNK_SIZE);
    expect(await chunks()).toEqual([false, true, false]);
  });

  it("a shorter data file costs what is cut off", async () => {
    await stored.release();
    await truncate(`${path}.data`, CHUNK_SIZE + 1);
    await reopened();
    expect(await chunks()).toEqual([true, false, false]);
    expect(stored.bytes).toBe(CHUNK_SIZE);
    await reopened();
    expect(stored.spans()).toEqual([{ start: 0, end: CHUNK_SIZE }]);
  });

  it("a data file with holes is not taken for music", async () => {
    await stored.release();
    await truncate(`${path}.data`, 100);
    await truncate(`${path}.data`, 3 * CHUNK_SIZE);
    await reopened();
    expect(await chunks()).toEqual([false, false, false]);
  });

  it("a lost data file costs everything, and reading does not make an empty one", async () => {
    await stored.release();
    await unlink(`${path}.data`);
    await reopened();
    expect(await stored.readChunk(2, 5, 6)).toBeUndefined();
    expect(stored.bytes).toBe(0);
    expect(existsSync(`${path}.data`)).toBe(false);
    await store(stored, content, CHUNK_SIZE, 2 * CHUNK_SIZE);
    await reopened();
    expect(await chunks()).toEqual([false, true, false]);
  });

  it("a lost map costs everything; the data file is used again", async () => {
    await stored.release();
    await unlink(`${path}.map`);
    await reopened();
    expect(stored.bytes).toBe(0);
    await store(stored, content, 0, CHUNK_SIZE);
    await reopened();
    expect(await chunks()).toEqual([true, false, false]);
  });

  it("a map cut anywhere costs what it does not say any more, and goes on after its torn line", async () => {
    await stored.release();
    const map = await readFile(`${path}.map`);
    for (let cut = 0; cut < map.length; cut += 37) {
      await writeFile(`${path}.map`, map.subarray(0, cut));
      await reopened();
      const { bytes } = stored;
      await stored.writeChunk(2, 0, content.subarray(2 * CHUNK_SIZE, 2 * CHUNK_SIZE + 10));
      for (const [n, there] of (await chunks()).entries()) expect(there).toBe(stored.hasChunk(n, 3 * CHUNK_SIZE));
      await reopened();
      expect(stored.bytes).toBeGreaterThanOrEqual(bytes);
      expect(stored.nextStart(2 * CHUNK_SIZE)).toBe(2 * CHUNK_SIZE);
    }
  });

  it("a map of junk, or of nonsense with right checksums, costs what it hides", async () => {
    await stored.release();
    const { LineLog } = await import("../../src/cache/line-log.ts");
    const log = new LineLog(`${path}.map`, { lineCount: 0, lines: () => [] }, 1000);
    for (const line of [
      "+ a b c",
      "+ 0 -5 0",
      "+ -5 0 0",
      "+ 0 1e300 0",
      `+ 0 ${CHUNK_SIZE + 1} 0`,
      "+ 0 10",
      "- x 9",
      "?",
      "",
      "= ",
    ]) {
      log.append(line);
    }
    log.append("+ 5 10 zz");
    await log.flush();
    await appendFile(`${path}.map`, Buffer.from([0, 255, 10, 13, 200, 10]));
    await reopened();
    // "= " is not this variant's title.
    expect(stored.bytes).toBe(0);
  });

  it("files that were copied from another variant are not this one's", async () => {
    await stored.release();
    const other = { ...NAME, id: "other" };
    const copy = variantPath(dir.path, stemOf(other));
    await (await files.open(other)).writeChunk(0, 0, content.subarray(0, 10));
    await writeFile(`${copy}.map`, await readFile(`${path}.map`));
    await writeFile(`${copy}.data`, await readFile(`${path}.data`));
    const got = await files.open(other);
    expect(got.bytes).toBe(0);
    await got.writeChunk(0, 0, Buffer.from("new"));
    await got.release();
    expect((await files.open(other)).spans()).toEqual([{ start: 0, end: 3 }]);
  });
});

describe("what others do to open files", () => {
  beforeEach(() => store(stored, content, 0, 3 * CHUNK_SIZE));

  it("a folder deleted while handles are closed: nothing is served that is not there", async () => {
    await stored.release();
    await rm(dir.path, { recursive: true });
    expect(await stored.readChunk(2, 0, 10)).toBeUndefined();
    await store(stored, content, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE);
    expect(await chunks()).toEqual([false, false, true]);
    await reopened();
    expect(await chunks()).toEqual([false, false, true]);
  });

  it("a folder deleted while handles are open: what was there can be read on, and later writes are kept", async () => {
    expect(await chunks()).toEqual([true, true, true]);
    // However slow the machine is: no timer finds out in between.
    await stored.flush();
    await rm(dir.path, { recursive: true });
    expect(await chunks()).toEqual([true, true, true]);
    const next = Buffer.from(randomBytes(CHUNK_SIZE));
    await stored.writeChunk(3, 0, next.subarray(0, PIECE));
    await stored.flush();
    await stored.writeChunk(3, PIECE, next.subarray(PIECE));
    await stored.flush();
    expect(stored.spans()).toEqual([{ start: 3 * CHUNK_SIZE + PIECE, end: 4 * CHUNK_SIZE }]);
    await reopened();
    expect(await chunks()).toEqual([false, false, false]);
    assertBytes((await stored.readChunk(3, PIECE, CHUNK_SIZE)) ?? Buffer.of(), next.subarray(PIECE));
  });

  it("a folder deleted between a write and its record: no piece is claimed that is not there", async () => {
    for (let round = 0; round < 20; round += 1) {
      const writing = store(stored, content, 0, 3 * CHUNK_SIZE);
      await delay(round % 4);
      await rm(dir.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
      const flushing = stored.flush();
      await writing;
      await flushing;
      await stored.release();
      await chunks();
      for (const { start, end } of stored.spans())
        assertBytes(await read(stored, start, end), content.subarray(start, end));
    }
  });

  it("a folder deleted under a write: what went to the lost file is not taken for what is in the new one", async () => {
    for (let round = 0; round < 60; round += 1) {
      // The record's flush finds the folder gone, at about the time that the write settles.
      await stored.writeChunk(3, round * 8000, randomBytes(8000));
      await rm(dir.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
      await Promise.all([store(stored, content, 0, PIECE), stored.flush()]);
      await store(stored, content, CHUNK_SIZE, CHUNK_SIZE + PIECE);
      const bytes = await stored.readChunk(0, 0, PIECE);
      if (bytes !== undefined) assertBytes(bytes, content.subarray(0, PIECE));
    }
  });

  it("a data file cut under an open handle: no zeros are served for what is beyond", async () => {
    expect(await chunks()).toEqual([true, true, true]);
    await truncate(`${path}.data`, CHUNK_SIZE);
    expect(await stored.readChunk(2, 0, 10)).toBeUndefined();
    await store(stored, content, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE);
    expect(await chunks()).toEqual([true, false, true]);
  });

  it("bytes changed while no handle was open are found without a restart", async () => {
    expect(await chunks()).toEqual([true, true, true]);
    await stored.release();
    await flip(`${path}.data`, 5);
    expect(await chunks()).toEqual([false, true, true]);
  });

  it("a map deleted alone is written anew with the next record", async () => {
    await stored.flush();
    await unlink(`${path}.map`);
    await stored.writeChunk(3, 0, Buffer.from("more"));
    await reopened();
    expect(await chunks()).toEqual([true, true, true]);
    expect(stored.bytes).toBe(3 * CHUNK_SIZE + 4);
  });

  it("a map that cannot be read or written stops nobody from playing", async () => {
    await stored.release();
    await rename(`${path}.map`, `${path}.kept`);
    await mkdir(`${path}.map`);
    await reopened();
    expect(stored.bytes).toBe(0);
    await stored.writeChunk(0, 0, content.subarray(0, 10));
    assertBytes(await read(stored, 0, 10), content.subarray(0, 10));
    await expect(stored.flush()).rejects.toThrow("EISDIR");
    await expect(stored.writeChunk(0, 10, content.subarray(10, 20))).rejects.toThrow("EISDIR");
    await rm(`${path}.map`, { recursive: true });
    await stored.writeChunk(0, 10, content.subarray(10, 20));
    await reopened();
    expect(stored.spans()).toEqual([{ start: 0, end: 20 }]);
  });
});

describe("handles", () => {
  it("are one a variant at most, and none after a release", async () => {
    await Promise.all([store(stored, content, 0, CHUNK_SIZE), store(stored, content, CHUNK_SIZE, 2 * CHUNK_SIZE)]);
    await Promise.all(Array.from({ length: 20 }, () => read(stored, 0, 2 * CHUNK_SIZE)));
    expect(handles()).toBe(1);
    await stored.release();
    expect(handles()).toBe(0);
  });

  it("outlive a release by what is under way, and no longer", async () => {
    await store(stored, content, 0, CHUNK_SIZE);
    for (let n = 0; n < 50; n += 1) {
      const work = [
        read(stored, 0, CHUNK_SIZE),
        store(stored, content, CHUNK_SIZE + n * 100, CHUNK_SIZE + n * 100 + 100),
      ];
      if (n % 3 === 0) await delay(0);
      const releasing = stored.release();
      await Promise.all([...work, releasing]);
      await stored.release();
      expect(handles()).toBe(0);
    }
    await reopened();
    assertBytes(await read(stored, 0, CHUNK_SIZE + 5000), content.subarray(0, CHUNK_SIZE + 5000));
  });

  it("are not leaked when files cannot be opened", async () => {
    await writeFile(`${dir.path}/tracks`, "a file in the folder's place");
    await Promise.all(
      Array.from({ length: 5 }, () =>
        expect(stored.writeChunk(0, 0, content.subarray(0, 10))).rejects.toThrow("ENOTDIR"),
      ),
    );
    expect(await stored.readChunk(0, 0, 10)).toBeUndefined();
    expect(stored.bytes).toBe(0);
    await unlink(`${dir.path}/tracks`);
    await store(stored, content, 0, 10);
    await stored.release();
    expect(handles()).toBe(0);
  });

  it("are waited for when the process has no more; what cannot be read for want of one is kept", async () => {
    await store(stored, content, 0, CHUNK_SIZE);
    await reopened();
    const taken: number[] = [];
    try {
      for (;;) taken.push(openSync("/dev/null", "r"));
    } catch {
      // The limit is reached.
    }
    const reading = stored.readChunk(0, 0, CHUNK_SIZE);
    await delay(50);
    for (const fd of taken.splice(0, 20)) closeSync(fd);
    const got = await reading;
    for (const fd of taken) closeSync(fd);
    assertBytes(got ?? Buffer.of(), content.subarray(0, CHUNK_SIZE));
  });

  it.skipIf(process.getuid?.() === 0)("read what may not be written", async () => {
    await store(stored, content, 0, CHUNK_SIZE);
    await stored.release();
    await chmod(`${path}.data`, 0o400);
    assertBytes(await read(stored, 0, CHUNK_SIZE), content.subarray(0, CHUNK_SIZE));
    await expect(stored.writeChunk(1, 0, content.subarray(0, 10))).rejects.toThrow("EACCES");
    await chmod(`${path}.data`, 0o600);
    await stored.writeChunk(1, 0, content.subarray(CHUNK_SIZE, CHUNK_SIZE + 10));
    assertBytes(await read(stored, 0, CHUNK_SIZE + 10), content.subarray(0, CHUNK_SIZE + 10));
  });
});

describe("the map", () => {
  it("is written within 100 ms of the data, without being asked", async () => {
    await stored.writeChunk(0, 0, content.subarray(0, 10));
    await delay(100);
    expect((await files.open(NAME)).bytes).toBe(10);
  });

  it("does not grow without bound, and leaves nothing beside it", async () => {
    for (let round = 0; round < 4; round += 1) {
      for (let at = 0; at < CHUNK_SIZE; at += 1000) {
        await stored.writeChunk(0, at, content.subarray(at, Math.min(at + 1000, CHUNK_SIZE)));
        if (at % 50_000 === 0) await stored.flush();
      }
      await stored.release();
      await flip(`${path}.data`, round);
      expect(await stored.readChunk(0, 0, 10)).toBeUndefined();
      expect(stored.bytes).toBe(0);
    }
    await store(stored, content, 0, 3 * CHUNK_SIZE);
    await reopened();
    await stored.writeChunk(3, 0, content.subarray(0, 10));
    await stored.release();
    expect((await mapLines()).length).toBeLessThan(100);
    expect(existsSync(`${path}.map.new`)).toBe(false);
    expect(await (await reopened()).readChunk(0, 0, 10)).toBeDefined();
  });

  it("loses no record when it is written anew while others are appended", async () => {
    const flushes: Promise<void>[] = [];
    for (let at = 0; at < CHUNK_SIZE; at += 500) {
      await stored.writeChunk(0, at, content.subarray(at, Math.min(at + 500, CHUNK_SIZE)));
      if (at % 3 === 0) flushes.push(stored.flush());
    }
    await Promise.all(flushes);
    const { bytes } = await reopened();
    expect(bytes).toBe(CHUNK_SIZE);
    expect((await stat(`${path}.map`)).size).toBeLessThan(10_000);
  });
});

it("a folder that was made counts, also where no file could be made in it", async () => {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await symlink(join(dir.path, "gone", "file"), `${path}.data`);
  await expect(store(stored, content, 0, PIECE)).rejects.toThrow("ENOENT");
  const { blocks } = await stat(folder);
  await eventually(() => expect(files.files.overhead.bytes).toBe(512 * blocks));
});

it("a piece that went bad takes no good one with it when its chunk becomes whole", async () => {
  await store(stored, content, 4 * PIECE, 8 * PIECE);
  await reopened();
  await flip(`${path}.data`, 5 * PIECE);
  await store(stored, content, 0, 4 * PIECE);
  expect(await stored.readChunk(0, 5 * PIECE, 6 * PIECE)).toBeUndefined();
  expect(stored.missing(0, CHUNK_SIZE)).toEqual([{ start: 5 * PIECE, end: 6 * PIECE }]);
  await store(stored, content, 5 * PIECE, 6 * PIECE);
  expect(await chunks()).toEqual([true, false, false]);
  await reopened();
  expect((await mapLines()).at(-1)).toMatch(/ 0 524288 /);
});

it("what comes again is stored where it has gone bad meanwhile", async () => {
  await store(stored, content, 0, 4 * PIECE);
  await reopened();
  await flip(`${path}.data`, PIECE);
  await store(stored, content, 0, 4 * PIECE);
  assertBytes(await read(stored, 0, 4 * PIECE), content.subarray(0, 4 * PIECE));
  await reopened();
  assertBytes(await read(stored, 0, 4 * PIECE), content.subarray(0, 4 * PIECE));
});

it("what was written is told before the look at the file when its handle is given up: it would count twice", async () => {
  const told: string[] = [];
  const ignored = (): void => {};
  const data = new DataFile(`${path}.data`, {
    onLength: ignored,
    onShared: ignored,
    onAllocated: (bytes) => told.push(bytes > 0 ? "looked" : "empty"),
    onWritten: (start, end) => told.push(`[${start}, ${end})`),
    onCreated: ignored,
    onClose: ignored,
  });
  await data.write(0, content.subarray(0, 10));
  await Promise.all([data.write(10, content.subarray(10, PIECE)), data.release()]);
  expect(told.filter((one) => one !== "empty")).toEqual(["[0, 10)", `[10, ${PIECE})`, "looked"]);
});
