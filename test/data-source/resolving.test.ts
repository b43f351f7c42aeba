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

describe("the ration", () => {
  const refused = (status: number): AfterbayError => new AfterbayError("url-refused", "No", { status });

  test("counts calls that were made, not those that gave up waiting for a slot", async () => {
    const source = layer();
    for (const id of ["1", "2", "3", "4"]) void open(source, { id });
    for (let n = 0; n < 30; n += 1) {
      const gone = new AbortController();
      const waiting = open(source, { id: "song" }, gone.signal);
      await settle();
      gone.abort(new Error("left"));
      await expect(waiting).rejects.toThrow("left");
    }
    asked[0]?.answer.resolve(url(1));
    void open(source, { id: "song" });
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "song"]);
  });

  test.each([
    ["the resolver says that it is not there", "not-found", undefined],
    ["the resolver says that it can never play", "unplayable", undefined],
    ["its URLs are answered 404", "not-found", 404],
    ["its URLs are answered 410", "not-found", 410],
  ] as const)("of a track that is gone (%s) that is still said when it is spent", async (_title, code, status) => {
    let n = 0;
    const source = layer(() => {
      n += 1;
      if (status === undefined) throw new AfterbayError(code, "Gone");
      return url(n);
    });
    if (status !== undefined) {
      handle = () => {
        throw refused(status);
      };
    }
    for (let play = 0; play < 30; play += 1) {
      const failed = await open(source).catch((error: unknown) => error);
      expect(failed).toMatchObject(play < 20 && status !== undefined ? { code: "url-refused", status } : { code });
    }
    expect(asked).toHaveLength(20);
    await clock.advance(60_000);
    await open(source).catch(() => {});
    expect(asked).toHaveLength(21);
  });

  test("of one that was delivered since, only when to come back", async () => {
    let gone = true;
    const source = layer(() => {
      if (gone) throw new AfterbayError("not-found", "Gone");
      return url(1);
    });
    await expect(open(source)).rejects.toMatchObject({ code: "not-found" });
    gone = false;
    for (let n = 0; n < 19; n += 1) {
      await open(source);
      await uriCache.delete("s\nsong\n", url(1).url);
    }
    await expect(open(source)).rejects.toMatchObject({ code: "busy" });
  });
});

describe("a URL that is refused, and named again", () => {
  const need = (): Need => new Need();
  const refused = (status: number): AfterbayError => new AfterbayError("url-refused", "No", { status });
  /** As `refreshing` asks: up to twice again. */
  const tries = async (source: ReturnType<typeof layer>, spent = need()): Promise<unknown[]> => {
    const errors: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      const error = await open(source, { need: spent }).catch((failure: unknown) => failure);
      errors.push(error);
      if (!(error instanceof AfterbayError) || error.code !== "url-refused") break;
      spent.refreshes += 1;
      spent.reason = "not-found";
    }
    return errors;
  };

  test.each([404, 410])("%i is final at the first identical resolution: one request, two calls", async (status) => {
    const source = layer(() => url(1));
    handle = () => {
      throw refused(status);
    };
    const errors = await tries(source);
    expect(errors).toMatchObject([{ code: "url-refused" }, { code: "not-found", status }]);
    expect([upstream.asked.length, asked.length]).toEqual([1, 2]);
  });

  test.each([401, 403])(
    "%i may pass: the same URL is asked twice, and a third time only if it is another",
    async (status) => {
      const source = layer(() => url(1));
      handle = () => {
        throw refused(status);
      };
      expect(await tries(source)).toMatchObject([{ status }, { status }, { status }]);
      expect([upstream.asked.length, asked.length]).toEqual([2, 3]);
      let n = 0;
      const others = layer(() => url(`other${(n += 1)}`));
      expect(await tries(others)).toHaveLength(3);
      expect(upstream.asked).toHaveLength(5);
    },
  );

  test("with other headers it is another", async () => {
    let n = 0;
    const source = layer(() => ({ ...url(1), headers: { b: "1", cookie: String((n += 1)) } }));
    handle = () => {
      throw refused(404);
    };
    expect(await tries(source)).toMatchObject([{ status: 404 }, { status: 404 }, { status: 404 }]);
    const flag = layer(() => ({
      ...url(1),
      headers: asked.length % 2 === 0 ? { a: "1", b: "2" } : { b: "2", a: "1" },
    }));
    expect(await tries(flag)).toMatchObject([{ status: 404 }, { code: "not-found" }]);
  });

  test("bytes since make it a new matter", async () => {
    const source = layer(() => url(1));
    const spent = need();
    handle = (_spec, count) => {
      if (count % 2 === 1) throw refused(404);
      return answer([new Uint8Array(1)]);
    };
    await expect(open(source, { need: spent })).rejects.toMatchObject({ code: "url-refused" });
    spent.progress();
    await open(source, { need: spent });
  });
});

describe("ahead of need", () => {
  const track = { source: "s", id: "song" };
  const HOUR = 3_600_000;
  let n: number;
  const living = (ms = HOUR): Resolution => ({ ...url((n += 1)), variant: "v", expiresAt: clock.wall() + ms });
  beforeEach(() => {
    n = 0;
  });

  test("a URL that is not there is asked for once; who needs it finds it", async () => {
    const source = layer(() => living());
    for (let look = 0; look < 5; look += 1) {
      source.prepare({ ...track, variant: "v" });
      await clock.advance(1000);
    }
    await open(source);
    expect(asked.map(({ attempt, reason, variant }) => [attempt, reason, variant])).toEqual([[1, "first", "v"]]);
    expect(upstream.asked[0]?.resolution.url).toBe(url(1).url);
  });

  test("who needs it while it is asked for joins, and a failure is theirs to try again", async () => {
    const source = layer();
    source.prepare(track);
    await settle();
    const joined = open(source);
    await settle();
    expect(asked).toHaveLength(1);
    asked[0]?.answer.reject(new AfterbayError("transient", "No"));
    await expect(joined).rejects.toMatchObject({ code: "transient" });
    source.prepare(track);
    await clock.advance(59_999);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    source.prepare(track);
    await settle();
    expect(asked).toHaveLength(2);
  });

  test("one that nears its end is renewed before it, once, and the next window is asked of the new one", async () => {
    const source = layer(() => living());
    await open(source);
    const renew = (): Promise<Resolution> | undefined => upstream.asked[0]?.renew?.();
    for (let step = 0; step < (HOUR - 61_000) / 10_000 - 1; step += 1) {
      source.prepare(track);
      await clock.advance(10_000);
      // Nobody ever waits for a resolver: what there is is good.
      expect(renew()).toBeUndefined();
    }
    expect(asked.map(({ reason }) => reason)).toEqual(["first", "expired"]);
    await clock.advance(11_000);
    expect((await renew())?.url).toBe(url(2).url);
    expect(asked).toHaveLength(2);
  });

  test("if the resolver has other bytes by then, the old URL is used to its end", async () => {
    let variant = "v";
    const source = layer(() => ({ ...living(), variant }));
    await open(source, { expect: { resolverVariant: "v" } });
    variant = "w";
    await clock.advance(HOUR - 200_000);
    source.prepare(track);
    await settle();
    expect(asked).toHaveLength(2);
    await open(source, { expect: { resolverVariant: "v" } });
    expect(upstream.asked.at(-1)?.resolution.url).toBe(url(1).url);
    await clock.advance(200_000);
    await expect(open(source, { expect: { resolverVariant: "v" } })).rejects.toMatchObject({ code: "variant-changed" });
  });

  test("a resolver that fails or throws harms nobody", async () => {
    const source = layer(() => {
      throw new Error("broken");
    });
    source.prepare(track);
    await settle();
    await clock.advance(100_000);
    expect(asked).toHaveLength(1);
  });

  test("goes before all prefetch, after players that wait, and never takes the slot that is kept for these", async () => {
    const source = layer();
    for (const id of ["1", "2", "3"]) void open(source, { id, urgency: new Urgency(Priority.body) });
    for (const id of ["4", "5"]) void open(source, { id, urgency: new Urgency(Priority.head) });
    await settle();
    source.prepare({ ...track, id: "next" });
    await settle();
    const begun = (): string[] => asked.map(({ id }) => id);
    expect(begun()).toEqual(["1", "2", "3"]);
    void open(source, { id: "player" });
    await settle();
    expect(begun()).toEqual(["1", "2", "3", "player"]);
    void open(source, { id: "another" });
    asked[0]?.answer.resolve(url(1));
    await settle();
    expect(begun().slice(4)).toEqual(["another"]);
    asked[1]?.answer.resolve(url(1));
    asked[2]?.answer.resolve(url(1));
    await settle();
    expect(begun().slice(5)).toEqual(["next"]);
    asked[3]?.answer.resolve(url(1));
    await settle();
    expect(begun().slice(6)).toEqual(["4"]);
  });

  test("a player that comes to wait for it promotes it", async () => {
    const source = layer();
    for (const id of ["1", "2", "3"]) void open(source, { id, urgency: new Urgency(Priority.body) });
    source.prepare(track);
    await settle();
    expect(asked).toHaveLength(3);
    void open(source);
    await settle();
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "song"]);
  });
});

describe("order", () => {
  test("playback, heads, bodies, background, and what nobody wants any more; equals as they came", async () => {
    const source = layer();
    for (const id of ["1", "2", "3", "4"]) void open(source, { id });
    await settle();
    const levels = {
      bg: Priority.background,
      body: Priority.body,
      gone: Priority.abandoned,
      head: Priority.head,
    } as const;
    for (const round of ["a", "b"]) {
      for (const [name, level] of Object.entries(levels))
        void open(source, { id: name + round, urgency: new Urgency(level) });
    }
    void open(source, { id: "player" });
    await settle();
    for (let n = 0; n < 12; n += 1) {
      asked[n]?.answer.resolve(url(n));
      await settle();
    }
    expect(asked.slice(4).map(({ id }) => id)).toEqual([
      "player",
      "heada",
      "headb",
      "bodya",
      "bodyb",
      "bga",
      "bgb",
      "gonea",
      "goneb",
    ]);
  });

  test("three slow calls of prefetch leave one slot, over and over, to each player that comes", async () => {
    const source = layer();
    for (const id of ["1", "2", "3", "4", "5"]) void open(source, { id, urgency: new Urgency(Priority.head) });
    await settle();
    for (const id of ["p", "q", "r"]) {
      const playing = open(source, { id });
      await settle();
      const call = asked.find((one) => one.id === id);
      expect(call).toBeDefined();
      call?.answer.resolve(url(id));
      await playing;
    }
    expect(asked.map(({ id }) => id)).toEqual(["1", "2", "3", "p", "q", "r"]);
  });

  test("one that loses its player falls back, and is dropped when its last caller leaves", async () => {
    const source = layer();
    for (const id of ["1", "2", "3", "4"]) void open(source, { id });
    const urgency = new Urgency(Priority.playback);
    const gone = new AbortController();
    void open(source, { id: "left", urgency });
    void open(source, { id: "dropped" }, gone.signal);
    void open(source, { id: "head", urgency: new Urgency(Priority.head) });
    await settle();
    urgency.level = Priority.abandoned;
    gone.abort();
    for (const n of [0, 1, 2, 3]) asked[n]?.answer.resolve(url(n));
    await settle();
    expect(asked.slice(4).map(({ id }) => id)).toEqual(["head", "left"]);
  });

  test("of joined needs the one that has tried most often is told to the resolver", async () => {
    const source = layer();
    for (const id of ["1", "2", "3"]) void open(source, { id });
    void open(source, { id: "4" });
    const tried = new Need();
    tried.refreshes = 1;
    tried.reason = "forbidden";
    void open(source, { id: "song" });
    void open(source, { id: "song", need: tried });
    await settle();
    asked[0]?.answer.resolve(url(1));
    await settle();
    expect(asked[4]).toMatchObject({ id: "song", attempt: 2, reason: "forbidden" });
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
    const renew = upstream.asked[0]?.renew as () => Promise<Resolution> | undefined;
    await clock.advance(89_000);
    expect(renew()).toBeUndefined();
    await clock.advance(1000);
    expect((await renew())?.url).toBe(url(2).url);
    expect(renew()).toBeUndefined();
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
    for (let n = 0; n < 5; n += 1) expect(upstream.asked[0]?.renew?.()).toBeUndefined();
    expect(asked).toHaveLength(1);
  });
});
