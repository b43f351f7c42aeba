import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAfterbayError } from "../../src/errors.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";

const url = "https://cdn.example/a?sig=SECRET";

describe("validateResolution", () => {
  it("keeps every known field, and nothing else", () => {
    const full = {
      url,
      headers: { "user-agent": "x", cookie: "a=b" },
      variant: "251-1712345678",
      contentLength: 4194304,
      contentType: 'audio/webm; codecs="opus"',
      expiresAt: 1790000000000.5,
      maxWindow: 1048576,
      id: "abc",
      title: "Yaman",
      artist: "A",
      album: "B",
      durationMs: 212000.25,
      artwork: "https://img.example/a.jpg",
      loudnessDb: -7.2,
    };
    expect(validateResolution({ ...full, other: 1, toString: "x" })).toEqual(full);
  });

  it("needs the URL alone; null counts as absent", () => {
    expect(validateResolution({ url })).toEqual({ url });
    expect(validateResolution({ url, title: null, headers: null, contentLength: null })).toEqual({ url });
  });

  it.each<[string, unknown]>([
    ["null", null],
    ["undefined", undefined],
    ["a string", url],
    ["a list", [{ url }]],
    ["no URL", {}],
    ["a URL that is null", { url: null }],
    ["a URL that is an object", { url: new URL(url) }],
    ["an empty URL", { url: "" }],
    ["a relative URL", { url: "/a" }],
    ["a URL without scheme", { url: "//cdn.example/a" }],
    ["file:", { url: "file:///etc/passwd" }],
    ["data:", { url: "data:audio/mpeg,x" }],
    ["ftp:", { url: "ftp://cdn.example/a" }],
    ["a user", { url: "https://u@cdn.example/a" }],
    ["a password", { url: "https://u:p@cdn.example/a" }],
    ["an empty user with a password", { url: "https://:p@cdn.example/a" }],
    ["a malformed URL", { url: "https://" }],
    ["a malformed port", { url: "https://cdn.example:x/" }],
    ["a URL with a space", { url: " https://cdn.example/a" }],
    ["a URL with a line break", { url: "https://cdn.example/a\r\nx" }],
    ["an endless URL", { url: `${url}${"x".repeat(20_000)}` }],
    ["headers that are a list", { url, headers: ["a: b"] }],
    ["headers that are a string", { url, headers: "a: b" }],
    ["a header that is a number", { url, headers: { a: 1 } }],
    ["a header that is null", { url, headers: { a: null } }],
    ["a header with CR and LF", { url, headers: { a: "b\r\nhost: evil" } }],
    ["a header with NUL", { url, headers: { a: "b\u0000" } }],
    ["a header beyond latin1", { url, headers: { a: "🎵" } }],
    ["a header name with a space", { url, headers: { "a b": "c" } }],
    ["a header name with a colon", { url, headers: { ":path": "c" } }],
    ["an empty header name", { url, headers: { "": "c" } }],
    ["a header name with a line break", { url, headers: { "a\n": "c" } }],
    [
      "too many headers",
      { url, headers: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`h${index}`, "x"])) },
    ],
    ["an endless header", { url, headers: { a: "x".repeat(10_000) } }],
    ["an empty variant", { url, variant: "" }],
    ["a variant that is a number", { url, variant: 251 }],
    ["a variant with a line break", { url, variant: "a\nb" }],
    ["an endless variant", { url, variant: "x".repeat(600) }],
    ["an id that is a number", { url, id: 5 }],
    ["a negative length", { url, contentLength: -1 }],
    ["a length that is a string", { url, contentLength: "5" }],
    ["half a byte", { url, contentLength: 0.5 }],
    ["an infinite length", { url, contentLength: Number.POSITIVE_INFINITY }],
    ["a length that is NaN", { url, contentLength: Number.NaN }],
    ["a length beyond 2^53", { url, contentLength: 2 ** 60 }],
    ["a window of 0", { url, maxWindow: 0 }],
    ["a negative expiry", { url, expiresAt: -1 }],
    ["an expiry that is a date", { url, expiresAt: "2026-11-23T00:00:00Z" }],
    ["a negative duration", { url, durationMs: -1 }],
    ["a loudness that is a string", { url, loudnessDb: "-7" }],
    ["a loudness that is infinite", { url, loudnessDb: Number.NEGATIVE_INFINITY }],
    ["a type with a line break", { url, contentType: "audio/mpeg\r\nx: y" }],
    ["a type that is none", { url, contentType: "mp3" }],
    ["a title that is a number", { url, title: 1 }],
    ["artwork that is a file", { url, artwork: "file:///a.jpg" }],
  ])("refuses %s", (_, value) => {
    expect(() => validateResolution(value)).toThrow(expect.objectContaining({ code: "wrong-answer" }));
    expect(() => validateResolution(value)).toThrow(/^The resolution is not valid: (?!.*(SECRET|evil))[^\n]+$/);
  });

  it("leaves out the headers that Afterbay writes itself", () => {
    const headers = {
      "User-Agent": "yt",
      Host: "evil.example",
      "CONTENT-LENGTH": "5",
      connection: "close",
      "Transfer-Encoding": "chunked",
      Range: "bytes=0-",
      "if-range": '"x"',
      "Accept-Encoding": "gzip",
      "If-None-Match": "*",
      Expect: "100-continue",
      Upgrade: "h2c",
    };
    expect(validateResolution({ url, headers }).headers).toEqual({ "user-agent": "yt" });
  });

  it("takes a hostile header object as data", () => {
    const headers: unknown = JSON.parse('{"__proto__":"x","constructor":"y"}');
    const found = validateResolution({ url, headers }).headers ?? {};
    expect(Object.entries(found)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
  });

  it("makes words for display harmless", () => {
    expect(validateResolution({ url, title: "a\u0000\r\nb", artist: "", album: "x".repeat(2000) })).toMatchObject({
      title: "a b",
      artist: "",
      album: "x".repeat(1000),
    });
  });

  it("never fails but with wrong-answer", () => {
    const value = fc.oneof(
      fc.anything(),
      fc.record({ url: fc.webUrl(), headers: fc.anything(), contentLength: fc.anything(), title: fc.anything() }),
    );
    fc.assert(
      fc.property(value, (answer) => {
        try {
          validateResolution(answer);
        } catch (error) {
          expect(isAfterbayError(error, "wrong-answer")).toBe(true);
        }
      }),
    );
  });
});
