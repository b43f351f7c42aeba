import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RequestOutcome } from "../../src/player/outcome.ts";
import { isOwnEnd, judge, type TrackEnd } from "../../src/player/verdict.ts";

const end = (changes: Partial<TrackEnd> = {}): TrackEnd => ({
  reason: "end",
  positionMs: 100_000,
  durationMs: 200_000,
  sinceSeekMs: Number.POSITIVE_INFINITY,
  ...changes,
});
const failure = end({ reason: "failed", positionMs: 0, durationMs: undefined });
const answered = (status: number, code: string, retryAfterMs?: number): RequestOutcome => ({
  outcome: "failed",
  status,
  code,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});
const first = { reloads: 0, forMs: 0 };

describe("an end", () => {
  test.each([
    [197_001, Number.POSITIVE_INFINITY, true],
    [196_999, Number.POSITIVE_INFINITY, false],
    [197_001, 999, false],
    [199_100, 999, true],
    [197_001, 1000, true],
  ])("at %d of 200,000 ms, %d ms after a seek: its own is %s", (positionMs, sinceSeekMs, own) => {
    expect(isOwnEnd(end({ positionMs, sinceSeekMs }))).toBe(own);
  });

  test("too early, without a reason: loaded again three times, then failed", () => {
    const verdicts = [0, 1, 2, 3].map((reloads) => judge(end(), { outcome: "left" }, { reloads, forMs: 0 }));
    expect(verdicts).toMatchObject([
      { kind: "reload", afterMs: 0, waits: false },
      { kind: "reload", afterMs: 500 },
      { kind: "reload", afterMs: 1000 },
      { kind: "failed", code: "cut-short" },
    ]);
  });

  test("too early, though all was sent: looked at twice, then the length was wrong", () => {
    const whole: RequestOutcome = { outcome: "complete", status: 206 };
    expect(judge(end(), whole, first).kind).toBe("reload");
    expect(judge(end(), whole, { reloads: 1, forMs: 50 }).kind).toBe("finished");
  });

  test("of a track of unknown length is its own, unless the proxy says otherwise", () => {
    expect(judge(end({ durationMs: undefined }), undefined, first).kind).toBe("finished");
    expect(judge(end({ durationMs: undefined }), { outcome: "cut", code: "offline" }, first).kind).toBe("reload");
  });
});

describe("a failure", () => {
  test.each([
    [404, "not-found"],
    [410, "unplayable"],
  ])("%d %s skips at once", (status, code) => {
    expect(judge(failure, answered(status, code), first)).toMatchObject({ kind: "failed", code });
    expect(judge(failure, { outcome: "failed", status }, first)).toMatchObject({ kind: "failed", code });
    expect(judge(end(), { outcome: "cut", status: 206, code }, first).kind).toBe("failed");
  });

  test("410 variant-changed loads again, at once, three times at most", () => {
    const changed = answered(410, "variant-changed");
    expect(judge(end(), changed, first)).toMatchObject({ kind: "reload", afterMs: 0, waits: false });
    expect(judge(end(), changed, { reloads: 3, forMs: 2000 }).kind).toBe("failed");
  });

  test("of which the proxy knows nothing is the server's", () => {
    expect(judge(failure, undefined, first)).toMatchObject({ kind: "reload", waits: true, code: "unreachable" });
  });

  test("with every byte sent is the bytes' own", () => {
    const verdicts = [0, 1, 2, 3].map((reloads) => judge(failure, { outcome: "complete" }, { reloads, forMs: 0 }));
    expect(verdicts.map(({ kind }) => kind)).toEqual(["reload", "reload", "reload", "failed"]);
    expect(verdicts[3]).toMatchObject({ code: "not-audio" });
  });
});

describe("an outage", () => {
  const codes = [
    [502, "upstream-failed"],
    [503, "offline"],
    [503, "busy"],
    [503, "circuit-open"],
    [504, "upstream-timeout"],
  ] as const;

  /** Walks through an outage of `length` ms; each try takes `tryMs`. How long until it plays again, or undefined. */
  function endures(outcome: RequestOutcome, length: number, tryMs: number): number | undefined {
    let now = tryMs;
    for (let reloads = 0; ; reloads += 1) {
      const verdict = judge(failure, outcome, { reloads, forMs: now - tryMs });
      if (verdict.kind !== "reload") return undefined;
      now += verdict.afterMs;
      if (now >= length) return now;
      now += tryMs;
    }
  }

  test.each(codes)("of 20 s skips nothing, whatever a try takes: %d %s", (status, code) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20_000 }),
        fc.option(fc.integer({ min: 0, max: 3_600_000 })),
        (tryMs, wait) => {
          const over = endures(answered(status, code, wait ?? undefined), 20_000, tryMs);
          expect(over).toBeDefined();
          expect(over).toBeLessThanOrEqual(20_000 + Math.max(tryMs, 0) + 15_000);
        },
      ),
    );
  });

  test.each(codes)("that does not end counts in the end: %d %s", (status, code) => {
    expect(endures(answered(status, code), Number.POSITIVE_INFINITY, 100)).toBeUndefined();
    expect(judge(failure, answered(status, code, 5000), first)).toMatchObject({ afterMs: 5000, waits: true });
    expect(judge(failure, answered(status, code), { reloads: 2, forMs: 60_000 }).kind).toBe("reload");
    expect(judge(failure, answered(status, code), { reloads: 3, forMs: 29_999 }).kind).toBe("reload");
    expect(judge(failure, answered(status, code), { reloads: 3, forMs: 30_000 }).kind).toBe("failed");
  });

  test("cut in the middle is waited for as well", () => {
    expect(judge(end(), { outcome: "cut", status: 206, code: "upstream-timeout" }, first)).toMatchObject({
      waits: true,
    });
  });
});

test("codes of any kind are told in words", () => {
  expect(judge(failure, answered(404, "constructor"), { reloads: 3, forMs: 0 })).toMatchObject({
    kind: "failed",
    message: "it failed (constructor)",
  });
});
