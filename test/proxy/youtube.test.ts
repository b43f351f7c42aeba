import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/data-source/clock.ts";
import type { Resolver, ResolveRequest } from "../../src/data-source/resolution.ts";
import { createYouTube } from "../../src/resolvers/youtube/youtube.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import type { RawResponse } from "../helpers/http-client.ts";
import { type FakeYouTube, type FakeYouTubeOptions, startFakeYouTube } from "../helpers/innertube/fake.ts";
import { type FakeFormat, type FakeVideo, usualFormats } from "../helpers/innertube/video.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const ID = "dQw4w9WgXcQ";
const VISIONOS = "VISIONOS";
const TV = "TVHTML5";
const WEB = "WEB_EMBEDDED_PLAYER";
/** The same song, encoded anew. */
const anew: readonly FakeFormat[] = usualFormats().map((format) => ({ ...format, lmt: `18${format.itag}` }));
/** Where the first minute of itag 251 ends. */
const MINUTE = 960_000;

let yt: FakeYouTube;
let rig: Rig;
/** What the pipeline asked the resolver. */
let asked: Pick<ResolveRequest, "attempt" | "reason" | "variant">[] = [];
afterEach(async () => {
  await rig.close();
  await yt.close();
});

async function start(
  video: Partial<FakeVideo> = {},
  { query = "", fake = {}, ...options }: RigOptions & { query?: string; fake?: FakeYouTubeOptions } = {},
): Promise<void> {
  asked = [];
  yt = await startFakeYouTube(fake);
  add(ID, video);
  const { clock = systemClock } = options;
  const resolver = await createYouTube(`base=${yt.origin}${query}`, { now: () => clock.now() });
  const counted: Resolver = {
    ...resolver,
    async resolve(id, request) {
      const { attempt, reason, variant } = request;
      asked.push({ attempt, reason, ...(variant !== undefined && { variant }) });
      return await resolver.resolve(id, request);
    },
  };
  // Busy machines take their time to load youtubei.js.
  rig = await startRig({ sources: [{ key: "youtube", resolver: counted }], firstByteMs: 15_000, ...options });
}

function add(id: string, video: Partial<FakeVideo> = {}): void {
  yt.video(id, { formats: usualFormats(), ...video });
}

function expectExact(
  got: RawResponse,
  from = 0,
  to = 3_200_000,
  { id = ID, itag = 251, formats = usualFormats() } = {},
): void {
  expect(got.complete).toBe(true);
  assertBytes(got.body, yt.bytes(id, itag, formats).subarray(from, to));
}

const codeOf = (got: RawResponse): unknown => (JSON.parse(Buffer.from(got.body).toString()) as { code: unknown }).code;
const refusals = (): string[] => yt.media.filter(({ status }) => status === 403).map(({ why = "" }) => why);
const clients = (): string[] => yt.calls.map(({ client }) => client);
/** What every test may say of the requests for bytes: bounded windows, within what googlevideo takes. */
function expectWindows(largest = MiB): void {
  for (const { method, range } of yt.media) {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    expect([method, Number(to) - Number(from) + 1 <= largest], range).toEqual(["GET", true]);
  }
  expect(yt.strange).toEqual([]);
}

test("a track is exact, of one resolve, in windows that googlevideo takes", async () => {
  await start();
  const got = await rig.get(ID);
  expectExact(got);
  expect(got.headers).toMatchObject({ "content-type": 'audio/webm; codecs="opus"', "content-length": "3200000" });
  expect(asked).toEqual([{ attempt: 1, reason: "first" }]);
  expect(clients()).toEqual([VISIONOS]);
  expect(refusals()).toEqual([]);
  expect(yt.media.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(3_200_000);
  expectWindows();
  // Whole, it needs neither YouTube nor googlevideo.
  yt.reset();
  expectExact(await rig.get(ID));
  expect([yt.calls, yt.media]).toEqual([[], []]);
  expect(await rig.json("/api/tracks/youtube/dQw4w9WgXcQ")).toMatchObject({
    title: `Song ${ID}`,
    artist: "The Band",
    durationMs: 200_021,
    loudnessDb: -3.5,
    variant: "251-1700000000000251-3200000",
    complete: true,
  });
});

test("a link is an id as well, and each quality is a file of its own", async () => {
  await start();
  expectExact(await rig.get(`youtube/${encodeURIComponent(`https://music.youtube.com/watch?v=${ID}`)}`));
  expectExact(await rig.get(`${ID}?quality=low`), 0, 3_250_000, { itag: 140 });
  expectExact(await rig.get(`${ID}?quality=medium`));
  expect(clients()).toEqual([VISIONOS]);
});

describe("403 because", () => {
  test.each([200 * KiB, 512 * KiB, 700 * KiB])(
    "ranges above %i bytes are refused: smaller ones, and one resolve",
    async (maxRange) => {
      await start({}, { fake: { maxRange } });
      for (const id of [ID, "aaaaaaaaaaa", "bbbbbbbbbbb"]) {
        add(id);
        expectExact(await rig.get(id), 0, 3_200_000, { id });
      }
      expect(clients()).toEqual([VISIONOS, VISIONOS, VISIONOS]);
      // Learned by two tracks, known to the third.
      expect(refusals().length).toBeLessThanOrEqual(2);
      expect(new Set(refusals())).toEqual(new Set(["range too large"]));
      expectWindows();
    },
  );

  test.each([
    ["every URL of the first client is refused", { dead: true } as const, ["dead", "dead"]],
    ["its URLs are bound to another address", { ip: "203.0.113.7" }, ["ip", "ip"]],
  ])("%s: the next client, after two requests", async (_why, urls, why) => {
    await start({ clients: { [VISIONOS]: { urls } } });
    expectExact(await rig.get(ID));
    expect(clients()).toEqual([VISIONOS, TV]);
    expect(asked).toEqual([
      { attempt: 1, reason: "first" },
      { attempt: 2, reason: "forbidden" },
    ]);
    expect(refusals()).toEqual(why);
    expectWindows();
  });

  test("the URL died, while six listen: one resolve, of the same bytes", async () => {
    await start();
    yt.video(ID, { formats: usualFormats(800) });
    const exact = (got: RawResponse, from: number, to: number): void =>
      expectExact(got, from, to, { formats: usualFormats(800) });
    exact(await rig.get(ID, { headers: { range: "bytes=0-99999" } }), 0, 100_000);
    yt.expireAll();
    const wanted = [0, 0, 0, 5, 5, 5].map((at): [number, number] => [at * MiB, at * MiB + 3 * MiB]);
    const got = await Promise.all(
      wanted.map(([from, to]) => rig.get(ID, { headers: { range: `bytes=${from}-${to - 1}` } })),
    );
    got.forEach((one, n) => exact(one, ...(wanted[n] as [number, number])));
    expect(asked).toEqual([
      { attempt: 1, reason: "first" },
      { attempt: 2, reason: "forbidden", variant: "251-1700000000000251-12800000" },
    ]);
    expect(clients()).toEqual([VISIONOS, TV]);
    expect(refusals().length).toBeLessThanOrEqual(4);
  });

  test("only a minute is served: the next client with the same bytes serves the rest", async () => {
    await start({ clients: { [VISIONOS]: { urls: { upTo: MINUTE } }, [TV]: { formats: anew } } });
    expectExact(await rig.get(ID));
    expect(clients()).toEqual([VISIONOS, TV, WEB]);
    expect(asked.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expectWindows();
    // No byte was fetched twice.
    expect(yt.media.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(3_200_000);
  });

  test("only a minute is served, and no other client has the same bytes: an honest end, then the others' from 0", async () => {
    await start({
      clients: { [VISIONOS]: { urls: { upTo: MINUTE } }, [TV]: { formats: anew }, [WEB]: { formats: anew } },
    });
    const cut = await rig.get(ID);
    expect(cut.complete).toBe(false);
    assertBytes(cut.body, yt.bytes(ID, 251).subarray(0, cut.body.length));
    expect(cut.body.length).toBeGreaterThan(0);
    // The first, two more, and what the two others were asked for.
    expect(asked.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(clients()).toEqual([VISIONOS, TV, WEB, VISIONOS]);
    const resumed = await rig.get(ID, { headers: { range: `bytes=${cut.body.length}-` } });
    expect([resumed.status, codeOf(resumed)]).toEqual([410, "variant-changed"]);
    expectExact(await rig.get(ID), 0, 3_200_000, { formats: anew });
    expect(refusals().length).toBeLessThanOrEqual(6);
  });

  test("only a minute is served, whoever asks: two further resolves, then an honest end", async () => {
    await start({ clients: { "*": { urls: { upTo: MINUTE } } } });
    const cut = await rig.get(ID);
    expect(cut.complete).toBe(false);
    assertBytes(cut.body, yt.bytes(ID, 251).subarray(0, MINUTE));
    expect(asked.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(clients()).toEqual([VISIONOS, TV, WEB]);
    expect(refusals().length).toBeLessThanOrEqual(6);
  });

  test("a range that crosses the minute is refused as well: smaller ones up to it, then an honest end", async () => {
    await start({ clients: { "*": { urls: { upTo: { at: MINUTE, crossing: "refused" } } } } });
    const cut = await rig.get(ID);
    expect(cut.complete).toBe(false);
    assertBytes(cut.body, yt.bytes(ID, 251).subarray(0, cut.body.length));
    expect(cut.body.length).toBeGreaterThan(MINUTE - 64 * KiB);
    // Bytes that come meanwhile begin the count anew; that ends where no smaller range is left to ask for.
    expect(clients().slice(0, 3)).toEqual([VISIONOS, TV, WEB]);
    expect(clients().length).toBeLessThanOrEqual(6);
    expect(asked.length).toBeLessThanOrEqual(6);
    expect(yt.media.length).toBeLessThanOrEqual(25);
  });

  test("everything is refused: an error at once, after three resolves", async () => {
    await start({ clients: { "*": { urls: { dead: true } } } });
    const got = await rig.get(ID);
    expect([got.status, codeOf(got)]).toEqual([502, "upstream-failed"]);
    expect(clients()).toEqual([VISIONOS, TV, WEB]);
    expect(refusals()).toHaveLength(6);
  });

  test("the player script is another by now: a new one, and the same bytes", async () => {
    const signed = { ciphered: true, throttled: true };
    let offset = 0;
    const clock = { ...systemClock, now: () => performance.now() + offset };
    await start({ clients: { "*": signed } }, { query: "&clients=TV", clock });
    expectExact(await rig.get(ID, { headers: { range: "bytes=0-99999" } }), 0, 100_000);
    yt.nextScript();
    offset += 61_000;
    expectExact(await rig.get(ID));
    expect(asked.map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, "first"],
      [2, "forbidden"],
    ]);
  });
});

describe("a track whose URLs", () => {
  test("are signed plays, its script fetched once", async () => {
    await start({ clients: { "*": { ciphered: true, throttled: true } } });
    expectExact(await rig.get(ID));
    expect(refusals()).toEqual([]);
    expect(yt.scripts).toHaveLength(2);
  });

  test("are given by the third client only plays", async () => {
    await start({ clients: { [VISIONOS]: { sabrOnly: true }, [TV]: { http: { status: 400 } } } });
    expectExact(await rig.get(ID));
    expect(clients()).toEqual([VISIONOS, TV, WEB]);
    expect(asked).toHaveLength(1);
  });

  test("tell no length plays", async () => {
    const formats = usualFormats().map((format) => ({ ...format, unsized: true }));
    await start({ formats });
    expectExact(await rig.get(ID), 0, 3_200_000, { formats });
    expectWindows();
  });

  test("end by the clock are renewed, without a refusal, in hours and after a sleep", async () => {
    let offset = 0;
    const clock = { ...systemClock, now: () => performance.now() + offset, wall: () => Date.now() + offset };
    await start({}, { clock, fake: { now: () => Date.now() + offset } });
    expectExact(await rig.get(ID, { headers: { range: "bytes=0-99999" } }), 0, 100_000);
    offset = 6 * 3_600_000;
    expectExact(await rig.get(ID));
    expect(asked.map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, "first"],
      [1, "expired"],
    ]);
    expect(refusals()).toEqual([]);
  });
});

test("after a restart, the client that has the bytes which are kept is found", async () => {
  await start();
  expectExact(await rig.get(ID, { headers: { range: "bytes=0-99999" } }), 0, 100_000);
  yt.reset();
  add(ID, { clients: { [VISIONOS]: { formats: anew } } });
  const resolver = await createYouTube(`base=${yt.origin}`);
  await rig.restart({ sources: [{ key: "youtube", resolver }] });
  expectExact(await rig.get(ID));
  expect(clients()).toEqual([VISIONOS, TV]);
  // A fill runs on to the end of its first window.
  expect(yt.media.every(({ range }) => range?.startsWith("bytes=0-") === false)).toBe(true);
});

test("eight tracks at once, two of them in trouble and one bad: each its own bytes, each its own end", async () => {
  await start();
  const ids = Array.from({ length: 8 }, (_, n) => `track-no--${n}`);
  for (const id of ids) add(id);
  add("track-no--1", { clients: { [VISIONOS]: { urls: { upTo: MINUTE } } } });
  add("track-no--2", { clients: { [VISIONOS]: { sabrOnly: true } } });
  add("track-no--3", { clients: { "*": { http: { status: 429, headers: { "retry-after": "600" } } } } });
  const got = await Promise.all(ids.map((id) => rig.get(id)));
  got.forEach((one, n) => {
    if (n === 3) expect([one.status, codeOf(one), one.headers["retry-after"]]).toEqual([503, "busy", "600"]);
    else expectExact(one, 0, 3_200_000, { id: ids[n] as string });
  });
  const counts = ids.map((id) => yt.calls.filter(({ videoId }) => videoId === id).length);
  expect(counts).toEqual([1, 2, 2, 1, 1, 1, 1, 1]);
  // Players that come again do not ask YouTube again.
  const again = await Promise.all(Array.from({ length: 5 }, () => rig.get("track-no--3")));
  expect(again.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
  expect(yt.calls.filter(({ videoId }) => videoId === "track-no--3")).toHaveLength(1);
});

test("nothing secret is logged or answered", async () => {
  await start({ clients: { [VISIONOS]: { ciphered: true, throttled: true, urls: { upTo: MINUTE } } } });
  add("refusednow-", { clients: { "*": { urls: { dead: true } } } });
  add("lockedaway-", {
    clients: { "*": { playability: { status: "UNPLAYABLE", reason: "See https://x.example/?t=SECRET-IN-ANSWER" } } },
  });
  const seen = [];
  for (const path of [ID, "refusednow-", "lockedaway-", "unknown---0", "https%3A%2F%2Fevil.example%2F"]) {
    const got = await rig.get(path);
    seen.push(JSON.stringify(got.headers), got.status === 200 ? "" : Buffer.from(got.body).toString());
  }
  await eventually(() => expect(rig.log.length).toBeGreaterThan(0));
  for (const path of [
    "/api/tracks",
    `/api/tracks/youtube/${ID}`,
    "/playlist.m3u8",
    "/",
    "/api/prefetch",
    "/api/sessions",
    "/metrics",
  ]) {
    seen.push(Buffer.from((await rig.get(`..${path}`, { path })).body).toString());
  }
  const all = [...seen, JSON.stringify(rig.log)].join("\n");
  expect(yt.secrets.length).toBeGreaterThan(20);
  for (const secret of yt.secrets) expect(all).not.toContain(secret);
  // A playback tells where bytes came from, without the query.
  expect(all).not.toMatch(/videoplayback\?[^…]|THUMBNAIL/);
});
