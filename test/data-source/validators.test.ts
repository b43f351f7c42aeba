import { describe, expect, test } from "vitest";
import { validatorOf, validatorsConflict, variantOf } from "../../src/data-source/validators.ts";

const url = new URL("https://media.example.com/a?sig=secret");
const other = new URL("https://mirror.example.com/a");

describe("validators", () => {
  test("name their place without the query, and leave weak and malformed tags out", () => {
    expect(validatorOf(url, '"1"', "Mon")).toEqual({
      origin: "https://media.example.com/a",
      etag: '"1"',
      lastModified: "Mon",
    });
    for (const tag of ['W/"1"', "1", '"1', '"1" "2"', undefined]) {
      expect(validatorOf(url, tag, undefined)).toEqual({ origin: "https://media.example.com/a" });
    }
  });

  test.each([
    ["another tag", { etag: '"1"' }, { etag: '"2"' }, true],
    ["the same tag, another date: the tag decides", { etag: '"1"', date: "Mon" }, { etag: '"1"', date: "Tue" }, false],
    ["another date", { date: "Mon" }, { date: "Tue" }, true],
    ["nothing to compare", { etag: '"1"' }, { date: "Tue" }, false],
  ])("%s", (_title, a, b, conflict) => {
    const make = (from: { etag?: string; date?: string }, at = url) => validatorOf(at, from.etag, from.date);
    expect(validatorsConflict(make(a), make(b))).toBe(conflict);
    expect(validatorsConflict(make(a), make(b, other))).toBe(false);
    expect(validatorsConflict(make(a), undefined)).toBe(false);
  });

  test("name bytes by the strong tag, else by date and size, else not at all", () => {
    const tag = variantOf(validatorOf(url, '"1"', "Mon"), 10);
    expect(tag).toMatch(/^etag-[0-9a-f]{16}$/);
    expect(variantOf(validatorOf(other, '"1"', undefined), undefined)).toBe(tag);
    const date = variantOf(validatorOf(url, 'W/"1"', "Mon"), 10);
    expect(date).toMatch(/^date-[0-9a-f]{16}$/);
    expect(variantOf(validatorOf(url, undefined, "Mon"), 11)).not.toBe(date);
    expect(variantOf(validatorOf(url, undefined, "Mon"), undefined)).toBeUndefined();
    expect(variantOf(validatorOf(url, undefined, undefined), 10)).toBeUndefined();
  });
});
