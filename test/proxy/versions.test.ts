import { afterEach, describe, expect, test } from "vitest";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import type { RawRequest, RawResponse } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import type { ResourceOptions } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const SIZE = 4 * MiB;
let rig: Rig;
afterEach(() => rig.close());

async function start(resource: ResourceOptions = {}, options: RigOptions = {}): Promise<void> {
  rig = await startRig(options);
  rig.up.resource("song", { size: SIZE, ...resource });
}

/** The first bytes only: what is kept is a part. */
async function playSome(path: string, more: Partial<RawRequest> = {}): Promise<RawResponse> {
  const got = await rig.get(path, { readBytes: 100_000, ...more });
  await eventually(() => expect(rig.up.live()).toBe(0));
  return got;
}

async function expectWhole(
  path: string,
  version: number | string,
  more: Partial<RawRequest> = {},
  size = SIZE,
): Promise<RawResponse> {
  const got = await rig.get(path, more);
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, rig.up.bytesOf("song", version, 0, size));
  return got;
}

const seek = (path: string, from: number, more: Record<string, string> = {}) =>
  rig.get(path, { headers: { range: `bytes=${from}-`, ...more } });

/** Nothing of another version, however far it came. */
function expectPrefix(got: RawResponse, version: number | string): void {
  expect(got.complete).toBe(false);
  assertBytes(got.body, rig.up.bytesOf("song", version, 0, got.body.length));
}

test("V1: resolving again mid-song yields another variant: cut, 410 to a resume, the new one from 0; nothing mixed", async () => {
  await start({ signed: true });
  rig.up.script("song", [{ do: { pace: 3_000_000 } }]);
  const playing = rig.get("w/song");
  await eventually(() => expect(rig.up.bytesSent("song")).toBeGreaterThan(200_000));
  rig.up.setResource("song", { version: 2 });
  rig.up.expire("song");
  const got = await playing;
  expectPrefix(got, 1);
  expect(got.body.length).toBeGreaterThan(200_000);
  rig.up.script("song", []);
  const resumed = await seek("w/song", got.body.length);
  expect([resumed.status, (JSON.parse(Buffer.from(resumed.body).toString()) as { code: string }).code]).toEqual([
    410,
    "variant-changed",
  ]);
  const anew = await expectWhole("w/song", 2);
  expect(anew.headers["etag"]).not.toBe(got.headers["etag"]);
  const later = await seek("w/song", 3 * MiB);
  assertBytes(later.body, rig.up.bytesOf("song", 2, 3 * MiB, SIZE));
});

test("V1: with the old ETag in If-Range, the resume is answered with the whole new one", async () => {
  await start({ signed: true });
  const first = await playSome("w/song");
  rig.up.setResource("song", { version: 2 });
  rig.up.expire("song");
  const cut = await seek("w/song", 2 * MiB);
  expect(cut.complete && cut.status < 300).toBe(false);
  const anew = await seek("w/song", 2 * MiB, { "if-range": first.headers["etag"] ?? "" });
  expect(anew.status).toBe(200);
  assertBytes(anew.body, rig.up.bytesOf("song", 2, 0, SIZE));
});

describe("V2: same length, other bytes", () => {
  test.each([
    ["a new ETag", {}, { version: 2 }],
    [
      "a new Last-Modified",
      { etag: "none", lastModified: new Date(1e12) },
      { version: 2, lastModified: new Date(2e12) },
    ],
    [
      "a new date beside a weak tag",
      { etag: "weak", lastModified: new Date(1e12) },
      { version: 2, lastModified: new Date(2e12) },
    ],
  ] as const)("%s is a new variant", async (_title, before, after) => {
    await start(before);
    const first = await playSome("song");
    rig.up.setResource("song", after);
    const anew = await rig.get("song");
    // The part that was kept may go out before the change is seen; then the socket is cut, and the next try is whole.
    if (anew.complete) assertBytes(anew.body, rig.up.bytesOf("song", 2, 0, SIZE));
    else expectPrefix(anew, 1);
    const next = await expectWhole("song", 2);
    expect(next.headers["etag"]).not.toBe(first.headers["etag"]);
  });

  test("between two windows of one response: cut, never mixed", async () => {
    await start();
    rig.up.script("song", [{ do: { pace: 2_000_000 } }]);
    const playing = rig.get("song");
    await eventually(() => expect(rig.up.bytesSent("song")).toBeGreaterThan(100_000));
    rig.up.setResource("song", { version: 2 });
    const got = await playing;
    expectPrefix(got, 1);
    expect(got.body.length).toBe(512 * KiB);
    rig.up.script("song", []);
    await expectWhole("song", 2);
  });

  test("under a name that the resolver keeps: the answer's own validator tells", async () => {
    await start({}, { resolve: (id) => rig.up.resolution(id, { variant: "same" }) });
    await playSome("w/song");
    rig.up.setResource("song", { version: 2 });
    expectPrefix(await rig.get("w/song"), 1);
    await expectWhole("w/song", 2);
  });
});

test("V3: quality low, high, low: each keeps its own chunks; a complete low one plays offline", async () => {
  const byQuality = (id: string, query: URLSearchParams): Resolution =>
    rig.up.resolution(`${id}-${query.get("quality")}`);
  await start({}, { resolve: byQuality });
  for (const [quality, size] of [
    ["low", 700_000],
    ["high", 2_000_000],
  ] as const)
    rig.up.resource(`song-${quality}`, { size });
  const bytesOf = (quality: string): Uint8Array => rig.up.bytes(`song-${quality}`);
  for (const quality of ["low", "high", "low"]) {
    const got = await rig.get(`w/song?quality=${quality}`);
    assertBytes(got.body, bytesOf(quality));
  }
  expect(rig.up.bytesSent("song-low")).toBe(700_000);
  await rig.up.goOffline();
  for (const quality of ["low", "high"]) {
    const got = await rig.get(`w/song?quality=${quality}&offline=1`);
    expect(got.status).toBe(200);
    assertBytes(got.body, bytesOf(quality));
  }
  await rig.up.goOnline();
});

test.each([
  ["shrinks", 3 * MiB],
  ["grows", 5 * MiB],
])("V4: the length %s under a known variant: the old bytes are parked, the next play works", async (_title, size) => {
  await start({ etag: "none" }, { resolve: (id) => rig.up.resolution(id, { variant: "same", contentLength: 1 }) });
  await playSome("w/song");
  rig.up.setResource("song", { size, version: 2 });
  expectPrefix(await rig.get("w/song"), 1);
  expect((await seek("w/song", 2 * MiB)).status).toBe(410);
  await expectWhole("w/song", 2, {}, size);
  const end = await seek("w/song", size - 10);
  assertBytes(end.body, rig.up.bytesOf("song", 2, size - 10, size));
});

test("V5: a resolver that answers for another track: refused, nothing cached", async () => {
  await start({}, { resolve: () => rig.up.resolution("song", { id: "another" }) });
  const got = await rig.get("w/song");
  expect(got.status).toBe(502);
  expect(rig.hook.calls().map(({ reason }) => reason)).toEqual(["first", "mismatch", "mismatch"]);
  expect(rig.up.requests("song")).toHaveLength(0);
  expect(await rig.json("/api/tracks")).toEqual({ tracks: [] });
});

test("V6: If-Range with the old ETag: 200 with the whole new body", async () => {
  await start();
  const old = await expectWhole("song", 1);
  await rig.proxy.close();
  rig.up.setResource("song", { version: 2 });
  await rig.restart({ cacheSize: 1 });
  await eventually(async () => expect(await rig.json("/api/tracks")).toEqual({ tracks: [] }));
  const got = await seek("song", 1000, { "if-range": old.headers["etag"] ?? "" });
  expect(got.status).toBe(200);
  assertBytes(got.body, rig.up.bytesOf("song", 2, 0, SIZE));
  const part = await seek("song", 1000, { "if-range": got.headers["etag"] ?? "" });
  expect(part.status).toBe(206);
});

describe("V7: bytes that differ per request, with no validator", () => {
  test("one playback, one open request", async () => {
    await start();
    rig.up.script("song", [{ do: { vary: { from: 200_000, to: 300_000 } } }]);
    const got = await rig.get("song");
    const open = rig.up.requests("song").at(-1);
    expect(rig.up.requests("song").filter(({ range }) => range === "bytes=0-")).toHaveLength(1);
    assertBytes(got.body, expected(open?.version));
    rig.up.resource("other", { size: SIZE });
    rig.up.script("other", [{ do: { vary: { from: 200_000, to: 300_000 } } }]);
    await rig.get("other");
    expect(rig.up.requests("other").map(({ range }) => range)).toEqual(["bytes=0-"]);
  });

  test("a resume overlaps kept bytes by 64 KiB and goes on where they agree", async () => {
    await start();
    rig.up.script("song", [
      { times: 2, do: { vary: { from: 0, to: 100_000 }, close: { offset: 1_000_000 } } },
      { do: { vary: { from: 0, to: 100_000 } } },
    ]);
    const got = await rig.get("song");
    expect(got.complete).toBe(true);
    const [, first, resumed] = rig.up.requests("song");
    expect(resumed?.start).toBe(1_000_000 - 64 * KiB);
    const whole = rig.up.bytesOf("song", 1, 0, SIZE).slice();
    whole.set(rig.up.bytesOf("song", first?.version ?? "", 0, 100_000));
    assertBytes(got.body, whole);
  });

  test("a mismatch there is a new variant: the socket is cut, no byte of the other one", async () => {
    await start();
    rig.up.script("song", [{ times: 2, do: { vary: true, close: { offset: 1_000_000 } } }, { do: { vary: true } }]);
    const got = await rig.get("song");
    expect([got.complete, got.body.length]).toEqual([false, 1_000_000]);
    assertBytes(got.body, rig.up.bytesOf("song", rig.up.requests("song")[1]?.version ?? "", 0, 1_000_000));
    rig.up.script("song", [{ do: { vary: true } }]);
    const anew = await rig.get("song");
    expect(anew.complete).toBe(true);
    assertBytes(anew.body, rig.up.bytesOf("song", rig.up.requests("song").at(-1)?.version ?? "", 0, SIZE));
  });

  test("an answer for all of it that ends early is gone on with like any other: by an overlap", async () => {
    await start({ size: 100_000 });
    rig.up.script("song", [{ times: 1, do: { vary: true, truncate: 40_000 } }, { do: { vary: true } }]);
    const got = await rig.get("song");
    expect([got.complete, got.body.length]).toEqual([false, 40_000]);
    assertBytes(got.body, rig.up.bytesOf("song", rig.up.requests("song")[0]?.version ?? "", 0, 40_000));
    rig.up.resource("agreeing", { size: 100_000 });
    const vary = { from: 50_000, to: 60_000 };
    rig.up.script("agreeing", [{ times: 1, do: { vary, truncate: 40_000 } }, { do: { vary } }]);
    expect((await rig.get("agreeing")).complete).toBe(true);
    expect(rig.up.requests("agreeing").map((one) => one.start)).toEqual([0, 0]);
  });

  function expected(version: number | string | undefined): Uint8Array {
    const whole = rig.up.bytesOf("song", 1, 0, SIZE).slice();
    whole.set(rig.up.bytesOf("song", version ?? "", 200_000, 300_000), 200_000);
    return whole;
  }
});
