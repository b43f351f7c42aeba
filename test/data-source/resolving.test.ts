import { beforeEach, describe, expect, test } from "vitest";
import { Priority, type ResolvedSpec, Urgency } from "../../src/data-source/data-source.ts";
import { Need } from "../../src/data-source/need.ts";
import type { Resolution, ResolveRequest } from "../../src/data-source/resolution.ts";
import { resolving } from "../../src/data-source/resolving.ts";
import { MemoryUriCache } from "../../src/data-source/uri-cache.ts";
import { AfterbayError } from "../../src/errors.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { deferred, type Deferred } from "../../src/data-source/aborting.ts";
import { answer, fakeSource, ManualClock, never, readAll, settle, specOf } from "./fakes.ts";

interface Asked extends ResolveRequest {
  readonly id: string;
  readonly answer: Deferred<unknown>;
}

let clock: ManualClock;
let asked: Asked[];
let upstream: ReturnType<typeof fakeSource<ResolvedSpec>>;
let handle: (spec: ResolvedSpec, count: number) => ReturnType<typeof answer>;
let uriCache: MemoryUriCache;

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  handle = () => answer([]);
  upstream = fakeSource((spec, count) => handle(spec, count));
  uriCache = new MemoryUriCache(clock);
});

const url = (n: number | string): Resolution => ({ url: `https://media.example.com/${n}` });
/** `respond` answers at once; without it, calls wait in `asked`. */
const layer = (respond?: (id: string, request: ResolveRequest) => unknown) =>
  resolving(upstream, {
    resolver: {
      async resolve(id, request) {
        const pending = { id, ...request, answer: deferred<unknown>() };
        asked.push(pending);
        return (respond === undefined ? await pending.answer.promise : respond(id, request)) as Resolution;
      },
    },
    uriCache,
    clock,
    validate: validateResolution,
  });
const open = (source: ReturnType<typeof layer>, wanted = {}, signal = never) => {
  const opening = source.open(specOf(wanted), { signal });
  opening.catch(() => {});
  return opening;
};

describe("joining", () => {
  test("one call serves all who wait, and who comes later finds it kept", async () => {
    const source = layer();
    const waiting = Array.from({ length: 20 }, () => open(source));
    await settle();
    expect(asked).toHaveLength(1);
    asked[0]?.answer.resolve(url(1));
    await Promise.all(waiting);
    await open(source);
    expect(asked).toHaveLength(1);
    expect(new Set(upstream.asked.map(({ resolution }) => resolution.url))).toEqual(new Set([url(1).url]));
  });

  test("qualities, tracks and sources are apart", async () => {
    const source = layer();
    for (const wanted of [{}, { quality: "low" }, { id: "b" }, { source: "t" }]) void open(source, wanted);
    await settle();
    expect(asked.map(({ id, quality }) => [id, quality])).toEqual([
      ["song", undefined],
      ["song", "low"],
      ["b", undefined],
      ["song", undefined],
    ]);
  });

  test("a call that has begun outlives those who waited; one that still waits for a slot is dropped", async () => {
    const source = layer();
    const abort = new AbortController();
    const opening = open(source, {}, abort.signal);
    await settle();
    for (const id of ["b", "c", "d"]) void open(source, { id });
    const queued = open(source, { id: "e" }, abort.signal);
    await settle();
    const reason = new Error("left");
    abort.abort(reason);
    await expect(opening).rejects.toBe(reason);
    await expect(queued).rejects.toBe(reason);
    expect(asked[0]?.signal.aborted).toBe(false);
    asked[0]?.answer.resolve(url(1));
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["song", "b", "c", "d"]);
    await open(source);
    expect(asked).toHaveLength(4);
  });

  test("all who wait learn of a failure, and the next one asks anew", async () => {
    const source = layer();
    const waiting = [open(source), open(source)];
    await settle();
    asked[0]?.answer.reject(new AfterbayError("unplayable", "Never"));
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "unplayable" });
    void open(source);
    await settle();
    expect(asked).toHaveLength(2);
  });

  test("an aborted signal asks nobody", async () => {
    const reason = new Error("before");
    await expect(layer().open(specOf(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await settle();
    expect(asked).toHaveLength(0);
  });
});

describe("slots", () => {
  test("one is kept for playback; what playback joins, or becomes, is promoted", async () => {
    const source = layer();
    const urgency = new Urgency(Priority.body);
    for (const id of ["1", "2", "3", "4", "5"]) void open(source, { id, urgency: new Urgency(Priority.body) });
    void open(source, { id: "6", urgency });
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3"]);
    void open(source, { id: "5" });
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "5"]);
    urgency.level = Priority.playback;
    asked[0]?.answer.resolve(url(1));
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "5", "6"]);
    asked[1]?.answer.resolve(url(2));
    asked[2]?.answer.resolve(url(3));
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "5", "6", "4"]);
  });

  test("every way of failing gives the slot back", async () => {
    const bad: ((id: string) => unknown)[] = [
      () => {
        throw new Error("thrown");
      },
      () => Promise.reject(new Error("rejected")),
      () => undefined,
      () => ({ url: "file:///etc/passwd" }),
      () => ({ url: "http://" }),
      () => ({ ...url(1), id: "other" }),
    ];
    const source = layer((id) => bad[Number(id) % bad.length]?.(id));
    for (let n = 0; n < 24; n += 1) {
      const code = n % bad.length < 2 ? "transient" : "wrong-answer";
      await expect(open(source, { id: String(n) })).rejects.toMatchObject({ code });
    }
    expect(upstream.asked).toHaveLength(0);
    expect(clock.pending).toEqual([]);
  });
});

describe("limits", () => {
  test("20 s for a resolver that hangs: its signal aborts, and its slot is free", async () => {
    const source = layer();
    const opening = open(source);
    await settle();
    await clock.advance(19_999);
    expect(asked[0]?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(asked[0]?.signal.aborted).toBe(true);
    await expect(opening).rejects.toMatchObject({ code: "stalled" });
    void open(source);
    await settle();
    expect(asked).toHaveLength(2);
  });

  test("20 calls a track a minute, over all qualities; then it says when to come back", async () => {
    const source = layer(() => {
      throw new AfterbayError("transient", "No");
    });
    for (let n = 0; n < 20; n += 1) {
      await expect(open(source, { quality: n % 2 === 0 ? "low" : "high" })).rejects.toMatchObject({
        code: "transient",
      });
      await clock.advance(1000);
    }
    await expect(open(source)).rejects.toMatchObject({ code: "busy", retryAfterMs: 40_000 });
    await expect(open(source, { id: "other" })).rejects.toMatchObject({ code: "transient" });
    await clock.advance(40_000);
    await expect(open(source)).rejects.toMatchObject({ code: "transient" });
    expect(asked).toHaveLength(22);
  });
});

describe("URLs", () => {
  test("attempt, reason and quality reach the resolver; an expired URL is told as such", async () => {
    const source = layer(() => ({ ...url(1), expiresAt: clock.wall() + 10_000 }));
    await open(source, { quality: "high" });
    await clock.advance(9000);
    const need = new Need();
    await open(source, { quality: "high", need });
    expect(asked.map(({ attempt, reason, quality }) => [attempt, reason, quality])).toEqual([
      [1, "first", "high"],
      [1, "expired", "high"],
    ]);
    expect(need.resolveMs).toBe(0);
  });

  test.each(["url-refused", "wrong-answer", "range-refused", "variant-changed"] as const)(
    "%s forgets the URL, whether it comes at once or later",
    async (code) => {
      let n = 0;
      const source = layer(() => url((n += 1)));
      const failure = new AfterbayError(code, "No");
      handle = (_spec, count) => {
        if (count === 1) throw failure;
        return answer([new Uint8Array(1)], {}, count === 2 ? failure : undefined);
      };
      await expect(open(source)).rejects.toBe(failure);
      await expect(readAll(await open(source))).rejects.toBe(failure);
      await open(source);
      await open(source);
      expect(asked).toHaveLength(3);
    },
  );

  test("a transient failure keeps it", async () => {
    const source = layer(() => url(1));
    handle = () => {
      throw new AfterbayError("transient", "No");
    };
    for (let n = 0; n < 3; n += 1) await expect(open(source)).rejects.toMatchObject({ code: "transient" });
    expect(asked).toHaveLength(1);
  });

  test("the variant that is held reaches the resolver, also when a URL is renewed", async () => {
    const source = layer(() => ({ ...url(1), variant: "old", expiresAt: clock.wall() + 10_000 }));
    let renew: ResolvedSpec["renew"];
    handle = (spec) => {
      renew = spec.renew;
      return answer([]);
    };
    await open(source);
    await clock.advance(9000);
    await renew?.();
    await clock.advance(9000);
    await open(source, { expect: { variant: "etag", resolverVariant: "old" } });
    expect(asked.map(({ variant }) => variant)).toEqual([undefined, "old", "old"]);
  });

  test("so does that of one who joins a call while it waits for its turn", async () => {
    const source = layer();
    for (const id of ["a", "b", "c", "d"]) void open(source, { id });
    void open(source, { id: "e" });
    void open(source, { id: "e", expect: { variant: "etag", resolverVariant: "old" } });
    await settle();
    asked[0]?.answer.resolve(url(1));
    await settle();
    expect(asked.map(({ id, variant }) => [id, variant]).at(-1)).toEqual(["e", "old"]);
  });

  test("another variant than the one expected is refused before the upstream is asked", async () => {
    const source = layer(() => ({ ...url(1), variant: "new" }));
    const expected = { variant: "old", resolverVariant: "old" };
    await expect(open(source, { expect: expected })).rejects.toMatchObject({ code: "variant-changed", variant: "new" });
    expect(upstream.asked).toHaveLength(0);
  });

  test("is renewed between windows when its life is over, and not before", async () => {
    let n = 0;
    const source = layer(() => ({ ...url((n += 1)), variant: "v", expiresAt: clock.wall() + 100_000 }));
    await open(source);
    const renew = upstream.asked[0]?.renew as () => Promise<Resolution>;
    await clock.advance(89_000);
    expect((await renew()).url).toBe(url(1).url);
    await clock.advance(1000);
    expect((await renew()).url).toBe(url(2).url);
    expect(asked.map(({ reason }) => reason)).toEqual(["first", "expired"]);
  });

  test("is renewed with the same bytes only", async () => {
    let n = 0;
    const source = layer(() => ({ ...url((n += 1)), variant: `v${n}`, expiresAt: clock.wall() + 100_000 }));
    await open(source);
    await clock.advance(100_000);
    await expect(upstream.asked[0]?.renew?.()).rejects.toMatchObject({ code: "variant-changed", variant: "v2" });
  });

  test("one that could not be kept is used until it is refused: no call for each window", async () => {
    const source = layer(() => ({ ...url(1), expiresAt: clock.wall() - 1 }));
    await open(source);
    for (let n = 0; n < 5; n += 1) expect((await upstream.asked[0]?.renew?.())?.url).toBe(url(1).url);
    expect(asked).toHaveLength(1);
  });
});
