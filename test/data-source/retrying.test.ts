import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DataSpec } from "../../src/data-source/data-source.ts";
import { Need } from "../../src/data-source/need.ts";
import { refreshing } from "../../src/data-source/refreshing.ts";
import { backoff, retrying } from "../../src/data-source/retrying.ts";
import { AfterbayError, type ErrorCode } from "../../src/errors.ts";
import { answer, fakeSource, ManualClock, never, readAll, settle, specOf } from "./fakes.ts";

const random = (): number => 0.5;
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);
const transient = (retryAfterMs?: number): AfterbayError =>
  new AfterbayError("transient", "Failed", retryAfterMs === undefined ? {} : { retryAfterMs });

describe("backoff", () => {
  test("waits 0, 1, 2 and 4 s, then stops", () => {
    expect([0, 1, 2, 3, 4].map((retries) => backoff(retries, 0.5))).toEqual([0, 1000, 2000, 4000, undefined]);
  });

  test("stays within a fifth of that, whatever the dice say", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (retries, dice) => {
        const base = [0, 1000, 2000, 4000][retries] as number;
        const wait = backoff(retries, dice) as number;
        expect(wait).toBeGreaterThanOrEqual(base * 0.8);
        expect(wait).toBeLessThanOrEqual(base * 1.2);
      }),
    );
    expect([backoff(1, 0), backoff(1, 0.75)]).toEqual([800, 1100]);
  });

  test("waits as long as the upstream asks for, but not for minutes", () => {
    expect(backoff(0, 0.5, 3000)).toBe(3000);
    expect(backoff(3, 0.5, 3000)).toBe(4000);
    expect(backoff(0, 0.5, 20_000)).toBe(20_000);
    expect(backoff(0, 0.5, 20_001)).toBeUndefined();
    expect(backoff(4, 0.5, 1000)).toBeUndefined();
  });
});

describe("retrying", () => {
  test("the first retry is immediate, the fourth the last; then the error itself is thrown", async () => {
    const clock = new ManualClock();
    const source = fakeSource<DataSpec>(() => {
      throw transient();
    });
    const failed = retrying(source, { clock, random }).open(specOf(), { signal: never });
    failed.catch(() => {});
    await settle();
    expect(source.asked).toHaveLength(2);
    for (const wait of [1000, 2000, 4000]) {
      const before = source.asked.length;
      expect(clock.pending).toEqual([wait]);
      await clock.advance(wait - 1);
      expect(source.asked).toHaveLength(before);
      await clock.advance(1);
      expect(source.asked).toHaveLength(before + 1);
    }
    await expect(failed).rejects.toMatchObject({ code: "transient" });
    expect(source.asked).toHaveLength(5);
  });

  test.each<ErrorCode>([
    "url-refused",
    "wrong-answer",
    "range-refused",
    "variant-changed",
    "not-found",
    "unplayable",
    "busy",
  ])("%s is not retried", async (code) => {
    const source = fakeSource<DataSpec>(() => {
      throw new AfterbayError(code, "No");
    });
    const clock = new ManualClock();
    await expect(retrying(source, { clock, random }).open(specOf(), { signal: never })).rejects.toMatchObject({ code });
    expect(source.asked).toHaveLength(1);
  });

  test("bytes that arrive give all retries back, and reading goes on at the next byte", async () => {
    const clock = new ManualClock();
    const source = fakeSource<DataSpec>(({ position }, count) =>
      answer([bytes(10)], { start: position, variant: "v" }, count <= 12 ? transient() : undefined),
    );
    const need = new Need();
    const opened = await retrying(source, { clock, random }).open(specOf({ need }), { signal: never });
    expect((await readAll(opened)).length).toBe(130);
    expect(source.asked.map(({ position }) => position)).toEqual(Array.from({ length: 13 }, (_, n) => n * 10));
    expect(source.asked[1]?.expect).toEqual({ variant: "v" });
    expect(need.retries).toBe(0);
    expect(clock.pending).toEqual([]);
  });

  test("respects Retry-After, also where a retry would be immediate", async () => {
    const clock = new ManualClock();
    const source = fakeSource<DataSpec>((_spec, count) => {
      if (count === 1) throw transient(3000);
      return answer([]);
    });
    const opening = retrying(source, { clock, random }).open(specOf(), { signal: never });
    await settle();
    expect(clock.pending).toEqual([3000]);
    await clock.advance(3000);
    await opening;
    expect(source.asked).toHaveLength(2);
  });

  test("an abort ends a wait at once and leaves no timer", async () => {
    const clock = new ManualClock();
    const source = fakeSource<DataSpec>(() => {
      throw transient(5000);
    });
    const abort = new AbortController();
    const opening = retrying(source, { clock, random }).open(specOf(), { signal: abort.signal });
    await settle();
    const reason = new Error("left");
    abort.abort(reason);
    await expect(opening).rejects.toBe(reason);
    expect(clock.pending).toEqual([]);
    expect(source.asked).toHaveLength(1);
  });

  test("disposing of a body that is being read does not open anything again", async () => {
    const clock = new ManualClock();
    const source = fakeSource<DataSpec>(() => answer([bytes(1)], {}, transient()));
    const opened = await retrying(source, { clock, random }).open(specOf(), { signal: never });
    const body = opened.body[Symbol.asyncIterator]();
    await body.next();
    await opened[Symbol.asyncDispose]();
    await expect(body.next()).rejects.toMatchObject({ code: "transient" });
    expect(source.asked).toHaveLength(1);
  });

  test("what was opened while it was disposed of is disposed of as well", async () => {
    const clock = new ManualClock();
    const answers = [answer([bytes(1)], {}, transient(1000)), answer([], {}, new Error("disposed"))];
    const source = fakeSource<DataSpec>((_spec, count) => answers[count - 1] as never);
    const opened = await retrying(source, { clock, random }).open(specOf(), { signal: never });
    const body = opened.body[Symbol.asyncIterator]();
    await body.next();
    const pending = body.next();
    pending.catch(() => {});
    await settle();
    await opened[Symbol.asyncDispose]();
    await clock.advance(1000);
    await expect(pending).rejects.toThrow("disposed");
    expect(answers[1]?.disposals).toBe(1);
  });

  test("after an answer that ignored the range, what was passed on already is skipped", async () => {
    const all = Uint8Array.from({ length: 100 }, (_, n) => n);
    const source = fakeSource<DataSpec>((_spec, count) =>
      count === 1
        ? answer([all.subarray(0, 40)], { start: 0, ranged: false }, transient())
        : answer([all.subarray(0, 30), all.subarray(30)], { start: 0, ranged: false }),
    );
    const opened = await retrying(source, { clock: new ManualClock(), random }).open(specOf(), { signal: never });
    expect(Buffer.compare(await readAll(opened), all)).toBe(0);
  });
});

describe("budgets that layers share", () => {
  test("at most 2 refreshes without a byte; attempt and reason say why", async () => {
    const asked: unknown[] = [];
    const statuses = [403, 404, 410];
    const source = fakeSource<DataSpec>(({ need }, count) => {
      asked.push([need.attempt, need.reason]);
      throw new AfterbayError("url-refused", "No", { status: statuses[count - 1] as number });
    });
    await expect(refreshing(source).open(specOf(), { signal: never })).rejects.toMatchObject({ status: 410 });
    expect(asked).toEqual([
      [1, "first"],
      [2, "forbidden"],
      [3, "not-found"],
    ]);
  });

  test("a wrong answer counts as a mismatch; bytes give the refreshes back", async () => {
    const reasons: unknown[] = [];
    const source = fakeSource<DataSpec>(({ need, position }, count) => {
      reasons.push([need.attempt, need.reason]);
      if (count % 2 === 1) throw new AfterbayError("wrong-answer", "A page");
      return answer(
        [bytes(5)],
        { start: position },
        count < 8 ? new AfterbayError("url-refused", "Gone", { status: 403 }) : undefined,
      );
    });
    const opened = await refreshing(source).open(specOf(), { signal: never });
    expect((await readAll(opened)).length).toBe(20);
    expect(reasons.slice(0, 4)).toEqual([
      [1, "first"],
      [2, "mismatch"],
      [2, "forbidden"],
      [3, "mismatch"],
    ]);
  });

  test("retries do not refill the refreshes, nor the other way round", async () => {
    const clock = new ManualClock();
    let count = 0;
    const source = fakeSource<DataSpec>(() => {
      count += 1;
      throw count % 2 === 0 ? transient() : new AfterbayError("url-refused", "No", { status: 403 });
    });
    const failed = retrying(refreshing(source), { clock, random }).open(specOf(), { signal: never });
    failed.catch(() => {});
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(5000);
    await expect(failed).rejects.toMatchObject({ code: "url-refused" });
    // 403, 500, 403, 500, and the third 403 ends it.
    expect(source.asked).toHaveLength(5);
  });
});
