import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ChunkStore, StoredVariant } from "../../src/cache/chunk-store.ts";
import type { VariantName } from "../../src/cache/variant-name.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";
import { assertBytes } from "./assert-bytes.ts";

export interface ChunkStoreFixture {
  readonly store: ChunkStore;
  close(): Promise<void>;
}

const NAME: VariantName = { source: "s", id: "song", variant: "1" };
const KiB = 1024;
const PIECE = 64 * KiB;
const content = randomBytes(3 * CHUNK_SIZE);

/** Stores [start, end) of `bytes` piece by piece, as fills do. */
export async function store(stored: StoredVariant, bytes: Uint8Array, start: number, end: number): Promise<void> {
  for (let at = start; at < end; ) {
    const to = Math.min(end, (Math.floor(at / PIECE) + 1) * PIECE);
    await stored.writeChunk(Math.floor(at / CHUNK_SIZE), at % CHUNK_SIZE, bytes.subarray(at, to));
    at = to;
  }
}

/** Reads [start, end) chunk by chunk; throws if a byte is missing. */
export async function read(stored: StoredVariant, start: number, end: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const index = Math.floor(at / CHUNK_SIZE);
    const to = Math.min(end, (index + 1) * CHUNK_SIZE);
    const part = await stored.readChunk(index, at % CHUNK_SIZE, to - index * CHUNK_SIZE);
    if (part === undefined) throw new Error(`[${at}, ${to}) is missing`);
    parts.push(part);
    at = to;
  }
  return Buffer.concat(parts);
}

/** Checks an implementation of ChunkStore against the contract in `src/cache/chunk-store.ts`. */
export function describeChunkStoreContract(what: string, makeFixture: () => Promise<ChunkStoreFixture>): void {
  describe(`${what}: the contract of a ChunkStore`, () => {
    let fixture: ChunkStoreFixture;
    let stored: StoredVariant;
    beforeEach(async () => {
      fixture = await makeFixture();
      stored = await fixture.store.open(NAME);
    });
    afterEach(async () => {
      await stored.release();
      await fixture.close();
    });
    const put = (start: number, end: number): Promise<void> => store(stored, content, start, end);
    const holds = async (start: number, end: number): Promise<void> =>
      assertBytes(await read(stored, start, end), content.subarray(start, end));

    it("is empty at first", async () => {
      expect(stored.bytes).toBe(0);
      expect(stored.spans()).toEqual([]);
      expect(stored.missing(0, 10)).toEqual([{ start: 0, end: 10 }]);
      expect(stored.contiguousEnd(7)).toBe(7);
      expect(stored.nextStart(0)).toBeUndefined();
      expect(stored.hasChunk(0, 10)).toBe(false);
      expect(stored.hasAllChunks(10)).toBe(false);
      expect(await stored.readChunk(0, 0, 10)).toBeUndefined();
      await stored.flush();
    });

    for (const size of [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE]) {
      it(`knows when a resource of ${size} bytes is whole`, async () => {
        stored.learnSize(size);
        if (size > 0) {
          await put(0, size - 1);
          expect(stored.hasAllChunks(size)).toBe(false);
          expect(stored.hasChunk(Math.floor((size - 1) / CHUNK_SIZE), size)).toBe(false);
          await put(size - 1, size);
          expect(stored.hasChunk(Math.floor((size - 1) / CHUNK_SIZE), size)).toBe(true);
        }
        expect(stored.hasAllChunks(size)).toBe(true);
        expect(stored.missing(0, size)).toEqual([]);
        expect(stored.bytes).toBe(size);
        await holds(0, size);
      });
    }

    it("keeps what lies apart, and tells holes and stretches", async () => {
      await put(100, 200);
      await put(300, 400);
      await put(CHUNK_SIZE - 50, CHUNK_SIZE + 50);
      expect(stored.bytes).toBe(300);
      expect(stored.spans()).toEqual([
        { start: 100, end: 200 },
        { start: 300, end: 400 },
        { start: CHUNK_SIZE - 50, end: CHUNK_SIZE + 50 },
      ]);
      expect(stored.missing(150, 350)).toEqual([{ start: 200, end: 300 }]);
      expect(stored.missing(0, 500)).toEqual([
        { start: 0, end: 100 },
        { start: 200, end: 300 },
        { start: 400, end: 500 },
      ]);
      expect(stored.contiguousEnd(99)).toBe(99);
      expect(stored.contiguousEnd(100)).toBe(200);
      expect(stored.contiguousEnd(CHUNK_SIZE - 1)).toBe(CHUNK_SIZE + 50);
      expect([0, 150, 200, 400, CHUNK_SIZE + 50].map((at) => stored.nextStart(at))).toEqual([
        100,
        150,
        300,
        CHUNK_SIZE - 50,
        undefined,
      ]);
      await holds(120, 180);
      await holds(CHUNK_SIZE - 50, CHUNK_SIZE + 50);
      expect(await stored.readChunk(0, 150, 350)).toBeUndefined();
      expect(stored.bytes).toBe(300);
    });

    it("joins pieces whatever order they come in", async () => {
      for (const at of [5, 0, 7, 3, 1, 6, 2, 4]) await put(at * PIECE, (at + 1) * PIECE);
      expect(stored.spans()).toEqual([{ start: 0, end: CHUNK_SIZE }]);
      expect(stored.hasChunk(0, 2 * CHUNK_SIZE)).toBe(true);
      await holds(0, CHUNK_SIZE);
      await holds(PIECE - 1, PIECE + 1);
    });

    it("learns the size late, and more than once", async () => {
      await put(0, CHUNK_SIZE + PIECE + 10);
      stored.learnSize(CHUNK_SIZE + PIECE + 10);
      stored.learnSize(CHUNK_SIZE + PIECE + 10);
      expect(stored.hasAllChunks(CHUNK_SIZE + PIECE + 10)).toBe(true);
      await holds(0, CHUNK_SIZE + PIECE + 10);
      // A hint that was wrong.
      stored.learnSize(CHUNK_SIZE + 20);
      await stored.release();
      await holds(CHUNK_SIZE, CHUNK_SIZE + PIECE + 10);
    });

    it("leaves stored bytes as they are when others come for the same place", async () => {
      await put(100, 200);
      await stored.writeChunk(0, 50, Buffer.alloc(300, "x"));
      expect(stored.spans()).toEqual([{ start: 50, end: 350 }]);
      await holds(100, 200);
      assertBytes(await read(stored, 50, 100), Buffer.alloc(50, "x"));
      assertBytes(await read(stored, 200, 350), Buffer.alloc(150, "x"));
      await stored.release();
      await holds(100, 200);
    });

    it("takes writes of the same bytes at the same time", async () => {
      await Promise.all([put(0, CHUNK_SIZE), put(0, CHUNK_SIZE), put(1000, CHUNK_SIZE + 1000), put(70_000, 70_001)]);
      expect(stored.bytes).toBe(CHUNK_SIZE + 1000);
      await holds(0, CHUNK_SIZE + 1000);
    });

    it("takes the first of different bytes that come at the same time", async () => {
      const other = Buffer.alloc(PIECE, "y");
      await Promise.all([stored.writeChunk(0, 0, content.subarray(0, PIECE)), stored.writeChunk(0, 0, other)]);
      await stored.release();
      await holds(0, PIECE);
    });

    it("reads what is stored while more is written", async () => {
      await put(0, PIECE);
      const writing = put(PIECE, 3 * CHUNK_SIZE);
      let readings = 0;
      while (stored.bytes < 3 * CHUNK_SIZE) {
        const end = stored.contiguousEnd(0);
        const start = Math.max(0, end - 2 * PIECE);
        await holds(start, end);
        readings += 1;
      }
      await writing;
      expect(readings).toBeGreaterThan(3);
      await holds(0, 3 * CHUNK_SIZE);
    });

    it("can be read back as soon as a write has settled", async () => {
      const ends: Promise<void>[] = [];
      for (let at = 0; at < CHUNK_SIZE; at += 4 * KiB) {
        const from = at;
        ends.push(
          stored.writeChunk(0, from, content.subarray(from, from + 4 * KiB)).then(() => holds(from, from + 4 * KiB)),
        );
      }
      await Promise.all(ends);
      expect(stored.hasChunk(0, CHUNK_SIZE)).toBe(true);
    });

    it("verifies what it has, and finds nothing wrong with it", async () => {
      expect(await stored.verify()).toBe(0);
      await put(10, CHUNK_SIZE + PIECE);
      expect(await stored.verify()).toBe(0);
      await holds(10, CHUNK_SIZE + PIECE);
    });

    it("may use a buffer that it is given, if that is large enough", async () => {
      await put(0, 2 * PIECE);
      for (const length of [PIECE - 1, PIECE, 2 * PIECE]) {
        const got = await stored.readChunk(0, 10, PIECE + 10, Buffer.alloc(length));
        assertBytes(got ?? Buffer.of(), content.subarray(10, PIECE + 10));
      }
    });

    it("does not mind an empty write, and refuses one beyond its chunk", async () => {
      await stored.writeChunk(0, 5, new Uint8Array(0));
      expect(stored.bytes).toBe(0);
      await expect(stored.writeChunk(0, CHUNK_SIZE - 1, new Uint8Array(2))).rejects.toThrow(RangeError);
      expect(stored.bytes).toBe(0);
    });

    it("goes on after a release, and during one", async () => {
      await put(0, PIECE);
      await stored.release();
      await holds(0, PIECE);
      await stored.release();
      await put(PIECE, 2 * PIECE);
      await Promise.all([
        put(2 * PIECE, CHUNK_SIZE),
        stored.release(),
        holds(0, 2 * PIECE),
        stored.release(),
        put(CHUNK_SIZE, CHUNK_SIZE + PIECE),
        stored.release(),
      ]);
      await holds(0, CHUNK_SIZE + PIECE);
    });

    it("has what was flushed when it is opened again", async () => {
      await put(10, CHUNK_SIZE + 10);
      await stored.flush();
      const again = await fixture.store.open(NAME);
      expect(again.spans()).toEqual([{ start: 10, end: CHUNK_SIZE + 10 }]);
      assertBytes(await read(again, 10, CHUNK_SIZE + 10), content.subarray(10, CHUNK_SIZE + 10));
      await again.release();
    });

    it("keeps variants, ids and sources apart, and forgets the deleted one only", async () => {
      const names = [
        { ...NAME, variant: "2" },
        { ...NAME, id: "Song" },
        { ...NAME, source: "song", id: "s" },
      ];
      await put(0, 10);
      await stored.release();
      for (const [n, name] of names.entries()) {
        const other = await fixture.store.open(name);
        expect(other.bytes).toBe(0);
        await other.writeChunk(0, 0, Buffer.alloc(n + 1, n));
        await other.release();
      }
      await fixture.store.delete(NAME);
      await fixture.store.delete({ ...NAME, id: "never there" });
      stored = await fixture.store.open(NAME);
      expect(stored.bytes).toBe(0);
      for (const [n, name] of names.entries()) {
        const other = await fixture.store.open(name);
        assertBytes(await read(other, 0, n + 1), Buffer.alloc(n + 1, n));
        await other.release();
      }
      await put(0, 20);
      await holds(0, 20);
    });
  });
}
