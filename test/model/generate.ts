import * as fc from "fast-check";
import { KiB } from "../../src/data-source/data-source.ts";
import type { Fault, RangePlan, ReadPlan, ResolveFault, Scenario, Step, TrackPlan } from "./scenario.ts";

const C = 512 * KiB;
const P = 64 * KiB;
/** Around the edges of pieces, chunks and windows. */
const EDGES = [0, 1, 2, 700, P - 1, P, P + 1, 2 * P, C - P, C - 1, C, C + 1, C + P, 2 * C - 1, 2 * C, 2 * C + 1];

const size = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(0, 1, 2, 700, P - 1, P, P + 1, 2 * P, 3 * P + 5) },
  { weight: 6, arbitrary: fc.constantFrom(C - P, C - 1, C, C + 1, C + P) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
  { weight: 3, arbitrary: fc.constantFrom(2 * C - 1, 2 * C, 2 * C + 1, 3 * C, 1_700_000) },
  { weight: 1, arbitrary: fc.constantFrom(4 * C - 1, 6 * C + 100, 8 * C + 1) },
);
const place = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 3, arbitrary: fc.nat({ max: 1_700_000 }) },
);
const few = fc.oneof(fc.constantFrom(0, 1, 100, 1000, P, 3 * P), fc.nat({ max: 300_000 }));
const maybe = <T>(arbitrary: fc.Arbitrary<T>, weight = 4): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const at = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 200_000 }) },
  { weight: 1, arbitrary: fc.constant("headers" as const) },
  { weight: 1, arbitrary: fc.record({ offset: place }) },
);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ status: fc.constantFrom(500, 502, 503, 429, 408, 403, 404, 410, 401, 400, 204, 304) }),
  fc.record({ status: fc.constantFrom(429, 503), retryAfter: fc.constantFrom(1, 5, 15, 19, 60, "nonsense") }),
  fc.record({ reset: at }),
  fc.record({ close: at }),
  fc.record({ stall: at }),
  fc.record({ pause: fc.record({ at, ms: fc.constantFrom(10, 1000, 2900, 3100, 7900, 9000, 30_000) }) }),
  fc.record({ trickle: fc.record({ at, rate: fc.constantFrom(500, 1500, 4000, 50_000) }) }),
  fc.record({ latency: fc.constantFrom(50, 2000, 3100, 5000, 20_000) }),
  fc.record({ truncate: few }),
  fc.record({
    surplus: fc.record({ bytes: fc.constantFrom(1, 500, P), counted: fc.constantFrom("length", "range", "raw") }),
  }),
  fc.record({ ignoreRange: fc.constant(true as const) }),
  fc.record({ shiftRange: fc.constantFrom(-P, -1, 1, P) }),
  fc.record({
    contentRange: fc.oneof(
      fc.constant("missing" as const),
      fc.record({ shift: fc.constantFrom(-1, 1, P) }),
      fc.record({ total: fc.constantFrom("*" as const, 1, 70_000, C + 5) }),
      fc.record({ as: fc.constantFrom("bytes */5", "bytes 5-4/9", "lines 0-1/2", "") }),
    ),
  }),
  fc.record({ multipart: fc.constant(true as const) }),
  fc.record({ unsatisfiable: fc.constantFrom(true as const, "bare" as unknown as true, 100 as unknown as true) }),
  fc.record({ page: fc.constantFrom("html", "json") }),
  fc.record({ encode: fc.constantFrom("gzip", "br", "deflate"), truncate: fc.constant(2000) }),
  fc.record({
    redirect: fc.oneof(
      fc.record({ chain: fc.integer({ min: 1, max: 7 }), status: fc.constantFrom(301, 302, 303, 307, 308) }),
      fc.constant({ loop: true as const }),
      fc.constant({ to: "file:///etc/passwd" }),
    ),
  }),
  fc.record({ contentLength: fc.constantFrom("close", "chunked", { add: 10 }, { add: -10 }, { as: 0 }) }),
  fc.record({
    headers: fc.constantFrom({ etag: null }, { "content-type": null }, { "last-modified": null }, { etag: '"odd"' }),
  }),
  fc.record({ rangeLimit: fc.constantFrom(P, C, 2 * C) }),
  fc.record({ refuse: fc.constantFrom("ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ECONNRESET") }),
) as fc.Arbitrary<Fault>;

const resolveFault: fc.Arbitrary<ResolveFault> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("throws", "hangs", "other-id", "not-a-url", "file-url", "not-found", "unplayable", "nothing"),
  }),
  fc.record({ kind: fc.constant("slow"), ms: fc.constantFrom(100, 3000, 5000, 19_000, 25_000) }),
  fc.record({ kind: fc.constant("other-variant") }),
) as fc.Arbitrary<ResolveFault>;

const planned = <T>(arbitrary: fc.Arbitrary<T>, max: number): fc.Arbitrary<{ skip: number; fault: T }[]> =>
  fc.array(fc.record({ skip: fc.nat({ max: 3 }), fault: arbitrary }), { maxLength: max });

const track: fc.Arbitrary<TrackPlan> = fc.record({
  source: fc.constantFrom("a", "b"),
  size,
  naming: fc.constantFrom("resolver", "resolver", "etag", "etag", "stale", "date", "weak", "none"),
  shape: fc.oneof(
    { weight: 8, arbitrary: fc.constant("plain" as const) },
    { weight: 1, arbitrary: fc.constantFrom("rangeless", "unknown-length", "varying", "partly-varying") },
  ),
  rangeLimit: maybe(fc.constantFrom(P, C, 2 * C), 6),
  wall: maybe(place, 8),
  url: fc.record({
    life: maybe(fc.constantFrom(10_000, 60_000, 400_000, 3_600_000)),
    told: fc.boolean(),
    bytes: maybe(fc.constantFrom(1000, P, 200_000, C), 6),
    requests: maybe(fc.constantFrom(1, 2, 3), 8),
    status: fc.constantFrom(403, 403, 404, 410),
    moves: fc.boolean(),
  }),
  hint: fc.constantFrom("right", "none", "wrong"),
  maxWindow: maybe(fc.constantFrom(P, C, 2 * C)),
  typed: fc.boolean(),
  latency: fc.constantFrom(1, 1, 20, 300),
  pace: fc.constantFrom(0, 0, 5000, 200, 40),
  piece: fc.constantFrom(P, P, 16 * KiB, 10_000),
  faults: planned(fault, 6),
  resolves: planned(resolveFault, 2),
});

const range: fc.Arbitrary<RangePlan> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("between", "from") },
    { weight: 1, arbitrary: fc.constantFrom("last", "several", "nonsense") },
  ),
  start: place,
  length: fc.oneof(fc.constantFrom(1, 2, P, C), fc.integer({ min: 1, max: 700_000 })),
}) as fc.Arbitrary<RangePlan>;

const which = fc.nat({ max: 3 });
const rarely = fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

const read: fc.Arbitrary<ReadPlan> = fc.record({
  kind: fc.constant("read"),
  track: which,
  low: rarely,
  head: rarely,
  range: maybe(range, 1),
  ifRange: fc.oneof(
    { weight: 5, arbitrary: fc.constant("none") },
    { weight: 1, arbitrary: fc.constantFrom("last", "other") },
  ),
  offline: rarely,
  speed: fc.constantFrom(0, 0, 0, 2000, 100, 20),
  leaveAfter: maybe(few, 2),
  leaveAt: maybe(fc.constantFrom(0, 1, 3, 20, 500, 3600, 5000)),
  rest: maybe(fc.record({ after: few, ms: fc.constantFrom(5, 1000, 60_000, 900_000) }), 6),
  wait: fc.boolean(),
}) as fc.Arbitrary<ReadPlan>;

const pass = fc.record({
  kind: fc.constant("pass"),
  ms: fc.constantFrom(0, 1, 5, 50, 100, 200, 1000, 3000, 8000, 61_000, 660_000, 22_000_000),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: read },
  { weight: 5, arbitrary: pass },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("jump"), ms: fc.constantFrom(-86_400_000, -1000, 30_000, 86_400_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("change"),
      track: which,
      low: rarely,
      grow: fc.constantFrom(0, 0, 1, -1, P, -P, 200_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wish"),
      list: fc.nat({ max: 1 }),
      tracks: fc.array(which, { maxLength: 4 }),
      full: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("pin", "unpin"), track: which }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("budget"), bytes: fc.constantFrom(0, 100_000, C, 3 * C, 2 ** 30) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict"), to: fc.constantFrom(0, 100_000, C) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete", "verify", "expire"), track: which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("outage"),
      ms: fc.constantFrom(100, 2000, 10_000, 120_000),
      code: fc.constantFrom("ECONNREFUSED", "ENOTFOUND", "ENETUNREACH"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("disk"),
      ms: fc.constantFrom(10, 1000, 20_000),
      code: fc.constantFrom("ENOSPC", "EIO", "EACCES", "EROFS"),
      reads: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("rot"),
      what: fc.constantFrom("flip", "flip", "cut", "lose", "map-flip", "map-tear", "map-lose"),
      at: fc.nat({ max: 5_000_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("restart", "kill") }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("power-loss"),
      data: fc.constantFrom(0, 500, 900, 1000),
      maps: fc.constantFrom(0, 500, 900, 1000),
      index: fc.constantFrom(0, 500, 900, 1000),
    }),
  },
) as fc.Arbitrary<Step>;

/** Any scenario of at most so many tracks and steps. */
export const scenarios = (most: { readonly tracks: number; readonly steps: number }): fc.Arbitrary<Scenario> =>
  fc.record({
    seed: fc.nat(),
    tracks: fc.array(track, { minLength: 1, maxLength: most.tracks }),
    store: fc.oneof({ weight: 8, arbitrary: fc.constant("files") }, { weight: 1, arbitrary: fc.constant("memory") }),
    disk: fc.constantFrom(
      { latency: 0, maxWrite: 2 ** 30 },
      { latency: 0, maxWrite: 2 ** 30 },
      { latency: 0, maxWrite: 2 ** 30 },
      { latency: 0, maxWrite: 10_000 },
      { latency: 1, maxWrite: 40_000 },
      { latency: 30, maxWrite: 2 ** 30 },
    ),
    budget: fc.constantFrom(2 ** 30, 2 ** 30, 2 ** 30, 2 * C, C, 0),
    dataSaver: rarely,
    mounted: rarely,
    reopened: fc.boolean(),
    maxWindow: maybe(fc.constantFrom(P, C, 3 * C)),
    steps: fc.array(step, { maxLength: most.steps }),
  }) as fc.Arbitrary<Scenario>;
