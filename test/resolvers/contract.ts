import assert from "node:assert/strict";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, it } from "vitest";
import type { Resolution, ResolveReason, Resolver, ResolveRequest } from "../../src/data-source/resolution.ts";
import { resolving } from "../../src/data-source/resolving.ts";
import { MemoryUriCache } from "../../src/data-source/uri-cache.ts";
import { AfterbayError, type ErrorCode, isAfterbayError } from "../../src/errors.ts";
import { problemOf } from "../../src/http/problem.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { answer, fakeSource, ManualClock, never, settle, specOf } from "../data-source/fakes.ts";
import { eventually } from "../helpers/process.ts";

/** What can be said of a track: that there is none, that it never plays, that it may not be had, that it may pass. */
export type Verdict = "not-found" | "unplayable" | "forbidden" | "transient";

/** What stands behind a resolver and is asked by it. */
export interface Backend {
  /** Calls that were made. */
  readonly calls: () => number;
  /** Calls that are not answered yet. */
  readonly live: () => number;
  /** Leaves every call unanswered from then on. */
  readonly hang: () => void;
  /** Answers every call so from then on. */
  readonly say: Readonly<Partial<Record<Verdict, () => void>>>;
  /** What the last call was told. Absent: it is told of the id alone. */
  readonly told?: () => { attempt?: string; reason?: string; quality?: string };
}

/** What a resolver shows of itself to be checked. */
export interface ResolverFixture {
  readonly resolver: Resolver;
  /** Ids of different tracks that resolve, each to bytes of its own. Empty for a source whose tracks have no URLs. */
  readonly ids: readonly string[];
  /** An id that the source cannot have. Absent where every id may be one. */
  readonly unknownId?: string;
  /** False where the upstream's validators name the bytes. */
  readonly namesVariants: boolean;
  /** `host:port` of all URLs, whatever the id. */
  readonly host: string;
  readonly backend?: Backend;
  /** What is secret: found in no error. */
  readonly secrets: () => readonly string[];
  /** True where errors may carry what user's code threw as their cause: only their words are looked at then. */
  readonly quotesCauses?: boolean;
  readonly close: () => Promise<void>;
}

type Check = (fixture: ResolverFixture) => Promise<void>;
type BackendCheck = (fixture: ResolverFixture, backend: Backend) => Promise<void>;

const LIMIT_MS = 300;
/** On a machine with much else to do; what should be at once is. */
const PATIENCE_MS = 10_000;
const CODES: Readonly<Record<Verdict, readonly ErrorCode[]>> = {
  "not-found": ["not-found"],
  unplayable: ["unplayable"],
  // What may not be had from here: by another URL, or not before something is done about it.
  forbidden: ["url-refused", "upstream-failed", "busy"],
  transient: ["transient", "stalled", "unreachable"],
};
const ODD_IDS = [
  "../x",
  "..",
  "%2e%2e",
  "a/b?c#d",
  "aBc",
  "AbC",
  "@evil.example/",
  "\\\\evil",
  "é 🎵",
  "x".repeat(200),
];

/** For tracks that have URLs. */
const trackChecks: Readonly<Record<string, Check>> = {
  async "gives a valid resolution, and for no other id"({ resolver, ids, host }) {
    for (const id of ids) {
      const resolution = validateResolution(await within(resolver.resolve(id, request())));
      assert.ok(resolution.id === undefined || resolution.id === id, "it belongs to another id");
      assert.equal(hostOf(resolution), host);
    }
  },

  async "names the same bytes the same way each time"({ resolver, ids, namesVariants }) {
    const variants = new Set<string | undefined>();
    for (const about of [{}, {}, { attempt: 2, reason: "forbidden" }, { reason: "expired" }] as const) {
      variants.add((await resolver.resolve(ids[0] ?? "", request(about))).variant);
    }
    assert.equal(variants.size, 1);
    assert.equal([...variants][0] !== undefined, namesVariants);
  },

  async "serves many at once, each its own track"({ resolver, ids }) {
    const alone = new Map<string, string>();
    for (const id of ids) alone.set(id, pathOf(await resolver.resolve(id, request())));
    const asked = [...ids, ...ids, ...ids];
    const together = await within(Promise.all(asked.map((id) => resolver.resolve(id, request()))));
    assert.deepEqual(
      together.map(pathOf),
      asked.map((id) => alone.get(id)),
    );
  },

  async "takes odd ids for ids, or for none, and goes nowhere else with them"(fixture) {
    for (const id of ODD_IDS) {
      const outcome = await within(settled(fixture.resolver.resolve(id, request())));
      if (isAfterbayError(outcome)) assert.ok(["not-found", "transient"].includes(outcome.code), outcome.code);
      else if (outcome instanceof Error) throw outcome;
      else assert.equal(hostOf(outcome), fixture.host);
    }
  },
};

const checks: Readonly<Record<string, Check>> = {
  async "says that there is no such track"({ resolver, unknownId }) {
    if (unknownId === undefined) return;
    const error = await failure(resolver.resolve(unknownId, request()));
    assert.equal(error.code, "not-found");
  },

  async "does nothing when the signal has aborted already"({ resolver, ids, backend }) {
    const reason = new Error("aborted before");
    const outcome = await within(
      settled(resolver.resolve(ids[0] ?? "x", request({ signal: AbortSignal.abort(reason) }))),
    );
    assert.equal(outcome, reason);
    assert.equal(backend?.calls() ?? 0, 0, "the backend was asked");
  },

  async "has one name for what it knows, without asking"({ resolver, ids, backend }) {
    for (const id of ids) assert.equal(resolver.canonical?.(id) ?? id, id);
    for (const text of [...ODD_IDS, "https://example.com/%2e%2e/a b", "playlist:", "radio:https://[", "\u0000"]) {
      const named = resolver.canonical?.(text);
      if (named !== undefined) assert.equal(resolver.canonical?.(named), named);
    }
    assert.equal(backend?.calls() ?? 0, 0, "the backend was asked");
  },

  async "can be closed, and again"({ resolver }) {
    await within(Promise.resolve(resolver.close?.()));
    await within(Promise.resolve(resolver.close?.()));
  },
};

const backendChecks: Readonly<Record<string, BackendCheck>> = {
  async "an abort ends a pending call at once, with its reason, and frees the backend"({ resolver, ids }, backend) {
    backend.hang();
    const abort = new AbortController();
    const pending = settled(resolver.resolve(ids[0] ?? "", request({ signal: abort.signal })));
    await eventually(() => assert.equal(backend.live(), 1, "the backend was not asked"), { timeoutMs: PATIENCE_MS });
    const reason = new Error("aborted meanwhile");
    abort.abort(reason);
    assert.equal(await within(pending), reason);
    await eventually(() => assert.equal(backend.live(), 0, "the backend is still asked"));
  },

  async "an abort of one call leaves another alone"({ resolver, ids: [one = "", two = one] }) {
    const abort = new AbortController();
    const left = settled(resolver.resolve(one, request({ signal: abort.signal })));
    const stays = resolver.resolve(two, request());
    abort.abort(new Error("gone"));
    await within(left);
    validateResolution(await within(stays));
  },

  async "is given up by the pipeline when its backend does not answer"({ resolver, ids }, backend) {
    backend.hang();
    const clock = new ManualClock();
    const layer = resolving(
      fakeSource(() => answer([])),
      {
        resolver,
        uriCache: new MemoryUriCache(clock),
        clock,
        validate: validateResolution,
      },
    );
    const pending = failure(layer.open(specOf({ id: ids[0] ?? "" }), { signal: never }));
    await settle();
    await clock.advance(20_000);
    assert.equal((await pending).code, "stalled");
  },

  async "tells one failure from another, in words without secrets"(fixture, { say }) {
    const { resolver, ids, secrets, quotesCauses = false } = fixture;
    for (const [n, [verdict, begin]] of Object.entries(say).entries()) {
      begin();
      const error = await failure(resolver.resolve(ids[n % ids.length] ?? "", request()));
      assert.ok(CODES[verdict as Verdict].includes(error.code), `${verdict}: ${error.code}`);
      const shown = [error.message, problemOf(error).body, quotesCauses ? "" : inspect(error, { depth: 9 })].join("\n");
      for (const secret of secrets()) assert.ok(!shown.includes(secret), `${verdict}: quotes ${secret}`);
      assert.match(error.message, /^[^\r\n]{1,300}$/);
    }
  },

  async "passes on attempt, reason and quality"({ resolver, ids }, { told }) {
    if (told === undefined) return;
    const reasons: readonly ResolveReason[] = ["first", "expired", "forbidden", "not-found", "mismatch"];
    for (const [n, reason] of reasons.entries()) {
      await resolver.resolve(ids[0] ?? "", request({ attempt: n + 1, reason, quality: "low" }));
      assert.deepEqual(told(), { attempt: String(n + 1), reason, quality: "low" });
    }
  },

  async "ends what is under way when it is closed, and begins nothing after"({ resolver, ids }, backend) {
    if (resolver.close === undefined) return;
    backend.hang();
    const pending = failure(resolver.resolve(ids[0] ?? "", request()));
    await eventually(() => assert.equal(backend.live(), 1, "the backend was not asked"), { timeoutMs: PATIENCE_MS });
    await within(resolver.close());
    await pending;
    await eventually(() => assert.equal(backend.live(), 0));
    const calls = backend.calls();
    await failure(resolver.resolve(ids[0] ?? "", request()));
    assert.equal(backend.calls(), calls, "the backend was asked again");
  },
};

/** What there is to check of a resolver, besides what holds for all. */
export interface Applies {
  /** Its tracks have URLs. */
  readonly tracks: boolean;
  /** It asks somebody, and has a time limit for that, or leaves that to the pipeline. */
  readonly backend: "none" | "limited" | "unlimited";
}

export interface FixtureOptions {
  /** The time limit to set, ms. Default: the resolver's own. */
  readonly timeoutMs?: number;
}

/** For a resolver whose own limit is {@link LIMIT_MS}. */
async function checkLimit({ resolver, ids }: ResolverFixture, backend: Backend): Promise<void> {
  backend.hang();
  assert.equal((await failure(resolver.resolve(ids[0] ?? "", request()))).code, "stalled");
  await eventually(() => assert.equal(backend.live(), 0, "the backend is still asked"));
}

/**
 * Checks a resolver against the contract in `src/data-source/resolution.ts`. Every check gets a fixture of its own, which is
 * closed after it.
 */
export function describeResolverContract(
  name: string,
  applies: Applies,
  makeFixture: (options: FixtureOptions) => Promise<ResolverFixture>,
): void {
  describe(`${name}: the contract of a Resolver`, () => {
    let fixture: ResolverFixture;
    beforeEach(async () => {
      fixture = await makeFixture({});
    });
    afterEach(() => fixture.close());

    for (const [title, check] of Object.entries({ ...checks, ...(applies.tracks && trackChecks) })) {
      it(title, () => check(fixture));
    }
    for (const [title, check] of Object.entries(applies.backend === "none" ? {} : backendChecks)) {
      it(title, () => check(fixture, fixture.backend as Backend));
    }
    if (applies.backend !== "limited") return;
    it("gives up a backend that does not answer, in time", async () => {
      await fixture.close();
      fixture = await makeFixture({ timeoutMs: LIMIT_MS });
      await checkLimit(fixture, fixture.backend as Backend);
    });
  });
}

function request(about: Partial<ResolveRequest> = {}): ResolveRequest {
  return { signal: new AbortController().signal, attempt: 1, reason: "first", ...about };
}

/** The value, or what it was rejected with. */
async function settled(promise: Promise<Resolution>): Promise<Resolution | Error> {
  try {
    return await promise;
  } catch (error) {
    assert.ok(error instanceof Error, "something else than an Error was thrown");
    return error;
  }
}

async function failure(promise: Promise<unknown>): Promise<AfterbayError> {
  const outcome = await within(settled(promise as Promise<Resolution>));
  if (outcome instanceof AfterbayError) return outcome;
  throw new Error("It did not fail as it should", { cause: outcome });
}

function hostOf({ url }: Resolution): string {
  return new URL(url).host;
}

/** Without what is minted anew each time. */
function pathOf({ url }: Resolution): string {
  const { pathname, searchParams } = new URL(url);
  return `${pathname} ${searchParams.get("id") ?? ""}`;
}

async function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Nothing for ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
