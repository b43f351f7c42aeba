import * as fc from "fast-check";
import rangeParser from "range-parser";
import { describe, expect, it } from "vitest";
import { contentRange, parseRange, type RangeRequest, unsatisfied } from "../../src/http/ranges.ts";

const whole: RangeRequest = { kind: "whole" };
const unsatisfiable: RangeRequest = { kind: "unsatisfiable" };
const multiple: RangeRequest = { kind: "multiple" };
const range = (start: number, end?: number): RangeRequest => ({ kind: "range", start, end });
const suffix = (length: number): RangeRequest => ({ kind: "suffix", length });

describe("a range of a resource with 1000 bytes", () => {
  it.each<[string | undefined, RangeRequest]>([
    [undefined, whole],
    ["bytes=0-1", range(0, 2)],
    ["bytes=0-0", range(0, 1)],
    ["bytes=0-", range(0, 1000)],
    ["bytes=500-", range(500, 1000)],
    ["bytes=999-", range(999, 1000)],
    ["bytes=999-999", range(999, 1000)],
    ["bytes=0-999", range(0, 1000)],
    ["bytes=0-1000", range(0, 1000)],
    ["bytes=990-5000", range(990, 1000)],
    ["bytes=007-0009", range(7, 10)],
    ["bytes=-500", range(500, 1000)],
    ["bytes=-1", range(999, 1000)],
    ["bytes=-1000", range(0, 1000)],
    ["bytes=-1001", range(0, 1000)],
    ["bytes=-99999", range(0, 1000)],
  ])("%j is satisfiable", (header, expected) => expect(parseRange(header, 1000)).toEqual(expected));

  it.each(["bytes=1000-", "bytes=1000-1000", "bytes=1000-2000", "bytes=5000-", "bytes=-0", "bytes=-000"])(
    "%j is unsatisfiable",
    (header) => expect(parseRange(header, 1000)).toEqual(unsatisfiable),
  );

  it.each([
    ["an end before the start", "bytes=5-2"],
    ["another unit", "items=0-1"],
    ["no unit", "0-1"],
    ["no equals sign", "bytes"],
    ["no ranges", "bytes="],
    ["only commas", "bytes=,,"],
    ["a bare dash", "bytes=-"],
    ["one number", "bytes=5"],
    ["letters", "bytes=a-b"],
    ["hexadecimal", "bytes=0x1-0x2"],
    ["a sign", "bytes=+1-2"],
    ["two dashes", "bytes=1--2"],
    ["a negative end", "bytes=1-2-3"],
    ["a fraction", "bytes=1.5-2"],
    ["an exponent", "bytes=1e2-"],
    ["other digits", "bytes=١-٢"],
    ["white space within", "bytes=1 - 2"],
    ["white space before the equals sign", "bytes =0-1"],
    ["a prefix", "xbytes=0-1"],
    ["an empty header", ""],
    ["one invalid range among valid ones", "bytes=0-1,5-2"],
    ["a repeated header, joined", "bytes=0-1, bytes=4-5"],
  ])("%s is ignored", (_, header) => expect(parseRange(header, 1000)).toEqual(whole));

  it.each([
    "Bytes=0-1",
    "BYTES=0-1",
    " bytes=0-1",
    "bytes=0-1 ",
    "bytes= 0-1",
    "bytes=\t0-1\t",
    "bytes=0-1,",
    "bytes=, ,0-1",
  ])("%j is read as 0-1", (header) => expect(parseRange(header, 1000)).toEqual(range(0, 2)));

  it("takes positions beyond 2^53", () => {
    expect(parseRange("bytes=0-99999999999999999999", 1000)).toEqual(range(0, 1000));
    expect(parseRange("bytes=9007199254740993-", 1000)).toEqual(unsatisfiable);
    expect(parseRange(`bytes=${"9".repeat(400)}-`, 1000)).toEqual(unsatisfiable);
    expect(parseRange(`bytes=-${"9".repeat(400)}`, 1000)).toEqual(range(0, 1000));
    expect(parseRange("bytes=9007199254740993-9007199254740992", 1000)).toEqual(whole);
  });

  it("answers several ranges with the whole body, unless none can be had", () => {
    expect(parseRange("bytes=0-1,4-5", 1000)).toEqual(multiple);
    expect(parseRange("bytes=0-1 , -5", 1000)).toEqual(multiple);
    expect(parseRange("bytes=0-1,2000-", 1000)).toEqual(multiple);
    expect(parseRange("bytes=1000-,2000-,-0", 1000)).toEqual(unsatisfiable);
  });

  it("ignores 1,000 ranges and endless headers, whatever they hold", () => {
    const thousand = Array.from({ length: 1000 }, (_, index) => `${index}-${index}`).join(",");
    expect(parseRange(`bytes=${thousand}`, 1000)).toEqual(whole);
    expect(parseRange(`bytes=${"0-,".repeat(33)}`, 1000)).toEqual(whole);
    expect(parseRange(`bytes=${"0-,".repeat(32)}`, 1000)).toEqual(multiple);
    expect(parseRange(`bytes=0-${"9".repeat(4000)}`, 1000)).toEqual(whole);
  });
});

describe("a range of an empty resource", () => {
  it.each<[string, RangeRequest]>([
    ["bytes=0-", unsatisfiable],
    ["bytes=0-0", unsatisfiable],
    ["bytes=-0", unsatisfiable],
    ["bytes=-1", whole],
  ])("%s", (header, expected) => expect(parseRange(header, 0)).toEqual(expected));
});

describe("a range of a resource of unknown size", () => {
  it.each<[string, RangeRequest]>([
    ["bytes=0-", range(0)],
    ["bytes=5-", range(5)],
    ["bytes=5-9", range(5, 10)],
    ["bytes=-500", suffix(500)],
    ["bytes=-0", unsatisfiable],
    ["bytes=5-2", whole],
    ["bytes=0-1,4-5", multiple],
    [`bytes=5-${"9".repeat(30)}`, range(5, Number.MAX_SAFE_INTEGER)],
  ])("%s", (header, expected) => expect(parseRange(header, undefined)).toEqual(expected));
});

describe("parseRange", () => {
  const number = fc.nat(3000);

  it("agrees with range-parser on single ranges that both read by the RFC", () => {
    // Not on suffixes longer than the resource, which range-parser refuses, nor on 5-2, which it calls unsatisfiable.
    const spec = fc
      .tuple(number, fc.option(number, { nil: undefined }), fc.nat(3000))
      .chain(([first, length, tail]) =>
        fc.constantFrom(length === undefined ? `${first}-` : `${first}-${first + length}`, `-${tail}`),
      );
    fc.assert(
      fc.property(spec, number, (text, size) => {
        fc.pre(!text.startsWith("-") || Number(text.slice(1)) <= size);
        const oracle = rangeParser(size, `bytes=${text}`);
        const found = parseRange(`bytes=${text}`, size);
        if (oracle === -1) expect(found).toEqual(unsatisfiable);
        else if (oracle === -2) expect(found).toEqual(whole);
        else expect(found).toEqual(range(oracle[0]?.start ?? -1, (oracle[0]?.end ?? -1) + 1));
      }),
    );
  });

  it("never throws, and never names a byte outside of the resource", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map((rest) => `bytes=${rest}`),
      fc
        .array(fc.constantFrom("0", "7", "-", ",", " ", "99999999999999999999"), { maxLength: 12 })
        .map((parts) => `bytes=${parts.join("")}`),
    );
    fc.assert(
      fc.property(text, fc.option(fc.nat(50), { nil: undefined }), (header, size) => {
        const found = parseRange(header, size);
        if (found.kind !== "range" || size === undefined) return;
        expect(found.start).toBeGreaterThanOrEqual(0);
        expect(found.end).toBeGreaterThan(found.start);
        expect(found.end).toBeLessThanOrEqual(size);
      }),
    );
  });
});

describe("the headers of answers", () => {
  it("counts the last byte in", () => {
    expect(contentRange(0, 2, 1000)).toBe("bytes 0-1/1000");
    expect(contentRange(5, 6, undefined)).toBe("bytes 5-5/*");
    expect(unsatisfied(1000)).toBe("bytes */1000");
    expect(unsatisfied(0)).toBe("bytes */0");
  });
});
