import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { MEASURED } from "../helpers/measured.ts";

const MiB = 1024 ** 2;
const KiB = 1024;
const SIZE = 3 * MiB + 100;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

interface Track {
  readonly cachedBytes: number;
  readonly complete: boolean;
  readonly size?: number;
  readonly chunks: string;
  readonly spans: readonly (readonly [number, number])[];
  readonly variant: string;
}

const ask = (path: string, options: Partial<RawRequest> = {}): Promise<RawResponse> =>
  request({ port: rig.port, path, ...options });
const remove = (path: string): Promise<RawResponse> => ask(`/api/tracks/${path}`, { method: "DELETE" });
/** Until nothing of a track is fetched or written any more. */
async function settled(path: string): Promise<void> {
  await rig.up.waitIdle();
  let before = "";
  await eventually(
    async () => {
      const now = JSON.stringify((await track(path)).spans);
      const same = now === before;
      before = now;
      expect(same).toBe(true);
    },
    { intervalMs: 50 },
  );
}

const track = (path: string): Promise<Track> => rig.json(`/api/tracks/${path}`);

function problem(got: RawResponse): readonly [number, string] {
  expect(got.headers["content-type"]).toBe("application/problem+json");
  expect(got.headers["cache-control"]).toBe("no-store");
  const { status, code } = JSON.parse(Buffer.from(got.body).toString()) as { status: number; code: string };
  expect(status).toBe(got.status);
  return [status, code];
}

describe("?offline=1", () => {
  test("answers at once what is there, and 504 where bytes are missing, also in the middle", MEASURED, async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song", { headers: { range: "bytes=0-99" } });
    await rig.get("song", { headers: { range: "bytes=2500000-" } });
    await settled("u/song");
    const { spans } = await track("u/song");
    expect(spans).toHaveLength(2);
    const [, hole] = spans[0] ?? [0, 0];
    const [after] = spans[1] ?? [0, 0];
    rig.up.reset();
    const there = await rig.get("song?offline=1", { headers: { range: `bytes=0-${hole - 1}` } });
    expect([there.status, there.headers["cache-status"]]).toEqual([206, "afterbay; hit"]);
    assertBytes(there.body, rig.up.bytes("song", 0, hole));
    for (const range of [`bytes=0-${hole}`, "bytes=0-", `bytes=${hole}-${hole}`, `bytes=${after - 1}-`]) {
      const got = await rig.get("song?offline=1", { headers: { range } });
      expect(problem(got)).toEqual([504, "not-cached"]);
      expect(got.headersMs).toBeLessThan(300);
    }
    expect(problem(await rig.get("song?offline=1"))).toEqual([504, "not-cached"]);
    expect(problem(await rig.get("unknown?offline=1"))).toEqual([504, "not-cached"]);
    expect((await rig.get("song?offline=1", { method: "HEAD" })).status).toBe(200);
    expect(rig.up.requests()).toHaveLength(0);
  });

  test("never takes a track of unknown size for whole", async () => {
    rig.up.resource("song", { size: SIZE, unknownLength: true, etag: "none" });
    rig.up.script("song", [{ do: { pace: 4_000_000 } }]);
    await rig.get("song", { readBytes: 500_000 });
    expect(problem(await rig.get("song?offline=1"))).toEqual([504, "not-cached"]);
  });
});

describe("what an upstream's failures become", () => {
  test.each([
    [404, 404, "not-found"],
    [410, 404, "not-found"],
    [403, 502, "upstream-failed"],
    [401, 502, "upstream-failed"],
    [418, 502, "upstream-failed"],
  ])("%d of the upstream", async (theirs, ours, code) => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ do: { status: theirs } }]);
    expect(problem(await rig.get("song"))).toEqual([ours, code]);
    const head = await rig.get("song", { method: "HEAD" });
    expect([head.status, head.body.length]).toEqual([ours, 0]);
  });

  test.each([
    [404, undefined, 404, "not-found"],
    [410, { code: "unplayable", message: "Not in your country" }, 410, "unplayable"],
  ])("%d of the webhook", async (theirs, body, ours, code) => {
    await rig.close();
    rig = await startRig({ resolve: () => ({ status: theirs, body }) });
    const got = await rig.get("w/song");
    expect(problem(got)).toEqual([ours, code]);
    if (body !== undefined) expect(Buffer.from(got.body).toString()).toContain("Not in your country");
  });

  test.each([500, 503, 429])("%d that passes is not noticed", async (status) => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ times: 1, do: { status } }]);
    const got = await rig.get("song");
    expect(got.status).toBe(200);
    assertBytes(got.body, rig.up.bytes("song"));
  });

  test.each([
    ["page", { page: "html" }],
    ["JSON", { page: "json" }],
    ["encoding", { encode: "gzip" }],
  ] as const)("a %s with 200 is no audio, and is not kept", async (_what, behaviour) => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ do: behaviour }]);
    expect(problem(await rig.get("song"))).toEqual([502, "upstream-failed"]);
    expect((await ask("/api/tracks/u/song")).status).toBe(404);
  });
});

describe("conditional requests", () => {
  test("If-None-Match, If-Match, If-Range and Range together, as RFC 9110 orders them", async () => {
    rig.up.resource("song", { size: SIZE });
    const { etag = "" } = (await rig.get("song")).headers;
    expect(etag).toMatch(/^"[\w-]{27}"$/);
    rig.up.reset();
    const range = "bytes=10-19";
    const other = '"other"';
    for (const [headers, status] of [
      [{ "if-none-match": etag }, 304],
      [{ "if-none-match": `W/${etag}` }, 304],
      [{ "if-none-match": `${other}, ${etag}` }, 304],
      [{ "if-none-match": "*" }, 304],
      [{ "if-none-match": etag, range }, 304],
      [{ "if-none-match": other, range }, 206],
      [{ "if-none-match": other }, 200],
      [{ "if-match": etag }, 200],
      [{ "if-match": "*", range }, 206],
      [{ "if-match": other }, 412],
      [{ "if-match": `W/${etag}` }, 412],
      [{ "if-match": other, "if-none-match": etag, range }, 412],
      [{ "if-match": etag, "if-none-match": etag }, 304],
      [{ "if-range": etag, range }, 206],
      [{ "if-range": other, range }, 200],
      [{ "if-range": `W/${etag}`, range }, 200],
      [{ "if-range": "Wed, 21 Oct 2015 07:28:00 GMT", range }, 200],
      [{ "if-range": other, range: `bytes=${SIZE}-` }, 200],
      [{ "if-none-match": other, range: `bytes=${SIZE}-` }, 416],
      [{ "if-modified-since": "Wed, 21 Oct 2099 07:28:00 GMT" }, 200],
    ] as const) {
      const got = await rig.get("song", { headers });
      expect([headers, got.status]).toEqual([headers, status]);
      if (status === 200) assertBytes(got.body, rig.up.bytes("song"));
      else if (status === 206) assertBytes(got.body, rig.up.bytes("song", 10, 20));
      else expect(got.body).toHaveLength(0);
      if (status === 304) expect(got.headers).toMatchObject({ etag, "cache-control": "no-cache" });
    }
    expect(rig.up.requests()).toHaveLength(0);
  });

  test("on a cold track cost the upstream nothing but what names the bytes", async () => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ do: { pace: 300_000 } }]);
    expect((await rig.get("song", { headers: { "if-match": '"other"' } })).status).toBe(412);
    await eventually(() => expect(rig.up.live()).toBe(0), { timeoutMs: 500 });
    expect(rig.up.bytesSent()).toBeLessThan(100_000);
  });

  test("of a track without a tag: If-Match can not hold, If-None-Match always does", async () => {
    rig.up.resource("song", { size: 1000, unknownLength: true, etag: "none" });
    rig.up.script("song", [{ do: { pause: { at: 500, ms: 200 } } }]);
    expect((await rig.get("song", { headers: { "if-match": '"other"' } })).status).toBe(412);
    expect((await rig.get("song", { headers: { "if-none-match": "*" } })).status).toBe(200);
  });

  test("the ETag stays across restarts, and is another for other bytes, tracks and sources", async () => {
    rig.up.resource("song", { size: 1000 });
    rig.up.resource("other", { size: 1000, etag: '"same"' });
    rig.up.resource("third", { size: 1000, etag: '"same"' });
    const tag = async (path: string): Promise<string> => (await rig.get(path)).headers["etag"] ?? "";
    const first = await tag("song");
    const tags = [first, await tag("other"), await tag("third"), await tag("w/song")];
    expect(new Set(tags).size).toBe(4);
    await rig.restart();
    expect(await tag("song")).toBe(first);
    await remove("u/song");
    expect(await tag("song")).toBe(first);
    await remove("u/song");
    rig.up.setResource("song", { version: 2 });
    expect(await tag("song")).not.toBe(first);
  });
});

test("Cache-Status and Server-Timing say where the bytes come from", async () => {
  rig.up.resource("song", { size: SIZE });
  rig.up.script("song", [{ do: { latency: 30 } }]);
  const miss = await rig.get("w/song", { headers: { range: "bytes=0-99" } });
  expect(miss.headers["cache-status"]).toBe("afterbay; fwd=miss; stored");
  expect(miss.headers["server-timing"]).toMatch(/resolve;dur=[\d.]+, upstream;dur=[\d.]+/);
  await settled("w/song");
  const hit = await rig.get("w/song", { headers: { range: "bytes=0-99" } });
  expect(hit.headers["cache-status"]).toBe("afterbay; hit");
  expect(hit.headers["server-timing"]).toMatch(/^cache;dur=[\d.]+$/);
  const partial = await rig.get("w/song");
  expect(partial.headers["cache-status"]).toBe("afterbay; fwd=partial; stored");
  expect((await rig.get("w/song")).headers["cache-status"]).toBe("afterbay; hit");
});

describe("/api/tracks", () => {
  test("shows a track that is partly cached, being fetched, and complete", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song", { headers: { range: "bytes=2097152-2100000" } });
    await settled("u/song");
    const partly = await track("u/song");
    expect(partly).toMatchObject({
      source: "u",
      id: "song",
      key: "u/song",
      size: SIZE,
      contentType: "audio/webm",
      complete: false,
      pinned: false,
      chunkSize: 512 * KiB,
      chunks: "....#..",
      spans: [[2_097_152, 2_621_440]],
      cachedBytes: 524_288,
    });
    rig.up.script("song", [{ do: { stall: 100_000 } }]);
    const gone = new AbortController();
    const playing = rig.get("song", { signal: gone.signal }).catch(() => undefined);
    await eventually(async () => expect((await track("u/song")).chunks).toBe("-...#.."));
    gone.abort(new Error("enough"));
    await playing;
    rig.up.script("song", [{ do: { status: 403 } }]);
    await rig.up.dropConnections();
    await eventually(async () => {
      const { chunks, spans } = await track("u/song");
      expect([chunks, spans[0]]).toEqual(["=...#..", [0, 100_000]]);
    });
    rig.up.script("song", []);
    await rig.get("song");
    await settled("u/song");
    expect(await track("u/song")).toMatchObject({
      complete: true,
      chunks: "#######",
      spans: [[0, SIZE]],
      cachedBytes: SIZE,
    });
    await rig.restart();
    expect(await track("u/song")).toMatchObject({
      complete: true,
      chunks: "#######",
      spans: [[0, SIZE]],
      cachedBytes: SIZE,
    });
  });

  test("lists what is stored, with ids of all kinds", async () => {
    const ids = ["a b", "ä/ö?#%", "..", "aBc", "AbC", "<script>", "x".repeat(200)];
    await rig.close();
    rig = await startRig({ resolve: (id) => rig.up.resolution(`song-${ids.indexOf(id)}`) });
    for (const [n, id] of ids.entries()) {
      rig.up.resource(`song-${n}`, { size: 100 });
      expect([id, (await rig.get(`w/${id === ".." ? "%2e%2e" : encodeURIComponent(id)}`)).status]).toEqual([id, 200]);
    }
    const { tracks } = await eventually(async () => {
      const listed = (await rig.json("/api/tracks")) as { tracks: { id: string; key: string; complete: boolean }[] };
      expect(listed.tracks.every(({ complete }) => complete)).toBe(true);
      return listed;
    });
    expect(tracks.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    for (const { key } of tracks) {
      expect((await ask(`/stream/${key}?offline=1`)).status).toBe(200);
      expect((await ask(`/api/tracks/${key}`)).status).toBe(200);
    }
    expect(Buffer.from((await ask("/")).body).toString()).not.toContain("<script>");
  });

  test("DELETE forgets an idle track: its bytes, and its files", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song");
    expect((await remove("u/song")).status).toBe(204);
    expect((await ask("/api/tracks/u/song")).status).toBe(404);
    expect(problem(await remove("u/song"))).toEqual([404, "not-found"]);
    await eventually(async () => expect(await storedFiles()).toEqual([]));
    rig.up.reset();
    const again = await rig.get("song");
    assertBytes(again.body, rig.up.bytes("song"));
    expect(rig.up.bytesSent()).toBe(SIZE);
  });

  test("DELETE of a track that plays: it plays on, newcomers miss, and the bytes go when they are free", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song", { headers: { range: "bytes=0-1000000" } });
    await rig.up.waitIdle();
    rig.up.script("song", [{ do: { pace: 4_000_000 } }]);
    const started = eventually(() => expect(rig.up.live()).toBe(1));
    const playing = rig.get("song");
    await started;
    expect((await remove("u/song")).status).toBe(202);
    expect((await ask("/api/tracks/u/song")).status).toBe(404);
    expect(problem(await rig.get("song?offline=1", { headers: { range: "bytes=0-9" } }))).toEqual([504, "not-cached"]);
    assertBytes((await playing).body, rig.up.bytes("song"));
    await eventually(async () => expect(await storedFiles()).toEqual([]));
    expect((await ask("/api/tracks/u/song")).status).toBe(404);
  });

  test("DELETE of a track that plays, and a newcomer: what was kept before is fetched anew", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song", { headers: { range: "bytes=0-1000000" } });
    await settled("u/song");
    rig.up.script("song", [{ do: { pace: 4_000_000 } }]);
    const started = eventually(() => expect(rig.up.live()).toBe(1));
    const playing = rig.get("song");
    await started;
    expect((await remove("u/song")).status).toBe(202);
    rig.up.reset();
    const newcomer = await rig.get("song", { headers: { range: "bytes=0-99999" } });
    assertBytes(newcomer.body, rig.up.bytes("song", 0, 100_000));
    expect(newcomer.headers["cache-status"]).toMatch("fwd=miss");
    expect(rig.up.requests("song").filter(({ start }) => start === 0)).toHaveLength(1);
    assertBytes((await playing).body, rig.up.bytes("song"));
    rig.up.script("song", []);
    assertBytes((await rig.get("song")).body, rig.up.bytes("song"));
    await eventually(async () =>
      expect((await storedFiles()).filter((name) => name.endsWith(".data"))).toHaveLength(1),
    );
  });

  async function storedFiles(): Promise<string[]> {
    const entries = await readdir(join(rig.cacheDir), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile() && /\.(data|map)$/.test(entry.name)).map(({ name }) => name);
  }
});

describe("the other addresses", () => {
  test.each([
    ["/ping", "text/plain; charset=utf-8", "pong"],
    ["/healthz", "application/json", '{"status":"ok"}'],
    ["/readyz", "application/json", '{"status":"ready"}'],
    ["/api/tracks", "application/json", '{"tracks":[]}'],
  ])("%s", async (path, type, text) => {
    const got = await ask(path);
    expect([got.status, got.headers["content-type"], Buffer.from(got.body).toString()]).toEqual([200, type, text]);
    const head = await ask(path, { method: "HEAD" });
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(text.length), 0]);
  });

  test("/ is a page without script, under a policy that allows none, that tells nobody where it was", async () => {
    const got = await ask("/");
    expect(got.headers).toMatchObject({ "content-type": "text/html; charset=utf-8", "referrer-policy": "no-referrer" });
    expect(got.headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(got.headers).not.toHaveProperty("set-cookie");
  });

  test.each([
    ["POST", "/stream/song", "GET, HEAD"],
    ["DELETE", "/stream/song", "GET, HEAD"],
    ["PUT", "/api/tracks", "GET, HEAD"],
    ["POST", "/api/tracks/u/song", "GET, HEAD, DELETE"],
    ["OPTIONS", "/", "GET, HEAD"],
    ["DELETE", "/ping", "GET, HEAD"],
  ])("%s %s is 405", async (method, path, allow) => {
    const got = await ask(path, { method, requestBody: "x".repeat(10_000) });
    expect([got.status, got.headers["allow"]]).toEqual([405, allow]);
  });

  test.each([
    ["/nothing", 404, "not-found"],
    ["/stream", 404, "not-found"],
    ["/api/tracks/u/song/more", 404, "not-found"],
    ["/api/tracks/none/song", 404, "not-found"],
    ["/stream/none/song", 404, "not-found"],
    ["/stream/", 400, "bad-request"],
    ["/stream/a/b/c", 400, "bad-request"],
    ["/stream/a%2Fb/c/d", 400, "bad-request"],
    ["/stream/UPPER/song", 400, "bad-request"],
    ["/stream/%00", 400, "bad-request"],
    ["/stream/%0d%0aSet-Cookie:%20a=b", 400, "bad-request"],
    ["/stream/%ff", 400, "bad-request"],
    [`/stream/${"x".repeat(201)}`, 400, "bad-request"],
    ["/stream/song?quality=best", 400, "bad-request"],
    ["/api/tracks/u", 400, "bad-request"],
    ["/../etc/passwd", 404, "not-found"],
  ])("%s is %d", async (path, status, code) => {
    expect(problem(await ask(path))).toEqual([status, code]);
  });
});
