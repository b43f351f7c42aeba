import { afterEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import type { RawResponse } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { fast } from "../data-source/fakes.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import type { Behaviour } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const SIZE = 1024 * KiB + 12_345;
const SPEED = 20;
/** 3 s of silence take 150 ms. */
const quick = fast(SPEED);

let rig: Rig;
afterEach(() => rig.close());

async function start(behaviour: Behaviour | undefined, options: RigOptions = {}, times = Number.POSITIVE_INFINITY) {
  rig = await startRig(options);
  rig.up.resource("song", { size: SIZE });
  if (behaviour !== undefined) rig.up.script("song", [{ times, do: behaviour }]);
}

async function expectExact(path: string, name = "song"): Promise<RawResponse> {
  const got = await rig.get(path);
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, rig.up.bytes(name));
  return got;
}

async function expectProblem(path: string, status: number, code: string): Promise<RawResponse> {
  const got = await rig.get(path);
  expect(got.status).toBe(status);
  const problem = JSON.parse(Buffer.from(got.body).toString()) as { code: string };
  expect([got.headers["content-type"], problem.code]).toEqual(["application/problem+json", code]);
  expect(Buffer.from(got.body).toString()).not.toMatch(/sig=|127\.0\.0\.1/);
  return got;
}

async function expectNothingKept(): Promise<void> {
  const { tracks } = (await rig.json("/api/tracks")) as { tracks: { cachedBytes: number }[] };
  expect(tracks.filter(({ cachedBytes }) => cachedBytes > 0)).toEqual([]);
}

describe("U9: a socket closed before Content-Length", () => {
  test.each([0, 1, 65_535, 65_536, 65_537, 300_000, 524_287])(
    "at byte %i: the prefix is kept, the rest fetched",
    async (at) => {
      for (const how of ["close", "reset"] as const) {
        await start({ [how]: at }, {}, 1);
        await expectExact("song");
        const { up } = rig;
        const resumed = up.requests("song")[1]?.start;
        // A reset discards what has not been read: then what is lost is fetched again.
        if (how === "close") expect([resumed, up.bytesSent("song")]).toEqual([at, SIZE]);
        else expect(resumed).toBeLessThanOrEqual(at);
        await eventually(async () => expect(await rig.json("/api/tracks/u/song")).toMatchObject({ complete: true }));
        if (how === "close") await rig.close();
      }
    },
  );

  test("again and again: each byte that comes starts the tries afresh; never complete before it is", async () => {
    await start({ close: 100_000 });
    await expectExact("song");
    expect(rig.up.bytesSent("song")).toBe(SIZE);
    expect(rig.up.requests("song").length).toBeGreaterThanOrEqual(11);
  });

  test("for good: the prefix is exact, the socket is cut, and it is not complete", async () => {
    await start(undefined, quick);
    rig.up.script("song", [
      { when: { startBelow: 600_000 }, do: { close: { offset: 600_000 } } },
      { do: { close: "headers" } },
    ]);
    const got = await rig.get("song");
    expect(got.complete).toBe(false);
    assertBytes(got.body, rig.up.bytes("song", 0, 600_000));
    expect(await rig.json("/api/tracks/u/song")).toMatchObject({ complete: false, size: SIZE });
    // Two windows as far as they came, then the retries of one need.
    expect(
      rig.up.requests("song").filter(({ start: at }) => at === undefined || at >= 600_000).length,
    ).toBeLessThanOrEqual(5);
  });
});

describe("U10: an encoded body despite identity", () => {
  test.each(["gzip", "br", "deflate"] as const)("%s is refused, and nothing of it is kept", async (encode) => {
    await start({ encode });
    await expectProblem("song", 502, "upstream-failed");
    expect(rig.up.requests("song")).toHaveLength(3);
    expect(rig.up.requests("song").every(({ headers }) => headers["accept-encoding"] === "identity")).toBe(true);
    await expectNothingKept();
  });

  test("once, and another URL is better", async () => {
    await start({ encode: "gzip" }, {}, 1);
    await expectExact("w/song");
    expect(rig.hook.calls().map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, "first"],
      [2, "mismatch"],
    ]);
  });
});

describe("U12: a page with 200", () => {
  test.each(["html", "json"] as const)("%s is an error of the upstream, never cached", async (page) => {
    await start({ page });
    await expectProblem("w/song", 502, "upstream-failed");
    expect(rig.hook.calls()).toHaveLength(3);
    await expectNothingKept();
    rig.up.script("song", []);
    await expectExact("w/song");
  });

  test.each(["audio/x-mpegurl", "audio/mpegurl", "audio/x-scpls", "application/vnd.apple.mpegurl; charset=utf-8"])(
    "so is a list of other addresses (%s): players would open them",
    async (contentType) => {
      await start({ page: { contentType, text: "#EXTM3U\nhttp://127.0.0.1:1/\n" } });
      await expectProblem("w/song", 502, "upstream-failed");
      await expectNothingKept();
    },
  );

  test("in the middle of a song: the socket is cut, and no byte of it is music", async () => {
    await start(undefined);
    rig.up.script("song", [{ when: { startFrom: 1 }, do: { page: "html" } }]);
    const got = await rig.get("song");
    expect(got.complete).toBe(false);
    assertBytes(got.body, rig.up.bytes("song", 0, 512 * KiB));
  });
});

describe("U13: silence", () => {
  test.each([
    ["before the headers", { stall: "headers" }],
    ["in the middle", { stall: 200_000 }],
    ["before the first byte", { stall: 0 }],
  ] as const)(
    "%s is given up after 3 s of a reader's waiting, and resumed at the next byte",
    async (_title, behaviour) => {
      await start(behaviour, quick, 1);
      const began = performance.now();
      await expectExact("song");
      const took = (performance.now() - began) * SPEED;
      expect(took).toBeGreaterThan(3000);
      expect(rig.up.requests("song")[0]?.outcome).toBe("aborted");
      expect(rig.up.bytesSent("song")).toBe(SIZE);
    },
  );

  test("a trickle far below the bitrate is given up as well", async () => {
    await start({ trickle: { at: 100_000, rate: 2000 } }, quick, 1);
    await expectExact("song");
    expect(rig.up.requests("song")[0]?.outcome).toBe("aborted");
    expect(rig.up.bytesSent("song") - SIZE).toBeLessThan(4096);
  });

  test("a slow stream above it is not", async () => {
    await start({ trickle: { at: 500_000, rate: 40_000 * SPEED } }, quick, 1);
    await expectExact("song");
    expect(rig.up.requests("song").map(({ outcome }) => outcome)).not.toContain("aborted");
  });
});

describe("U14: an upstream that is not there, or asks to wait", () => {
  test.each([429, 503])("%i with Retry-After: waited for, on the same URL", async (status) => {
    await start({ status, retryAfter: 4 }, quick, 1);
    await expectExact("w/song");
    const [first, second] = rig.up.requests("song");
    expect(((second?.startedAt ?? 0) - (first?.startedAt ?? 0)) * SPEED).toBeGreaterThanOrEqual(4000);
    expect(rig.hook.calls()).toHaveLength(1);
  });

  test("more than a song can wait for: said at once, with the time to come back", async () => {
    await start({ status: 503, retryAfter: 3600 });
    const got = await expectProblem("song", 502, "upstream-failed");
    expect(got.headers["retry-after"]).toBe("3600");
    expect(rig.up.requests("song")).toHaveLength(1);
  });

  test("without end: 5 requests for one need, not one more", async () => {
    await start({ status: 429, retryAfter: 1 }, quick);
    await expectProblem("song", 502, "upstream-failed");
    expect(rig.up.requests("song")).toHaveLength(5);
  });

  test("a host that has no address: offline, after the tries of one need", async () => {
    await start(undefined, { ...quick, resolve: () => ({ url: "http://nowhere.invalid/a" }) });
    const got = await expectProblem("w/song", 503, "offline");
    expect(got.headers["retry-after"]).toBeDefined();
    expect(rig.hook.calls()).toHaveLength(1);
    await expectExact("song");
  });

  test("a refused connection: an honest error, and cached tracks still play", async () => {
    await start(undefined, quick);
    rig.up.resource("kept", { size: SIZE });
    await expectExact("kept", "kept");
    await rig.up.goOffline();
    await expectProblem("song", 502, "upstream-failed");
    await expectExact("kept", "kept");
    await rig.up.goOnline();
    await expectExact("song");
  });
});
