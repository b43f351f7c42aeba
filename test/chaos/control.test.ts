import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type ChaosRig, SONG, startChaosRig, textOf } from "./chaos-rig.ts";

const script = {
  tracks: {
    song: {
      file: "song.bin",
      about: "one 500",
      expect: "plays",
      faults: [{ when: { request: 1 }, do: { status: 500 } }],
    },
    signed: { file: "song.bin", urls: { requests: 1 }, resolve: [{ times: 1, do: { status: 503 } }] },
    odd: { size: 3000, version: "first" },
  },
};

let rig: ChaosRig;
beforeEach(async () => {
  rig = await startChaosRig(script, 7);
});
afterEach(async () => {
  await rig.close();
  expect(rig.faults).toEqual([]);
});

interface Log {
  readonly entries: readonly Record<string, unknown>[];
}
const log = async (query = ""): Promise<Log["entries"]> => ((await rig.json(`/chaos/log${query}`)) as Log).entries;
const range = (bytes: string): { headers: Record<string, string> } => ({ headers: { range: `bytes=${bytes}` } });

test("what there is", async () => {
  expect(await rig.json("/chaos/tracks")).toEqual({
    tracks: [
      { id: "song", about: "one 500", expect: "plays", size: SONG.length, signed: false },
      { id: "signed", about: "", expect: "", size: SONG.length, signed: true },
      { id: "odd", about: "", expect: "", size: 3000, signed: false },
    ],
  });
  expect(await rig.json("/chaos/script")).toEqual(script);
});

describe("the bytes as they should be", () => {
  test("come without a fault, and are not counted", async () => {
    const got = await rig.get("/chaos/origin/song");
    assertBytes(got.body, SONG);
    const part = await rig.get("/chaos/origin/song", range("10-19"));
    expect([part.status, part.headers["content-range"]]).toEqual([206, "bytes 10-19/100000"]);
    assertBytes(part.body, SONG.subarray(10, 20));
    assertBytes((await rig.get("/chaos/origin/signed")).body, SONG);
    expect(await rig.json("/chaos/counters")).toMatchObject({ requests: 0, bytesSent: 0 });
    expect((await rig.get("/song")).status).toBe(500);
  });

  test("of another version and length", async () => {
    const first = await rig.get("/chaos/origin/odd");
    assertBytes((await rig.get("/chaos/origin/odd?version=first")).body, first.body);
    const other = await rig.get("/chaos/origin/odd?version=second&size=2000");
    expect(other.body.length).toBe(2000);
    expect(Buffer.from(other.body.subarray(44)).equals(first.body.subarray(44, 2000))).toBe(false);
    assertBytes((await rig.get("/chaos/origin/song?version=1")).body, SONG);
  });

  test("of nothing", async () => {
    expect((await rig.get("/chaos/origin/nothing")).status).toBe(404);
  });
});

test("the counters tell each track's requests, bytes, unique bytes, live ones and resolves", async () => {
  await rig.get("/song", range("0-999"));
  await rig.get("/song", range("0-999"));
  await rig.get("/song", range("500-1499"));
  await rig.get("/resolve/signed");
  await rig.get((await rig.resolve("signed")).path, range("0-9"));
  const nothing = { requests: 0, bytesSent: 0, uniqueBytes: 0, live: 0, maxLive: 0, resolves: 0 };
  expect(await rig.json("/chaos/counters")).toEqual({
    seed: 7,
    requests: 4,
    bytesSent: 2010,
    uniqueBytes: 1510,
    live: 0,
    maxLive: 1,
    resolves: 2,
    connections: { open: 1, total: 7 },
    tracks: {
      song: { ...nothing, requests: 3, bytesSent: 2000, uniqueBytes: 1500, maxLive: 1 },
      signed: { ...nothing, requests: 1, bytesSent: 10, uniqueBytes: 10, maxLive: 1, resolves: 2 },
      odd: nothing,
    },
  });
});

test("the log tells requests and resolves in their order, and nothing personal", async () => {
  await rig.get("/resolve/signed?attempt=2&reason=forbidden&quality=low");
  await rig.get("/song", { headers: { range: "bytes=0-9", authorization: "Basic c2VjcmV0", "x-mine": "1" } });
  await rig.get("/song", range("0-9"));
  await rig.get("/nothing");
  const [resolve, refused, served, missing] = await log();
  expect(resolve).toEqual({
    kind: "resolve",
    track: "signed",
    attempt: 2,
    reason: "forbidden",
    quality: "low",
    status: 503,
    atMs: 0,
  });
  expect(refused).toMatchObject({
    kind: "bytes",
    track: "song",
    status: 500,
    headers: { authorization: "…", "x-mine": "1" },
    faults: ["status"],
    bytesSent: 0,
  });
  expect(served).toMatchObject({ status: 206, range: "bytes=0-9", start: 0, bytesSent: 10, version: 1, faults: [] });
  expect(missing).toMatchObject({ track: "nothing", status: 404 });
  expect(await log("?track=song")).toHaveLength(2);
});

test("reset empties the log, zeroes the counters and begins the script anew", async () => {
  const play = async (): Promise<unknown[]> => {
    await rig.get("/resolve/signed");
    await rig.get("/song", range("0-9"));
    await rig.get("/song", range("0-9"));
    return (await log()).map(({ status }) => status);
  };
  expect(await play()).toEqual([503, 500, 206]);
  expect(await rig.post("/chaos/reset")).toEqual({});
  expect(await log()).toEqual([]);
  expect(await rig.json("/chaos/counters")).toMatchObject({ requests: 0, bytesSent: 0, uniqueBytes: 0, resolves: 0 });
  expect(await play()).toEqual([503, 500, 206]);
});

describe("addresses and methods", () => {
  test.each([
    ["GET", "/chaos/nothing", 404, undefined],
    ["GET", "/chaos", 404, undefined],
    ["GET", "/chaos/toString", 404, undefined],
    ["GET", "/chaos/reset", 405, "POST"],
    ["POST", "/chaos/log", 405, "GET"],
    ["POST", "/chaos/origin/song", 405, "GET, HEAD"],
    ["HEAD", "/chaos/log", 200, undefined],
    ["POST", "/song", 405, "GET, HEAD"],
  ] as const)("%s %s: %i", async (method, path, status, allow) => {
    const got = await rig.get(path, { method });
    expect([got.status, got.headers["allow"]]).toEqual([status, allow]);
    if (method === "HEAD") expect(got.body).toHaveLength(0);
  });

  test("a web page that has pointed its own name here learns and changes nothing", async () => {
    for (const host of ["evil.example", `evil.example:${rig.port}`, "127.0.0.1:1", ""]) {
      const got = await rig.get("/chaos/origin/song", { headers: { host } });
      expect([got.status, textOf(got)]).toEqual([403, "403\n"]);
    }
    expect((await rig.get("/chaos/log", { headers: { host: `localhost:${rig.port}` } })).status).toBe(200);
  });
});
