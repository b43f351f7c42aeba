import { describe, expect, it } from "vitest";
import { AfterbayError, type ErrorCode } from "../../src/errors.ts";
import { problemOf } from "../../src/http/problem.ts";

function answer(error: unknown): { status: number; retryAfter: string | undefined; json: Record<string, unknown> } {
  const { status, headers, body } = problemOf(error);
  expect(headers["content-type"]).toBe("application/problem+json");
  expect(headers["content-length"]).toBe(String(Buffer.byteLength(body)));
  const json = JSON.parse(body) as Record<string, unknown>;
  expect(json).toMatchObject({ type: "about:blank", status });
  return { status, retryAfter: headers["retry-after"], json };
}

function codeOfRefused(status: number): unknown {
  return answer(new AfterbayError("url-refused", "x", { status })).json["code"];
}

describe("problemOf", () => {
  it.each<[ErrorCode, number, string, string | undefined]>([
    ["bad-request", 400, "bad-request", undefined],
    ["forbidden", 403, "forbidden", undefined],
    ["not-found", 404, "not-found", undefined],
    ["unplayable", 410, "unplayable", undefined],
    ["variant-changed", 410, "variant-changed", undefined],
    ["upstream-failed", 502, "upstream-failed", undefined],
    ["offline", 503, "offline", "5"],
    ["busy", 503, "busy", "1"],
    ["circuit-open", 503, "circuit-open", "5"],
    ["upstream-timeout", 504, "upstream-timeout", undefined],
    ["not-cached", 504, "not-cached", undefined],
    ["no-space", 507, "no-space", undefined],
    ["transient", 502, "upstream-failed", undefined],
    ["wrong-answer", 502, "upstream-failed", undefined],
    ["url-refused", 502, "upstream-failed", undefined],
    ["range-refused", 502, "upstream-failed", undefined],
    ["stalled", 504, "upstream-timeout", undefined],
    ["unreachable", 503, "offline", "5"],
    ["preempted", 503, "busy", "1"],
  ])("%s: %i %s", (code, status, shown, retryAfter) => {
    const found = answer(new AfterbayError(code, "Words"));
    expect([found.status, found.json["code"], found.retryAfter]).toEqual([status, shown, retryAfter]);
    expect(typeof found.json["title"]).toBe("string");
    expect(found.json["detail"]).toEqual(code === shown ? "Words" : expect.not.stringContaining("Words"));
  });

  it("takes a URL refused with 404 or 410 for a track that does not exist", () => {
    expect([404, 410, 403, 401].map(codeOfRefused)).toEqual([
      "not-found",
      "not-found",
      "upstream-failed",
      "upstream-failed",
    ]);
  });

  it("rounds Retry-After up to whole seconds, from 1 to 3600", () => {
    const wait = (retryAfterMs: number): unknown =>
      answer(new AfterbayError("circuit-open", "x", { retryAfterMs })).retryAfter;
    expect([0, 1, 1001, 5000, 1e12, Number.NaN].map(wait)).toEqual(["1", "1", "2", "5", "3600", "5"]);
    expect(answer(new AfterbayError("transient", "x", { retryAfterMs: 7000 })).retryAfter).toBe("7");
  });

  it.each([new Error("secret /home/me"), new TypeError("x"), "text", undefined, { code: "busy", message: "m" }])(
    "says nothing of an unknown error",
    (error) => {
      const { status, headers, body } = problemOf(error);
      expect([status, headers["retry-after"]]).toEqual([500, undefined]);
      expect(JSON.parse(body)).toEqual({
        type: "about:blank",
        title: "Internal Server Error",
        status: 500,
        code: "internal",
      });
    },
  );

  it("lets no address, control character or endless text through", () => {
    const error = new AfterbayError(
      "unplayable",
      `Not here:\r\nhttps://u:p@host/x?sig=SECRET, sorry ${"x".repeat(500)}`,
      {
        cause: new Error("SECRET"),
      },
    );
    const detail = String(answer(error).json["detail"]);
    expect(detail).toMatch(/^Not here: \(address removed\) sorry x+…$/);
    expect(detail).toHaveLength(300);
    expect(problemOf(error).body).not.toContain("SECRET");
  });
});
