import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAfterbayError } from "../../src/errors.ts";
import {
  isTrackId,
  parseLink,
  parseStreamPath,
  parseTrackKey,
  parseTrackPath,
  splitTarget,
  trackKey,
  trackPath,
} from "../../src/http/track-path.ts";

const badRequest = (read: () => unknown): void => {
  try {
    read();
  } catch (error) {
    expect(isAfterbayError(error, "bad-request")).toBe(true);
    return;
  }
  expect.unreachable("nothing was thrown");
};

describe("links as they are", () => {
  it.each([
    ["https://youtu.be/x?a=%2F", { source: undefined, id: "https://youtu.be/x?a=%2F" }],
    ["HTTP://x", { source: undefined, id: "HTTP://x" }],
    ["music/https://youtu.be/x", { source: "music", id: "https://youtu.be/x" }],
    ["music/playlist:https://x/y", { source: "music", id: "playlist:https://x/y" }],
    ["Music/https://youtu.be/x", undefined],
    ["a/b/https://youtu.be/x", undefined],
    ["https:/x", undefined],
    ["ftp://x/y", undefined],
    ["id", undefined],
  ])("%s", (text, expected) => {
    expect(parseLink(text)).toEqual(expected);
  });

  it("are no longer than ids, and in one line", () => {
    expect(parseLink(`https://x/${"y".repeat(190)}`)?.id).toHaveLength(200);
    for (const text of [`https://x/${"y".repeat(191)}`, "https://x/\n"]) {
      expect(() => parseLink(text)).toThrow(expect.objectContaining({ code: "bad-request" }));
    }
  });
});

describe("splitTarget", () => {
  it.each([
    ["/stream/a?quality=low&x", "/stream/a", "quality=low&x="],
    ["/stream/a", "/stream/a", ""],
    ["/stream/..", "/stream/..", ""],
    ["/stream/a?b?c", "/stream/a", "b%3Fc="],
    ["http://127.0.0.1:8085/stream/a?x=1", "/stream/a", "x=1"],
    ["http://127.0.0.1:8085?x=1", "/", "x=1"],
    ["//host/stream/a", "//host/stream/a", ""],
    ["*", "*", ""],
  ])("%s", (target, path, query) => {
    const split = splitTarget(target);
    expect([split.path, split.query.toString()]).toEqual([path, query]);
  });
});

describe("parseStreamPath", () => {
  it.each([
    ["/stream/yaman", undefined, "yaman"],
    ["/stream/demo/yaman", "demo", "yaman"],
    ["/stream/demo/a%2Fb", "demo", "a/b"],
    ["/stream/a%2fb", undefined, "a/b"],
    ["/stream/%252F", undefined, "%2F"],
    ["/stream/..", undefined, ".."],
    ["/stream/demo/.", "demo", "."],
    ["/stream/%2e%2e", undefined, ".."],
    ["/stream/..%2F..%2Fetc%2Fpasswd", undefined, "../../etc/passwd"],
    ["/stream/aBc", undefined, "aBc"],
    ["/stream/a+b%20c", undefined, "a+b c"],
    ["/stream/d%65mo/x", "demo", "x"],
    ["/stream/%C3%A9%F0%9F%8E%B5", undefined, "é🎵"],
    ["/stream/\xc3\xa9", undefined, "é"],
    [`/stream/${"x".repeat(200)}`, undefined, "x".repeat(200)],
    [`/stream/${"%F0%9F%8E%B5".repeat(200)}`, undefined, "🎵".repeat(200)],
    ["/stream/a:b;c=d,e@f", undefined, "a:b;c=d,e@f"],
  ])("%s", (path, source, id) => expect(parseStreamPath(path)).toEqual({ source, id }));

  it.each([
    ["three segments", "/stream/demo/a/b"],
    ["a slash at the end", "/stream/demo/"],
    ["no id", "/stream/"],
    ["an empty source", "/stream//a"],
    ["a malformed percent sign", "/stream/%"],
    ["half an escape", "/stream/%2"],
    ["an escape that is not hexadecimal", "/stream/%zz"],
    ["invalid UTF-8", "/stream/%ff"],
    ["an overlong slash", "/stream/%c0%af"],
    ["a surrogate half", "/stream/%ed%a0%80"],
    ["raw invalid UTF-8", "/stream/\xff"],
    ["NUL", "/stream/a%00"],
    ["a line break", "/stream/a%0D%0Ab"],
    ["DEL", "/stream/%7f"],
    ["C1", "/stream/%c2%85"],
    ["201 characters", `/stream/${"x".repeat(201)}`],
    ["201 wide characters", `/stream/${"%F0%9F%8E%B5".repeat(201)}`],
    ["a source in capitals", "/stream/Demo/a"],
    ["a source that begins with a digit", "/stream/1x/a"],
    ["a source with a dot", "/stream/../a"],
    ["a source with an encoded slash", "/stream/a%2Fb/c"],
  ])("bad-request for %s", (_, path) => badRequest(() => parseStreamPath(path)));

  it.each(["/", "/stream", "/streams/a", "/Stream/a", "//stream/a", "/api/stream/a", "/%73tream/a"])(
    "%s is no stream path",
    (path) => expect(parseStreamPath(path)).toBeUndefined(),
  );
});

describe("parseTrackPath", () => {
  it("reads source, id and what follows, raw", () => {
    expect(parseTrackPath("/api/tracks/", "/api/tracks/demo/a%2Fb")).toEqual({ source: "demo", id: "a/b", rest: [] });
    expect(parseTrackPath("/api/tracks/", "/api/tracks/demo/pin/pin")).toEqual({
      source: "demo",
      id: "pin",
      rest: ["pin"],
    });
    expect(parseTrackPath("/api/tracks/", "/api/tracks/demo/a/b%2Fc/")).toEqual({
      source: "demo",
      id: "a",
      rest: ["b%2Fc", ""],
    });
    expect(parseTrackPath("/api/tracks/", "/api/tracks")).toBeUndefined();
    expect(parseTrackPath("/api/prefetch/", "/api/tracks/demo/a")).toBeUndefined();
  });

  it.each(["/api/tracks/", "/api/tracks/demo", "/api/tracks/demo/", "/api/tracks/demo//pin", "/api/tracks/DEMO/a"])(
    "bad-request for %s",
    (path) => badRequest(() => parseTrackPath("/api/tracks/", path)),
  );
});

describe("keys and paths", () => {
  it("encode everything outside the unreserved characters", () => {
    expect(trackPath("demo", "yaman")).toBe("/stream/demo/yaman");
    expect(trackKey("demo", "a/b c!'()*~._-é")).toBe("demo/a%2Fb%20c%21%27%28%29%2A~._-%C3%A9");
  });

  it("come back as they were", () => {
    const source = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const id = fc.string({ unit: "binary", minLength: 1, maxLength: 200 }).filter(isTrackId);
    fc.assert(
      fc.property(source, id, (name, track) => {
        expect(parseStreamPath(trackPath(name, track))).toEqual({ source: name, id: track });
        expect(parseTrackKey(trackKey(name, track))).toEqual({ source: name, id: track });
        expect(trackKey(name, track)).toMatch(/^[A-Za-z0-9._~%-]+\/[A-Za-z0-9._~%-]+$/);
      }),
    );
  });

  it("an id alone is of the default source; three parts are refused", () => {
    expect(parseTrackKey("yaman")).toEqual({ source: undefined, id: "yaman" });
    badRequest(() => parseTrackKey("a/b/c"));
    badRequest(() => parseTrackKey(""));
    badRequest(() => parseTrackKey("demo/"));
  });
});

it("never fails but with bad-request", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      try {
        const found = parseStreamPath(`/stream/${text}`);
        expect(found !== undefined && isTrackId(found.id)).toBe(true);
      } catch (error) {
        expect(isAfterbayError(error, "bad-request")).toBe(true);
      }
    }),
  );
});

it("isTrackId refuses lone surrogates", () => {
  expect(isTrackId("\ud800")).toBe(false);
  expect(isTrackId("🎵")).toBe(true);
});
