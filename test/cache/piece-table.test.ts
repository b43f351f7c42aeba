import { randomBytes } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { combineCrc32, crc32 } from "../../src/cache/crc32.ts";
import { chunkOf, chunkSpan, PieceTable, type Span, subtract } from "../../src/cache/piece-table.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";

const WIDTH = 60;
const span = fc
  .tuple(fc.nat(WIDTH), fc.nat(WIDTH))
  .filter(([a, b]) => a !== b)
  .map(([a, b]): Span => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const step = fc.oneof(
  fc.record({ verb: fc.constant("fill" as const), span }),
  fc.record({ verb: fc.constant("replace" as const), span }),
  fc.record({ verb: fc.constant("remove" as const), span }),
  fc.record({ verb: fc.constant("merge" as const), span }),
);

/** A bit a byte. */
const spansOf = (bits: readonly boolean[]): Span[] => {
  const spans: { start: number; end: number }[] = [];
  for (const [at, bit] of bits.entries()) {
    if (!bit) continue;
    const last = spans.at(-1);
    if (last?.end === at) last.end = at + 1;
    else spans.push({ start: at, end: at + 1 });
  }
  return spans;
};

it("a table of pieces says what a map of single bytes says", () => {
  const content = randomBytes(WIDTH);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const table = new PieceTable();
      const bits: boolean[] = Array<boolean>(WIDTH).fill(false);
      const piece = ({ start, end }: Span) => ({
        start,
        end,
        crc: crc32(content.subarray(start, end)),
        checked: false,
      });
      for (const { verb, span: within } of steps) {
        const { start, end } = within;
        const cut = table.within(start, end);
        if (verb === "fill") {
          for (const hole of table.missing(start, end)) table.add(piece(hole));
          bits.fill(true, start, end);
        } else if (verb === "merge") {
          const merged = table.merge(start, end);
          const exact = cut.length > 1 && cut[0]?.start === start && cut.at(-1)?.end === end;
          expect(merged !== undefined).toBe(exact && bits.slice(start, end).every(Boolean));
        } else {
          // Pieces go as a whole.
          for (const old of cut) bits.fill(false, old.start, old.end);
          if (verb === "remove") expect(table.removeWithin(start, end)).toBe(cut.length > 0);
          else {
            table.replace(piece(within));
            bits.fill(true, start, end);
          }
        }
        expect(table.bytes).toBe(bits.filter(Boolean).length);
        expect(table.spans()).toEqual(spansOf(bits));
        expect(table.missing(start, end)).toEqual(spansOf(bits.map((bit, at) => !bit && at >= start && at < end)));
        for (let at = 0; at <= WIDTH; at += 1) {
          const gap = bits.indexOf(false, at);
          const next = bits.indexOf(true, at);
          expect(table.contiguousEnd(at)).toBe(bits[at] === true ? (gap < 0 ? WIDTH : gap) : at);
          expect(table.nextStart(at)).toBe(next < 0 ? undefined : next);
          expect(table.hasAllChunks(at)).toBe(bits.slice(0, at).every(Boolean));
        }
        for (const one of table.pieces) expect(one.crc).toBe(crc32(content.subarray(one.start, one.end)));
      }
    }),
    { numRuns: 60 },
  );
});

it("pieces must not overlap", () => {
  const table = new PieceTable();
  table.add({ start: 10, end: 20, crc: 0, checked: true });
  for (const [start, end] of [
    [0, 11],
    [19, 30],
    [12, 13],
    [0, 40],
  ] as const) {
    expect(() => table.add({ start, end, crc: 0, checked: true })).toThrow(RangeError);
  }
  const [old] = table.pieces;
  table.replace({ start: 10, end: 20, crc: 1, checked: true });
  expect(old && table.remove(old)).toBe(false);
  expect(table.bytes).toBe(10);
});

it("merged pieces count as checked only if all of them were", () => {
  const table = new PieceTable();
  table.add({ start: 0, end: 5, crc: 0, checked: true });
  table.add({ start: 5, end: 9, crc: 0, checked: false });
  expect(table.merge(0, 9)?.checked).toBe(false);
});

it("knows chunks by their place", () => {
  expect([0, CHUNK_SIZE - 1, CHUNK_SIZE, 2 ** 40].map(chunkOf)).toEqual([0, 0, 1, 2 ** 21]);
  expect(chunkSpan(1, undefined)).toEqual({ start: CHUNK_SIZE, end: 2 * CHUNK_SIZE });
  expect(chunkSpan(1, CHUNK_SIZE + 1)).toEqual({ start: CHUNK_SIZE, end: CHUNK_SIZE + 1 });
});

it("takes one stretch from another", () => {
  fc.assert(
    fc.property(span, span, (from, what) => {
      const bits = Array.from({ length: WIDTH }, (_, at) => at >= from.start && at < from.end);
      bits.fill(false, what.start, what.end);
      expect(subtract(from, what)).toEqual(spansOf(bits));
    }),
  );
});

it("checksums combine as if the bytes had been read in a row", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      expect(crc32(a)).toBe(zlibCrc32(a));
      expect(combineCrc32(zlibCrc32(a), zlibCrc32(b), b.length)).toBe(zlibCrc32(Buffer.concat([a, b])));
    }),
  );
  const large = randomBytes(3 * CHUNK_SIZE);
  for (const at of [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, 2 * CHUNK_SIZE + 1, large.length]) {
    const [a, b] = [large.subarray(0, at), large.subarray(at)];
    expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(zlibCrc32(large));
  }
  expect(crc32("123456789")).toBe(0xcbf43926);
});
