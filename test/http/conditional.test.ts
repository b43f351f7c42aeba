import { describe, expect, it } from "vitest";
import { etagOf, judgePreconditions, rangeApplies } from "../../src/http/conditional.ts";

const etag = etagOf("demo", "yaman", "1");

describe("etagOf", () => {
  it("is a quoted hash of 27 characters that names nothing", () => {
    expect(etag).toMatch(/^"[A-Za-z0-9_-]{27}"$/);
    expect(etagOf("demo", "yaman", "1")).toBe(etag);
  });

  it("differs wherever source, id or variant differ, however they are cut", () => {
    const triples = [
      ["a", "b", "c"],
      ["ab", "", "c"],
      ["a", "bc", ""],
      ["", "ab", "c"],
      ["a", 'b","c', ""],
      ["a", "B", "c"],
      ["a", "b\u0000", "c"],
      ["a", "b", "\u0000c"],
    ] as const;
    expect(new Set(triples.map(([source, id, variant]) => etagOf(source, id, variant))).size).toBe(triples.length);
  });
});

describe("If-None-Match", () => {
  it.each([etag, `W/${etag}`, `"other", ${etag}`, `"a,b",W/"c" ,\t${etag}`, `,,${etag},`, "*", ` ${etag} `])(
    "304 for %s",
    (value) => expect(judgePreconditions({ "if-none-match": value }, etag)).toBe("not-modified"),
  );

  it.each([
    '"other"',
    'W/"other"',
    "",
    ",",
    etag.slice(1, -1),
    `${etag} "x"`,
    `w/${etag}`,
    `"unclosed, ${etag}`,
    "**",
    `*, ${etag}`,
  ])("as usual for %j", (value) => expect(judgePreconditions({ "if-none-match": value }, etag)).toBe("proceed"));

  it("as usual while the variant is unknown", () => {
    expect(judgePreconditions({ "if-none-match": "*" }, undefined)).toBe("proceed");
    expect(judgePreconditions({ "if-none-match": etag }, undefined)).toBe("proceed");
  });

  it("takes linear time over a long list of nothing", () => {
    expect(judgePreconditions({ "if-none-match": `${" ".repeat(100_000)}x` }, etag)).toBe("proceed");
  });
});

describe("If-Match", () => {
  it.each(["*", etag, `"other", ${etag}`])("holds for %s", (value) =>
    expect(judgePreconditions({ "if-match": value }, etag)).toBe("proceed"),
  );

  it.each(['"other"', `W/${etag}`, "", "garbage"])("412 for %j", (value) =>
    expect(judgePreconditions({ "if-match": value }, etag)).toBe("precondition-failed"),
  );

  it("412 for any tag while the variant is unknown, but not for *", () => {
    expect(judgePreconditions({ "if-match": etag }, undefined)).toBe("precondition-failed");
    expect(judgePreconditions({ "if-match": "*" }, undefined)).toBe("proceed");
  });

  it("comes before If-None-Match", () => {
    expect(judgePreconditions({ "if-match": '"old"', "if-none-match": etag }, etag)).toBe("precondition-failed");
    expect(judgePreconditions({ "if-match": etag, "if-none-match": etag }, etag)).toBe("not-modified");
  });
});

it("proceeds where there is no condition", () => {
  expect(judgePreconditions({}, etag)).toBe("proceed");
  expect(judgePreconditions({}, undefined)).toBe("proceed");
});

describe("If-Range", () => {
  it("lets the range count without a condition, or with exactly the current tag", () => {
    expect(rangeApplies(undefined, etag)).toBe(true);
    expect(rangeApplies(undefined, undefined)).toBe(true);
    expect(rangeApplies(etag, etag)).toBe(true);
    expect(rangeApplies(` ${etag}`, etag)).toBe(true);
  });

  it.each([
    ["another tag", '"old"'],
    ["the tag, weak", `W/${etag}`],
    ["a date", "Wed, 21 Oct 2026 07:28:00 GMT"],
    ["a list", `${etag}, "old"`],
    ["a star", "*"],
    ["nothing", ""],
    ["the tag without quotes", etag.slice(1, -1)],
  ])("sends the whole for %s", (_, value) => expect(rangeApplies(value, etag)).toBe(false));

  it("sends the whole while the variant is unknown", () => expect(rangeApplies(etag, undefined)).toBe(false));
});
