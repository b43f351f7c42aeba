import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, expect, it } from "vitest";
import type { StoredVariant } from "../../src/cache/chunk-store.ts";
import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import { PieceWriter } from "../../src/cache/piece-writer.ts";
import { systemClock } from "../../src/data-source/clock.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { read } from "../helpers/chunk-store-contract.ts";

const PIECE = 64 * 1024;
const content = randomBytes(2 * CHUNK_SIZE);
let stored: StoredVariant;
let writes: [start: number, length: number][];
let gained: number;
let errors: unknown[];
let fail: (start: number) => boolean;
beforeEach(async () => {
  const memory = await new MemoryChunkStore().open({ source: "s", id: "i", variant: "v" });
  const write = memory.writeChunk.bind(memory);
  stored = Object.assign(memory, {
    writeChunk: async (index: number, from: number, bytes: Uint8Array) => {
      const start = index * CHUNK_SIZE + from;
      writes.push([start, bytes.length]);
      if (fail(start)) throw new Error("no room");
      await write(index, from, bytes);
    },
  });
  writes = [];
  gained = 0;
  errors = [];
  fail = () => false;
});
const writer = (): PieceWriter =>
  new PieceWriter(
    stored,
    systemClock,
    (bytes) => (gained += bytes),
    (error) => errors.push(error),
  );

it("gathers small arrivals into pieces that end at multiples of 64 KiB, within one chunk", async () => {
  const pieces = writer();
  for (let at = 1000; at < CHUNK_SIZE + 5000; at += 777) {
    pieces.push(at, content.subarray(at, Math.min(at + 777, CHUNK_SIZE + 5000)));
  }
  await pieces.finish();
  expect(writes[0]).toEqual([1000, PIECE - 1000]);
  expect(writes.slice(1, 8)).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => [n * PIECE, PIECE]));
  expect(writes.at(-1)).toEqual([CHUNK_SIZE, 5000]);
  expect(gained).toBe(CHUNK_SIZE + 4000);
  assertBytes(await read(stored, 1000, CHUNK_SIZE + 5000), content.subarray(1000, CHUNK_SIZE + 5000));
});

it("takes large arrivals apart, and those that do not follow", async () => {
  const pieces = writer();
  pieces.push(5, content.subarray(5, CHUNK_SIZE + 3));
  pieces.push(CHUNK_SIZE + 100, content.subarray(CHUNK_SIZE + 100, CHUNK_SIZE + 200));
  await pieces.finish();
  expect(stored.spans()).toEqual([
    { start: 5, end: CHUNK_SIZE + 3 },
    { start: CHUNK_SIZE + 100, end: CHUNK_SIZE + 200 },
  ]);
  for (const [, length] of writes) expect(length).toBeLessThanOrEqual(PIECE);
});

it("writes a piece that does not fill up within 170 ms", async () => {
  const pieces = writer();
  pieces.push(0, content.subarray(0, 10));
  expect(pieces.pendingBytes).toBe(10);
  await delay(170);
  expect(stored.bytes).toBe(10);
  expect(pieces.pendingBytes).toBe(0);
});

it("a write that fails loses its piece and no other", async () => {
  fail = (start) => start === PIECE;
  const pieces = writer();
  pieces.push(0, content.subarray(0, 3 * PIECE));
  await pieces.finish();
  expect(errors).toHaveLength(1);
  expect(pieces.pendingBytes).toBe(0);
  expect(stored.missing(0, 3 * PIECE)).toEqual([{ start: PIECE, end: 2 * PIECE }]);
});
