import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DataSpec } from "../../src/data-source/data-source.ts";
import { overlapping } from "../../src/data-source/overlapping.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { answer, fakeSource, never, readAll, specOf } from "./fakes.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, n) => (n * 7) % 251);
/** Answers in pieces of these lengths; `whole` ignores the position. */
const pieces = (all: Uint8Array, length: number, whole = false) =>
  fakeSource<DataSpec>(({ position }) => {
    const start = whole ? 0 : position;
    const chunks: Uint8Array[] = [];
    for (let at = start; at < all.length; at += length) chunks.push(all.subarray(at, at + length));
    return answer(chunks, { start, ranged: !whole });
  });

describe("overlapping", () => {
  test("asks from inside the kept bytes, and passes on only what is new, however it is cut up", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 999 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 300 }),
        fc.boolean(),
        async (position, known, length, whole) => {
          const from = Math.max(0, position - known);
          const source = pieces(bytes, length, whole);
          const spec = specOf({ position, overlap: bytes.subarray(from, position) });
          const opened = await overlapping(source).open(spec, { signal: never });
          expect([opened.start, source.asked[0]?.position]).toEqual([position, from]);
          assertBytes(await readAll(opened), bytes.subarray(position));
        },
      ),
    );
  });

  test("one byte that differs: another version, and nothing is passed on", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 100, max: 199 }), fc.integer({ min: 1, max: 300 }), async (at, length) => {
        const other = bytes.slice();
        other[at] = (other[at] as number) ^ 1;
        const spec = specOf({ position: 200, overlap: bytes.subarray(100, 200) });
        const opened = await overlapping(pieces(other, length)).open(spec, { signal: never });
        let passed = 0;
        const read = async () => {
          for await (const chunk of opened.body) passed += chunk.length;
        };
        await expect(read()).rejects.toMatchObject({ code: "variant-changed" });
        expect(passed).toBe(0);
      }),
    );
  });

  test("without kept bytes it is not there", async () => {
    for (const spec of [specOf({ position: 5 }), specOf({ position: 5, overlap: new Uint8Array(0) })]) {
      const source = pieces(bytes, 100);
      assertBytes(await readAll(await overlapping(source).open(spec, { signal: never })), bytes.subarray(5));
      expect(source.asked[0]).toBe(spec);
    }
  });

  test("disposal reaches the upstream, also if nothing was read", async () => {
    const inner = answer([bytes]);
    const spec = specOf({ position: 5, overlap: bytes.subarray(0, 5) });
    const opened = await overlapping(fakeSource<DataSpec>(() => inner)).open(spec, { signal: never });
    await opened[Symbol.asyncDispose]();
    expect(inner.disposals).toBe(1);
  });
});
