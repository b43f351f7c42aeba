import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import type { RawResponse } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { fast } from "../data-source/fakes.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import { startUpstream, type Upstream, type WebhookAnswer } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
let rig: Rig;
afterEach(() => rig.close());

async function start(size = 4 * MiB, options: RigOptions = {}): Promise<void> {
  rig = await startRig(options);
  rig.up.resource("song", { size, signed: options.signed ?? false });
}

function expectExact(got: RawResponse, from: number, to: number, name = "song"): void {
  expect(got.complete).toBe(true);
  assertBytes(got.body, rig.up.bytes(name, from, to));
}

const refusals = (name?: string) => rig.up.requests(name).filter(({ status }) => status === 403);
const codeOf = (got: RawResponse): unknown => (JSON.parse(Buffer.from(got.body).toString()) as { code: unknown }).code;

test("U5: 403 on a large range, 206 on a small one: smaller windows, remembered for the host, and one resolve a track", async () => {
  await start();
  for (const name of ["one", "two", "three"]) {
    rig.up.resource(name, { size: 2 * MiB });
    rig.up.script(name, [{ do: { rangeLimit: 300 * KiB } }]);
    expectExact(await rig.get(`w/${name}`), 0, 2 * MiB, name);
    expect(rig.hook.calls(name)).toHaveLength(1);
  }
  expect([refusals("one").length, refusals("two").length, refusals("three").length]).toEqual([1, 1, 0]);
});

describe("U6: the URL died", () => {
  test("N readers waiting: one resolve, each continues at its next byte", async () => {
    await start(8 * MiB, { signed: true });
    rig.up.script("song", [{ do: { pace: 4_000_000 } }]);
    const wanted: [number, number][] = [0, 0, 0, 4, 4, 4].map((from) => [from * MiB + 100, (from + 2) * MiB]);
    const readers = wanted.map(([from, to]) => rig.get("w/song", { headers: { range: `bytes=${from}-${to - 1}` } }));
    await eventually(() => expect(rig.up.bytesSent("song")).toBeGreaterThan(200_000));
    rig.up.expire("song");
    const got = await Promise.all(readers);
    got.forEach((one, n) => expectExact(one, ...(wanted[n] as [number, number])));
    expect(rig.hook.calls().map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, "first"],
      [2, "forbidden"],
    ]);
    expect(rig.up.bytesSent("song")).toBe(rig.up.uniqueBytes("song"));
    // Each of the two fills asks once more, smaller, before it takes the URL for dead.
    expect(refusals().length).toBeLessThanOrEqual(4);
  });

  test("known to expire: renewed between two windows, without a refusal", async () => {
    let minted = 0;
    await start(4 * MiB, {
      signed: true,
      resolve: () => {
        minted += 1;
        const expiresAt = minted === 1 ? Date.now() + 600 : Date.now() + 3_600_000;
        return rig.up.resolution("song", { url: rig.up.url("song", minted === 1 ? { ttl: 600 } : {}), expiresAt });
      },
    });
    rig.up.script("song", [{ do: { pace: 900_000 } }, { when: { startFrom: 1 }, do: {} }]);
    rig.up.script("song", [{ when: { request: 1 }, do: { pace: 700_000 } }]);
    expectExact(await rig.get("w/song"), 0, 4 * MiB);
    expect(refusals()).toHaveLength(0);
    expect(rig.hook.calls().map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, "first"],
      [1, "expired"],
    ]);
  });
});

describe("a URL that is refused, and the resolver knows no other", () => {
  test.each([404, 410])("%i: one request, and the truth, however often it is asked for", async (status) => {
    await start(MiB);
    rig.up.script("song", [{ do: { status } }]);
    for (let n = 0; n < 15; n += 1) {
      const got = await rig.get("song");
      expect([got.status, codeOf(got)]).toEqual([404, "not-found"]);
      expect(rig.up.requests("song").length).toBeLessThanOrEqual(n + 1);
    }
    expect(codeOf(await rig.get("missing"))).toBe("not-found");
    expect(rig.up.requests("missing")).toHaveLength(1);
  });

  test("404 to URLs that are new each time: still the truth when the track may not be resolved any more", async () => {
    await start(MiB);
    rig.up.script("song", [{ do: { status: 404 } }]);
    for (let n = 0; n < 15; n += 1) expect(codeOf(await rig.get("w/song"))).toBe("not-found");
    expect(rig.hook.calls()).toHaveLength(20);
  });

  test("404 to an id that the resolver does not know: the same", async () => {
    await start(MiB, { resolve: () => ({ status: 404 }) });
    for (let n = 0; n < 25; n += 1) expect(codeOf(await rig.get("w/unknown"))).toBe("not-found");
    expect(rig.hook.calls()).toHaveLength(20);
  });

  test("403: it may pass, so the URL is asked twice, each time large and small; then that is said", async () => {
    await start(MiB);
    rig.up.script("song", [{ do: { status: 403 } }]);
    expect(codeOf(await rig.get("song"))).toBe("upstream-failed");
    expect(rig.up.requests("song").map(({ range }) => range)).toEqual([
      "bytes=0-524287",
      "bytes=0-65535",
      "bytes=0-524287",
      "bytes=0-65535",
    ]);
    rig.up.script("song", [{ times: 2, do: { status: 403 } }]);
    expectExact(await rig.get("song"), 0, MiB);
  });

  test("404 in the middle of a song: the socket is cut, with what came before it", async () => {
    await start(2 * MiB);
    rig.up.script("song", [{ when: { startFrom: 1 }, do: { status: 404 } }]);
    const got = await rig.get("song");
    expect([got.status, got.complete]).toEqual([200, false]);
    assertBytes(got.body, rig.up.bytes("song", 0, 512 * KiB));
    expect(rig.up.requests("song")).toHaveLength(2);
  });
});

describe("U7: 206 up to an offset and 403 beyond, whatever the URL", () => {
  test.each(["short", "refuse"] as const)(
    "crossing it is %s: two further resolves, then the socket is cut",
    async (crossing) => {
      await start(2 * MiB);
      rig.up.script("song", [{ do: { wall: { at: MiB + 1000, crossing } } }]);
      const got = await rig.get("w/song");
      expect([got.status, got.complete]).toEqual([200, false]);
      expect(got.body.length).toBeGreaterThan(MiB - 64 * KiB);
      expect(got.body.length).toBeLessThanOrEqual(MiB + 1000);
      assertBytes(got.body, rig.up.bytes("song", 0, got.body.length));
      expect(rig.hook.calls().map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      expect(
        rig.hook
          .calls()
          .slice(1)
          .every(({ reason }) => reason === "forbidden"),
      ).toBe(true);
      expect(refusals().length).toBeLessThanOrEqual(7);
    },
  );

  test("beyond it from the start: 502, and the part before it still plays", async () => {
    await start(2 * MiB);
    rig.up.script("song", [{ do: { wall: MiB } }]);
    const got = await rig.get("w/song", { headers: { range: `bytes=${MiB + 5}-` } });
    expect([got.status, codeOf(got)]).toEqual([502, "upstream-failed"]);
    expect(rig.hook.calls()).toHaveLength(3);
    const before = await rig.get("w/song", { headers: { range: `bytes=0-${MiB - 1}` } });
    expectExact(before, 0, MiB);
  });
});

describe("U11: redirects", () => {
  let other: Upstream;
  beforeEach(async () => {
    other = await startUpstream();
    other.resource("song", { size: 2 * MiB });
  });
  afterEach(() => other.close());

  test("to another host each time: followed, judged each time, and asked for at the old place again", async () => {
    await start(2 * MiB, { allowPrivate: true });
    const third = await startUpstream();
    third.resource("song", { size: 2 * MiB });
    const targets = [other, third];
    rig.up.script("song", [
      { when: { request: 1 }, do: { redirect: { to: targets[0]?.url("song") as string, status: 307 } } },
      { do: { redirect: { to: targets[1]?.url("song") as string, status: 308 } } },
    ]);
    expectExact(await rig.get("song"), 0, 2 * MiB);
    expect([other.requests().length, third.requests().length > 0]).toEqual([1, true]);
    expect(rig.up.requests("song")).toHaveLength(other.requests().length + third.requests().length);
    await third.close();
  });

  test("five in a row are followed, six and a loop are not", async () => {
    await start(100_000);
    rig.up.script("song", [{ do: { redirect: { chain: 5 } } }]);
    expectExact(await rig.get("song"), 0, 100_000);
    for (const redirect of [{ chain: 6 }, { loop: true }] as const) {
      const name = Object.keys(redirect)[0] as string;
      rig.up.resource(name, { size: 100_000 });
      rig.up.script(name, [{ do: { redirect } }]);
      const got = await rig.get(name);
      expect([got.status, codeOf(got)]).toEqual([502, "upstream-failed"]);
      expect(rig.up.requests(name)).toHaveLength(3 * 6);
    }
  });

  test("to a private address: refused at connect, though the source's own address is one", async () => {
    await start(2 * MiB);
    rig.up.script("song", [{ do: { redirect: { to: other.url("song") } } }]);
    const got = await rig.get("song");
    expect([got.status, codeOf(got)]).toEqual([502, "upstream-failed"]);
    expect(other.connections.total).toBe(0);
  });

  test("to a link-local address: refused even where private ones are allowed", async () => {
    await start(2 * MiB, { allowPrivate: true });
    rig.up.script("song", [{ do: { redirect: { to: "http://169.254.169.254/latest/meta-data" } } }]);
    expect((await rig.get("song")).status).toBe(502);
  });
});

describe("U17: a resolver that", () => {
  const badAnswers: readonly [string, WebhookAnswer, number, string][] = [
    ["returns file:", { url: "file:///etc/passwd" }, 502, "upstream-failed"],
    ["returns a malformed URL", { url: "http://[::1" }, 502, "upstream-failed"],
    ["returns credentials in a URL", { url: "http://user:secret@127.0.0.1/" }, 502, "upstream-failed"],
    ["returns nothing", { status: 200, body: null }, 502, "upstream-failed"],
    ["does not know the track", { status: 404 }, 404, "not-found"],
    ["says that it can never play", { status: 410, body: { code: "unplayable", message: "Gone" } }, 410, "unplayable"],
  ];
  test.each(badAnswers)("%s: a typed error at once, nothing else touched", async (_title, answer, status, code) => {
    await start(100_000, { resolve: () => answer });
    const got = await rig.get("w/song");
    expect([got.status, codeOf(got)]).toEqual([status, code]);
    expect(Buffer.from(got.body).toString()).not.toMatch(/secret|passwd/);
    expect(rig.hook.calls().length).toBeLessThanOrEqual(3);
    expect(rig.up.requests("song")).toHaveLength(0);
    expectExact(await rig.get("song"), 0, 100_000);
  });

  test("throws: 502 after the tries of one need; then it can play", async () => {
    let failing = true;
    await start(100_000, {
      resolve: (id) => {
        if (failing) throw new Error("secret");
        return rig.up.resolution(id);
      },
      ...fast(50),
    });
    const got = await rig.get("w/song");
    expect([got.status, codeOf(got)]).toEqual([502, "upstream-failed"]);
    expect(rig.hook.calls()).toHaveLength(5);
    failing = false;
    expectExact(await rig.get("w/song"), 0, 100_000);
  });

  test("hangs: a typed error in time, and other tracks play meanwhile", async () => {
    await start(100_000, { resolve: () => new Promise<never>(() => {}), firstByteMs: 300 });
    const began = performance.now();
    const [hung, plays] = await Promise.all([rig.get("w/song"), rig.get("song")]);
    expect([hung.status, codeOf(hung)]).toEqual([504, "upstream-timeout"]);
    expect(performance.now() - began).toBeLessThan(2000);
    expectExact(plays, 0, 100_000);
    expect(rig.up.requests("song").length).toBe(1);
  });
});
