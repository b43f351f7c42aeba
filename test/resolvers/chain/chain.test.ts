import { beforeEach, describe, expect, test } from "vitest";
import { deferred } from "../../../src/data-source/aborting.ts";
import type { Resolution, Resolver, ResolveRequest } from "../../../src/data-source/resolution.ts";
import { AfterbayError, type ErrorCode } from "../../../src/errors.ts";
import { createChain } from "../../../src/resolvers/chain/chain.ts";
import { createWebhookResolver } from "../../../src/resolvers/webhook.ts";
import { ManualClock, settle } from "../../data-source/fakes.ts";
import { startUpstream, type WebhookAnswer } from "../../helpers/scripted-upstream.ts";
import { describeResolverContract } from "../contract.ts";

const SECRET = "SECRET-SIGNATURE";
const NAMES = ["one", "two", "three"];

/** Two ways to the same bytes, which both fail in the same way. */
describeResolverContract("a chain", { tracks: true, backend: "limited" }, async (options) => {
  const up = await startUpstream();
  for (const name of NAMES) up.resource(name);
  let say: WebhookAnswer | undefined;
  let live = 0;
  let hangs = false;
  const hook = up.webhook({
    async resolve(id) {
      if (hangs) {
        live += 1;
        await new Promise(() => {});
      }
      return say ?? (NAMES.includes(id) ? up.resolution(id) : { status: 404 });
    },
  });
  const link = (key: string) => ({
    key,
    resolver: { ...createWebhookResolver(hook.template, options), variantFamily: "same" },
  });
  const resolver = createChain([link("a"), link("b")]);
  const answer = (next: WebhookAnswer) => (): void => {
    say = next;
  };
  const body = `https://media.example/song?sig=${SECRET}`;
  return {
    resolver,
    ids: NAMES,
    unknownId: "nothing",
    namesVariants: true,
    host: new URL(up.origin).host,
    secrets: () => [SECRET],
    backend: {
      calls: () => hook.calls().length,
      live: () => (up.connections.open === 0 ? 0 : live),
      hang: () => {
        hangs = true;
      },
      say: {
        "not-found": answer({ status: 404, body }),
        unplayable: answer({ status: 410, body: { code: "unplayable", message: `No longer at ${body}` } }),
        transient: answer({ status: 500, body }),
      },
    },
    async close() {
      await resolver.close?.();
      await up.close();
    },
  };
});

type Say = ErrorCode | AfterbayError | "hangs" | Partial<Resolution>;

/** A source that says what it is told to, with what it was asked. */
class Part implements Resolver {
  readonly asked: { id: string; request: ResolveRequest }[] = [];
  readonly variantFamily?: string;
  readonly #key: string;
  says: Say = {};

  constructor(key: string, family?: string) {
    this.#key = key;
    if (family !== undefined) this.variantFamily = family;
  }

  async resolve(id: string, request: ResolveRequest): Promise<Resolution> {
    this.asked.push({ id, request });
    const { says } = this;
    if (says === "hangs") await deferred<never>().promise;
    if (says instanceof AfterbayError) throw says;
    if (typeof says === "string") throw new AfterbayError(says as ErrorCode, `${this.#key} says ${says}`);
    return { url: `http://${this.#key}.example/${id}`, variant: `${this.#key}-1`, ...says };
  }
}

describe("a chain of sources", () => {
  let clock: ManualClock;
  let a: Part;
  let b: Part;
  let chain: Resolver;
  const start = (family?: string): void => {
    clock = new ManualClock();
    a = new Part("a", family);
    b = new Part("b", family);
    chain = createChain(
      [
        { key: "a", resolver: a },
        { key: "b", resolver: b },
      ],
      clock,
    );
  };
  beforeEach(() => start());

  const resolve = (id = "x", about: Partial<ResolveRequest> = {}): Promise<Resolution> =>
    chain.resolve(id, { signal: new AbortController().signal, attempt: 1, reason: "first", ...about });
  const from = async (...args: Parameters<typeof resolve>): Promise<string> =>
    new URL((await resolve(...args)).url).host.slice(0, 1);
  const refused = (attempt: number, variant?: string): Partial<ResolveRequest> => ({
    attempt,
    reason: "forbidden",
    ...(variant !== undefined && { variant }),
  });
  async function failure(id = "x"): Promise<AfterbayError> {
    const outcome: unknown = await resolve(id).catch((error: unknown) => error);
    if (outcome instanceof AfterbayError) return outcome;
    throw new Error("It did not fail as it should", { cause: outcome });
  }

  test("asks in order, and the next only where one fails, whatever it says", async () => {
    expect(await from()).toBe("a");
    expect(b.asked).toHaveLength(0);
    const failures: readonly Say[] = ["not-found", "unplayable", "transient", "upstream-failed", "url-refused"];
    for (const [n, says] of failures.entries()) {
      start();
      a.says = says;
      expect(await from(`track-${n}`), JSON.stringify(says)).toBe("b");
    }
  });

  test("takes no answer that is none, or of another track", async () => {
    for (const says of [{ url: "file:///etc/passwd" }, { id: "y" }, { url: "nonsense" }]) {
      start();
      a.says = says;
      expect(await from()).toBe("b");
    }
  });

  test("says not-found only where all say so, else what is most hopeful", async () => {
    const cases: readonly [Say, Say, ErrorCode][] = [
      ["not-found", "not-found", "not-found"],
      ["not-found", "unplayable", "unplayable"],
      ["unplayable", "not-found", "unplayable"],
      ["unplayable", "upstream-failed", "upstream-failed"],
      ["upstream-failed", "busy", "busy"],
      ["not-found", "transient", "transient"],
      ["unreachable", "not-found", "unreachable"],
      ["busy", "stalled", "stalled"],
      ["wrong-answer", "not-found", "wrong-answer"],
    ];
    for (const [one, other, code] of cases) {
      start();
      Object.assign(a, { says: one });
      Object.assign(b, { says: other });
      expect((await failure()).code, JSON.stringify([one, other])).toBe(code);
    }
  });

  test("waits for the shorter of two waits", async () => {
    a.says = new AfterbayError("busy", "Wait", { retryAfterMs: 30_000 });
    b.says = new AfterbayError("busy", "Wait", { retryAfterMs: 10_000 });
    expect((await failure()).retryAfterMs).toBe(10_000);
    const calls = a.asked.length + b.asked.length;
    expect((await failure("y")).code).toBe("busy");
    expect(a.asked.length + b.asked.length).toBe(calls);
    b.says = {};
    await clock.advance(10_000);
    expect(await from("y")).toBe("b");
    expect(a.asked).toHaveLength(1);
  });

  test("asks a source that has no such track once a minute", async () => {
    a.says = "not-found";
    b.says = "transient";
    for (let n = 0; n < 4; n += 1) await failure();
    expect([a.asked.length, b.asked.length]).toEqual([1, 4]);
    a.says = {};
    await clock.advance(60_000);
    expect(await from()).toBe("a");
  });

  test("goes on with the bytes that are held, by whoever has them", async () => {
    a.says = "transient";
    const { variant } = await resolve();
    expect(variant).toBe("b/b-1");
    a.says = {};
    expect(await from("x", { reason: "expired", variant: "b/b-1" })).toBe("b");
    expect(b.asked.at(-1)?.request).toMatchObject({ reason: "expired", attempt: 1, variant: "b-1" });
    // After a restart, nothing else is known than what the cache holds.
    const [one, other] = [a, b];
    start();
    [a.says, b.says] = [one.says, other.says];
    expect(await from("x", { variant: "b/b-1" })).toBe("b");
    b.says = "not-found";
    expect((await resolve("x", { variant: "b/b-1" })).variant).toBe("a/a-1");
    expect(a.asked.at(-1)?.request.variant).toBeUndefined();
  });

  test("sources of one family go on with each other's bytes", async () => {
    start("videos");
    a.says = { variant: "251-1-2" };
    b.says = { variant: "251-1-2" };
    expect(await resolve()).toMatchObject({ url: "http://a.example/x", variant: "videos/251-1-2" });
    const next = await resolve("x", refused(2, "videos/251-1-2"));
    expect(next).toMatchObject({ url: "http://b.example/x", variant: "videos/251-1-2" });
    expect(b.asked.at(-1)?.request).toMatchObject({ attempt: 1, reason: "first", variant: "251-1-2" });
  });

  test("what nobody names is of the source that gave it, and goes on there", async () => {
    a.says = "transient";
    b.says = { variant: undefined };
    expect(await resolve()).toMatchObject({ validatorScope: "b", variant: undefined });
    a.says = {};
    expect(await from("x", { reason: "expired" })).toBe("b");
    // After a restart, the cache knows whose they are.
    start();
    expect(await from("x", { variant: "b/" })).toBe("b");
    expect(b.asked[0]?.request).not.toHaveProperty("variant");
  });

  test("a refused URL leads to the next source, and round", async () => {
    let n = 0;
    const another = (): Partial<Resolution> => ({ url: `http://a.example/${(n += 1)}` });
    a.says = another();
    expect(await from()).toBe("a");
    expect(await from("x", refused(2))).toBe("b");
    a.says = another();
    expect(await from("x", refused(3))).toBe("a");
    expect(a.asked.at(-1)?.request).toMatchObject({ attempt: 2, reason: "forbidden" });
    // It comes last for this track for a while, and first for others.
    expect(await from("y")).toBe("a");
  });

  test("loyal to held bytes only while there is hope", async () => {
    let n = 0;
    const held = "a/a-1";
    const another = (): Partial<Resolution> => ({ url: `http://a.example/${(n += 1)}` });
    for (const attempt of [1, 2]) {
      a.says = another();
      expect(await from("x", attempt === 1 ? { variant: held } : refused(attempt, held))).toBe("a");
    }
    expect(await from("x", refused(3, held))).toBe("b");
    // Whoever insists on a URL that was refused has no other.
    start();
    expect(await from("x", { variant: held })).toBe("a");
    expect(await from("x", refused(2, held))).toBe("b");
    start();
    b.says = "not-found";
    expect(await from("x", { variant: held })).toBe("a");
    expect(await from("x", refused(2, held))).toBe("a");
  });

  test("a source that fails is asked after the others, until it has had time to recover", async () => {
    a.says = "transient";
    for (const id of ["1", "2", "3"]) expect(await from(id)).toBe("b");
    expect(a.asked).toHaveLength(2);
    a.says = {};
    await clock.advance(14_000);
    expect(await from("4")).toBe("b");
    await clock.advance(2000);
    expect(await from("5")).toBe("a");
  });

  test("refused URLs count against a source as well", async () => {
    for (const id of ["1", "2"]) {
      expect(await from(id)).toBe("a");
      expect(await from(id, refused(2))).toBe("b");
    }
    expect(await from("3")).toBe("b");
    await clock.advance(60_000);
    expect(await from("3")).toBe("a");
  });

  test("a source that fails for all tracks is left alone, each by its own breaker", async () => {
    b.says = "upstream-failed";
    a.says = "transient";
    for (const id of ["1", "2", "3", "4", "5"]) expect((await failure(id)).code).toBe("transient");
    expect([a.asked.length, b.asked.length]).toEqual([5, 5]);
    const error = await failure("6");
    expect([error.code, error.retryAfterMs]).toEqual(["busy", 5000]);
    expect([a.asked.length, b.asked.length]).toEqual([5, 5]);
    b.says = {};
    await clock.advance(5000);
    expect(await from("6")).toBe("b");
  });

  test("one track that fails opens no breaker", async () => {
    a.says = "transient";
    b.says = "transient";
    for (let n = 0; n < 12; n += 1) expect((await failure()).code).toBe("transient");
  });

  test("waits for a silent source together with the next one", async () => {
    a.says = "hangs";
    const answer = from();
    await clock.advance(7999);
    expect(b.asked).toHaveLength(0);
    await clock.advance(1);
    expect(await answer).toBe("b");
    expect(a.asked[0]?.request.signal.aborted).toBe(true);
  });

  test("whoever was silent may still be the one that answers", async () => {
    const late = deferred<Resolution>();
    a.resolve = () => late.promise;
    b.says = "transient";
    const answer = from();
    await clock.advance(8000);
    await settle();
    expect(b.asked).toHaveLength(1);
    late.resolve({ url: "http://a.example/x", variant: "1" });
    expect(await answer).toBe("a");
  });

  test("asks no source for less than it gives, and lists what they list", async () => {
    Object.assign(a, { maxWindow: 100, hosts: ["a.example:80"] });
    Object.assign(a, { list: async () => [{ id: "x", title: "By a" }] });
    Object.assign(b, { list: async () => [{ id: "x", title: "By b" }, { id: "y" }] });
    chain = createChain(
      [
        { key: "a", resolver: a },
        { key: "b", resolver: b },
      ],
      clock,
    );
    expect((await resolve()).maxWindow).toBe(100);
    expect(await chain.list?.()).toEqual([{ id: "x", title: "By a" }, { id: "y" }]);
    expect(chain.hosts).toEqual(["a.example:80"]);
  });
});
