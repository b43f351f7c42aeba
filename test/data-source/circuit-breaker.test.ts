import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { CircuitBreaker, type Pass } from "../../src/data-source/circuit-breaker.ts";
import { circuitBreaking } from "../../src/data-source/circuit-breaking.ts";
import { type DataSource, type DataSpec, type Opened, Priority, Urgency } from "../../src/data-source/data-source.ts";
import { AfterbayError, type ErrorCode, type ErrorDetails } from "../../src/errors.ts";
import { answer, fakeSource, ManualClock, never, readAll, settle, specOf } from "./fakes.ts";

let clock: ManualClock;
let changes: boolean[];
let breaker: CircuitBreaker;
beforeEach(() => {
  clock = new ManualClock();
  changes = [];
  breaker = new CircuitBreaker(clock, (isOpen) => changes.push(isOpen));
});

const enter = (track = "probe", level: Priority = Priority.playback): Pass => {
  const pass = breaker.enter(track, level);
  if (typeof pass === "number") throw new Error(`Refused for ${pass} ms`);
  return pass;
};
const fail = (...tracks: string[]): void => {
  for (const track of tracks) enter(track).failed();
};
const open = (): void => fail("a", "b", "c", "d", "e");
const refusedMs = (level: Priority = Priority.playback): number => {
  const pass = breaker.enter("other", level);
  if (typeof pass === "number") return pass;
  pass.over();
  return 0;
};

describe("opens", () => {
  test("after needs of 5 different tracks have failed, for 5 s", async () => {
    fail("a", "b", "c", "d");
    expect([breaker.closed, refusedMs()]).toEqual([true, 0]);
    fail("e");
    expect([breaker.closed, refusedMs()]).toEqual([false, 5000]);
    await clock.advance(4999);
    expect(refusedMs()).toBe(1);
    await clock.advance(1);
    expect(refusedMs()).toBe(0);
    expect(changes).toEqual([true]);
  });

  test("not by one bad track, however often it fails", () => {
    for (let n = 0; n < 100; n += 1) fail("bad");
    fail("b", "c", "d", "bad", "bad");
    expect(breaker.closed).toBe(true);
  });

  test("not if a byte came for anyone in between", () => {
    const playing = enter("playing");
    fail("a", "b", "c", "d");
    playing.delivered();
    fail("e", "f", "g", "h");
    expect(breaker.closed).toBe(true);
    fail("i");
    expect(breaker.closed).toBe(false);
  });

  test("not by failures that are spread over more than 30 s", async () => {
    fail("a");
    await clock.advance(1);
    fail("b", "c", "d");
    await clock.advance(29_999);
    fail("e");
    expect(breaker.closed).toBe(true);
    fail("f");
    expect(breaker.closed).toBe(false);
  });

  test("a track's last failure is the one that counts", async () => {
    fail("a");
    await clock.advance(29_000);
    fail("a", "b", "c", "d");
    await clock.advance(2000);
    fail("e");
    expect(breaker.closed).toBe(false);
  });

  test("not by what tells nothing of the source", () => {
    for (const track of ["a", "b", "c", "d", "e", "f"]) enter(track).over();
    expect(breaker.closed).toBe(true);
  });
});

describe("while it is open", () => {
  test("needs that had begun before change nothing by failing, and close it by a byte", async () => {
    const before = [enter("x"), enter("y")];
    open();
    await clock.advance(3000);
    before[0]?.failed();
    expect(refusedMs()).toBe(2000);
    before[1]?.delivered();
    expect([refusedMs(), changes]).toEqual([0, [true, false]]);
  });

  test("one probe at a time: its failure opens it anew, its byte closes it, its giving up lets the next one try", async () => {
    open();
    await clock.advance(5000);
    const first = enter();
    expect(refusedMs()).toBe(5000);
    await clock.advance(6000);
    expect(refusedMs()).toBe(4000);
    first.over();
    const second = enter();
    second.failed();
    expect(refusedMs()).toBe(5000);
    await clock.advance(5000);
    enter().delivered();
    expect([breaker.closed, changes]).toEqual([true, [true, false]]);
    fail("a", "b", "c", "d");
    expect(breaker.closed).toBe(true);
  });

  test("a probe that hangs keeps others out for 10 s, and then decides nothing by failing", async () => {
    open();
    await clock.advance(5000);
    const hanging = enter();
    await clock.advance(9999);
    expect(refusedMs()).toBe(1);
    await clock.advance(1);
    const next = enter();
    hanging.failed();
    expect(refusedMs()).toBe(5000);
    hanging.over();
    expect(refusedMs()).toBe(5000);
    next.over();
    expect(refusedMs()).toBe(0);
  });

  test("a probe of prefetch keeps other prefetch out, but no player", async () => {
    open();
    await clock.advance(5000);
    const prefetch = enter("p", Priority.body);
    expect([refusedMs(Priority.head), refusedMs(Priority.background)]).toEqual([5000, 5000]);
    const player = enter("q");
    expect(refusedMs()).toBe(5000);
    prefetch.failed();
    expect(refusedMs()).toBe(5000);
    player.delivered();
    expect(breaker.closed).toBe(true);
  });

  test("long after, when nobody has asked meanwhile, one bad track does not open it again", async () => {
    open();
    await clock.advance(5000 + 30_000);
    fail("bad");
    expect([refusedMs(), breaker.closed, changes]).toEqual([0, true, [true, false]]);
  });

  test("whoever waits is told when it closes, when a probe ends, or when its time is up; a cancelled one is not", async () => {
    const told: string[] = [];
    open();
    breaker.wait(5000, () => told.push("time"));
    breaker.wait(5000, () => told.push("cancelled"))();
    await clock.advance(5000);
    expect(told).toEqual(["time"]);
    const probe = enter();
    breaker.wait(5000, () => told.push("over"));
    probe.over();
    breaker.wait(5000, () => told.push("closed"));
    enter().delivered();
    expect([told, clock.pending]).toEqual([["time", "over", "closed"], []]);
  });
});

test("whatever happens: never refused for fewer than 5 tracks, one probe of a kind at a time, and never for good", () => {
  const level = fc.constantFrom(Priority.playback, Priority.body);
  const event = fc.oneof(
    fc.record({ do: fc.constant("enter" as const), track: fc.integer({ min: 0, max: 6 }), level }),
    fc.record({ do: fc.constantFrom("delivered", "failed", "over" as const), which: fc.nat() }),
    fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 12_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let now = 0;
      breaker = new CircuitBreaker({ now: () => now, wall: () => 0, after: () => () => {} });
      const passes: { pass: Pass; track: string }[] = [];
      let suspects = new Set<string>();
      for (const one of events) {
        if (one.do === "advance") now += one.ms;
        else if (one.do === "enter") {
          const pass = breaker.enter(String(one.track), one.level);
          if (typeof pass === "number") {
            expect(suspects.size).toBeGreaterThanOrEqual(5);
            expect(pass).toBeGreaterThan(0);
            expect(pass).toBeLessThanOrEqual(5000);
          } else {
            passes.push({ pass, track: String(one.track) });
            if (!breaker.closed) expect(breaker.enter("second", one.level)).toBeTypeOf("number");
          }
        } else {
          const [ended] = passes.length === 0 ? [] : passes.splice(one.which % passes.length, 1);
          ended?.pass[one.do]();
          if (one.do === "failed" && ended !== undefined) suspects.add(ended.track);
          if (one.do === "delivered" && ended !== undefined) suspects = new Set();
        }
      }
      // Whatever hangs, someone may try after the circuit's 5 s and a probe's 10 s.
      now += 15_000;
      expect(refusedMs()).toBe(0);
      expect(refusedMs(Priority.background)).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

describe("the layer", () => {
  const PATIENCE = 20_000;
  const layer = (handle: (spec: DataSpec, count: number) => Opened | Promise<Opened>) => {
    const upstream = fakeSource<DataSpec>(handle);
    return { upstream, source: circuitBreaking(upstream, { breaker, clock, patienceMs: PATIENCE }) };
  };
  const wanted = (source: DataSource, spec: Partial<DataSpec> = {}, signal = never): Promise<Uint8Array> => {
    const read = source.open(specOf({ id: "song", ...spec }), { signal }).then(readAll);
    read.catch(() => {});
    return read;
  };
  const middle = { expect: {} };
  const failing = (code: ErrorCode, details: ErrorDetails = {}) => {
    const { upstream, source } = layer(() => {
      throw new AfterbayError(code, "No", details);
    });
    const run = async (ids: readonly string[]): Promise<unknown[]> =>
      await Promise.all(ids.map((id) => wanted(source, { id }).catch((error: unknown) => error)));
    return { upstream, source, run };
  };
  const TRACKS = ["1", "2", "3", "4", "5", "6"];

  test.each<[ErrorCode, ErrorDetails]>([
    ["transient", {}],
    ["stalled", {}],
    ["unreachable", {}],
    ["wrong-answer", {}],
    ["range-refused", {}],
    ["url-refused", { status: 401 }],
    ["url-refused", { status: 403 }],
  ])("a need that ends in %s %o counts", async (code, details) => {
    const { run } = failing(code, details);
    await run(TRACKS);
    expect(breaker.closed).toBe(false);
  });

  test.each<[ErrorCode, ErrorDetails]>([
    ["not-found", {}],
    ["unplayable", {}],
    ["variant-changed", {}],
    ["busy", {}],
    ["url-refused", { status: 404 }],
    ["url-refused", { status: 410 }],
    ["url-refused", {}],
  ])("one that ends in %s %o is the track's own affair", async (code, details) => {
    const { run } = failing(code, details);
    await run([...TRACKS, ...TRACKS.map((id) => `${id}0`)]);
    expect(breaker.closed).toBe(true);
  });

  test("a body that breaks off counts, bytes before it or not; one that nobody wants any more does not", async () => {
    const gone = new AbortController();
    const failure = new AfterbayError("transient", "No");
    const { source } = layer(() => answer([], {}, failure));
    for (const id of TRACKS.slice(0, 4)) await expect(wanted(source, { id })).rejects.toBe(failure);
    expect(breaker.closed).toBe(true);
    const left = layer((_spec) => {
      gone.abort();
      throw failure;
    });
    await expect(wanted(left.source, { id: "left" }, gone.signal)).rejects.toBe(failure);
    expect(breaker.closed).toBe(true);
    await expect(wanted(source, { id: "5" })).rejects.toBe(failure);
    expect(breaker.closed).toBe(false);
  });

  test("bytes are success, an answer without any is not", async () => {
    const { source } = layer(({ id }) => {
      if (id.startsWith("bad")) throw new AfterbayError("transient", "No");
      return answer(id === "empty" ? [] : [new Uint8Array(1)]);
    });
    for (const id of ["bad1", "bad2", "bad3", "bad4", "empty", "good", "bad5"])
      await wanted(source, { id }).catch(() => {});
    expect(breaker.closed).toBe(true);
    for (const id of ["bad1", "bad2", "bad3", "bad4", "empty"]) await wanted(source, { id }).catch(() => {});
    expect(breaker.closed).toBe(false);
  });

  test("whoever begins a track while it is open is told at once, and the source is not asked", async () => {
    open();
    await clock.advance(1200);
    const { upstream, source } = layer(() => answer([]));
    await expect(wanted(source)).rejects.toMatchObject({ code: "circuit-open", retryAfterMs: 3800 });
    expect([upstream.asked.length, clock.pending]).toEqual([0, []]);
  });

  test("prefetch is told at once, also in the middle of a track", async () => {
    open();
    const { upstream, source } = layer(() => answer([]));
    for (const level of [Priority.head, Priority.body, Priority.background]) {
      await expect(wanted(source, { ...middle, urgency: new Urgency(level) })).rejects.toMatchObject({
        code: "circuit-open",
      });
    }
    expect(upstream.asked).toHaveLength(0);
  });

  test("a player in the middle of a track waits, tries when it may, and plays on", async () => {
    open();
    const { upstream, source } = layer(() => answer([new Uint8Array(3)]));
    const read = wanted(source, middle);
    await clock.advance(4999);
    expect(upstream.asked).toHaveLength(0);
    await clock.advance(1);
    expect((await read).length).toBe(3);
    expect([breaker.closed, clock.pending]).toEqual([true, []]);
  });

  test("of several that wait one probes; when that fails the others wait on, at most as long as a player is patient", async () => {
    open();
    const { upstream, source } = layer(() => {
      throw new AfterbayError("transient", "No");
    });
    const reads = Array.from({ length: 5 }, (_, n) =>
      wanted(source, { ...middle, id: `t${n}` }).catch((error: unknown) => error),
    );
    for (const [ms, asked] of [
      [5000, 1],
      [5000, 2],
      [5000, 3],
    ] as const) {
      await clock.advance(ms);
      expect(upstream.asked).toHaveLength(asked);
    }
    await clock.advance(5000);
    const codes = (await Promise.all(reads)).map((error) => (error as AfterbayError).code);
    expect(codes.toSorted()).toEqual(["circuit-open", "transient", "transient", "transient", "transient"]);
    expect(upstream.asked).toHaveLength(4);
  });

  test("when one probe succeeds all that wait go on at once", async () => {
    open();
    const { upstream, source } = layer(() => answer([new Uint8Array(1)]));
    const reads = Array.from({ length: 5 }, (_, n) => wanted(source, { ...middle, id: `t${n}` }));
    await clock.advance(5000);
    await Promise.all(reads);
    expect(upstream.asked).toHaveLength(5);
  });

  test("an abort ends a wait at once and leaves no timer; one before asks nobody", async () => {
    open();
    const { upstream, source } = layer(() => answer([]));
    const gone = new AbortController();
    const reason = new Error("left");
    const read = wanted(source, middle, gone.signal);
    await settle();
    gone.abort(reason);
    await expect(read).rejects.toBe(reason);
    await expect(wanted(source, middle, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect([clock.pending, upstream.asked.length]).toEqual([[], 0]);
  });

  test("one that loses its player while it waits gives up at the next turn", async () => {
    open();
    const { source } = layer(() => answer([]));
    const urgency = new Urgency(Priority.playback);
    const read = wanted(source, { ...middle, urgency });
    await settle();
    urgency.level = Priority.abandoned;
    await clock.advance(5000);
    await read;
    fail("f");
    const late = wanted(source, { ...middle, urgency });
    await expect(late).rejects.toMatchObject({ code: "circuit-open" });
  });

  test("a probe whose answer is dropped unread does not keep the others out", async () => {
    open();
    await clock.advance(5000);
    const { source } = layer(() => answer([new Uint8Array(1)]));
    const opened = await source.open(specOf(), { signal: never });
    expect(refusedMs()).toBe(5000);
    await opened[Symbol.asyncDispose]();
    expect(refusedMs()).toBe(0);
  });
});
