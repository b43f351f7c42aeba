import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawResponse, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { MEASURED } from "../helpers/measured.ts";

const MiB = 1024 ** 2;
const KiB = 1024;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

function put(path: string, body?: unknown): Promise<RawResponse> {
  return request({ port: rig.port, method: "PUT", path, requestBody: body === undefined ? "" : JSON.stringify(body) });
}

interface Prefetch {
  lists: Record<string, { ids: string[]; mode: string }>;
  tracks: { key: string; state: string; code?: string }[];
}

async function settled(): Promise<Prefetch> {
  return await eventually(
    async () => {
      const prefetch: Prefetch = await rig.json("/api/prefetch");
      expect(prefetch.tracks.every(({ state }) => state === "done" || state === "failed")).toBe(true);
      return prefetch;
    },
    { timeoutMs: 8000 },
  );
}

test("heads of all tracks come before the rest of any", async () => {
  for (const id of ["a", "b", "c"]) rig.up.resource(id, { size: 2 * MiB });
  await put("/api/prefetch?list=next", { ids: ["a", "u/b", "c"], mode: "full" });
  await settled();
  const starts = rig.up.requests().map(({ resource, range }) => `${resource} ${range}`);
  const lastHead = Math.max(...["a", "b", "c"].map((id) => starts.indexOf(`${id} bytes=0-524287`)));
  expect(starts.slice(0, lastHead + 1).every((one) => one.endsWith("bytes=0-524287"))).toBe(true);
  expect(rig.up.bytesSent()).toBe(6 * MiB);
  for (const id of ["a", "b", "c"]) assertBytes((await rig.get(`${id}?offline=1`)).body, rig.up.bytes(id));
});

test("mode head fetches the first chunk only, and a list of its own does not disturb another's", async () => {
  for (const id of ["a", "b"]) rig.up.resource(id, { size: 2 * MiB });
  await put("/api/prefetch?list=one", { ids: ["a"], mode: "head" });
  await put("/api/prefetch?list=two", { ids: ["b", "a"], mode: "head" });
  const { lists } = await settled();
  expect(lists).toEqual({ one: { ids: ["u/a"], mode: "head" }, two: { ids: ["u/b", "u/a"], mode: "head" } });
  expect(rig.up.bytesSent()).toBe(MiB);
});

test("unknown ids, bad bodies and bad names are told plainly, and harm nobody", async () => {
  rig.up.resource("a", { size: 100 * KiB });
  const bad = [
    await put("/api/prefetch?list=x", { ids: "a" }),
    await put("/api/prefetch?list=x", { ids: ["a"], mode: "half" }),
    await put("/api/prefetch?list=%00", { ids: ["a"] }),
    await put("/api/prefetch?list=x", { ids: ["a/b/c"] }),
    await put("/api/prefetch?list=x", { ids: Array.from({ length: 20_001 }, (_, n) => String(n)) }),
  ];
  expect(bad.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
  await put("/api/prefetch?list=x", { ids: ["missing", "nosource/a", "a", "a"], mode: "full" });
  const { tracks } = await settled();
  expect(tracks).toMatchObject([
    { key: "u/missing", state: "failed", code: "not-found" },
    { key: "nosource/a", state: "failed", code: "not-found" },
    { key: "u/a", state: "done" },
  ]);
});

test("S2: a player joins the chunk that prefetch is fetching; cancelling the prefetch does not hurt it", async () => {
  rig.up.resource("a", { size: MiB });
  rig.up.script("a", [{ do: { pace: 2_000_000 } }]);
  await put("/api/prefetch", { ids: ["a"], mode: "full" });
  await eventually(() => expect(rig.up.live("a")).toBe(1));
  await delay(50);
  const playing = rig.get("a");
  await delay(20);
  await put("/api/prefetch", { ids: [] });
  assertBytes((await playing).body, rig.up.bytes("a"));
  expect(rig.up.bytesSent("a")).toBe(MiB);
});

test("S3: playback does not wait for prefetch, which gives way and goes on after", MEASURED, async () => {
  for (const id of ["a", "b", "song"]) rig.up.resource(id, { size: 3 * MiB });
  rig.up.script("*", [{ do: { pace: 3_000_000 } }]);
  await put("/api/prefetch", { ids: ["a", "b"], mode: "full" });
  await delay(300);
  const song = rig.get("song", { headers: { range: "bytes=0-1999999" } });
  await delay(150);
  expect(rig.up.live("a") + rig.up.live("b")).toBe(0);
  const got = await song;
  expect(got.firstByteMs).toBeLessThan(100);
  assertBytes(got.body, rig.up.bytes("song", 0, 2_000_000));
  await settled();
  assertBytes((await rig.get("a?offline=1")).body, rig.up.bytes("a"));
});

test("S4: a list replaced many times a second restarts nothing that is still wanted", MEASURED, async () => {
  const ids = ["a", "b", "c", "d"];
  for (const id of ids) rig.up.resource(id, { size: MiB });
  rig.up.script("*", [{ do: { pace: 4_000_000 } }]);
  for (let n = 0; n < 50; n += 1) {
    await put("/api/prefetch", { ids: ["a", ids[1 + (n % 3)], "d"], mode: "full" });
    await delay(10);
  }
  await put("/api/prefetch", { ids, mode: "full" });
  await settled();
  for (const id of ids) assertBytes((await rig.get(`${id}?offline=1`)).body, rig.up.bytes(id));
  expect(rig.up.bytesSent() / rig.up.uniqueBytes()).toBeLessThan(1.05);
});

test("a head, then all of it: nothing is fetched twice", async () => {
  rig.up.resource("a", { size: 3 * MiB });
  rig.up.script("a", [{ do: { pace: 8_000_000 } }]);
  await put("/api/prefetch", { ids: ["a"], mode: "head" });
  await settled();
  expect(rig.up.bytesSent("a")).toBe(512 * KiB);
  await put("/api/prefetch", { ids: ["a"], mode: "full" });
  await settled();
  expect([rig.up.bytesSent("a"), rig.up.uniqueBytes("a")]).toEqual([3 * MiB, 3 * MiB]);
  assertBytes((await rig.get("a?offline=1")).body, rig.up.bytes("a"));
});

test("what is fetched for one reason, then for another, goes on and is not begun anew", MEASURED, async () => {
  rig.up.resource("a", { size: 3 * MiB });
  rig.up.script("a", [{ do: { pace: 4_000_000 } }]);
  const reaches = (bytes: number): Promise<void> =>
    eventually(() => expect(rig.up.bytesSent("a")).toBeGreaterThan(bytes));
  await put("/api/tracks/u/a/pin");
  await reaches(600 * KiB);
  await put("/api/prefetch?list=one", { ids: ["a"], mode: "full" });
  await reaches(900 * KiB);
  await put("/api/prefetch?list=two", { ids: ["a"], mode: "head" });
  await put("/api/prefetch?list=one", { ids: [] });
  await reaches(1200 * KiB);
  await put("/api/prefetch?list=two", { ids: [] });
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }), {
    timeoutMs: 5000,
  });
  expect(rig.up.requests("a").map(({ outcome }) => outcome)).not.toContain("aborted");
  expect([rig.up.bytesSent("a"), rig.up.uniqueBytes("a")]).toEqual([3 * MiB, 3 * MiB]);
});

test("a pin fetches the whole track, survives a restart, and plays with the upstream gone", MEASURED, async () => {
  rig.up.resource("a", { size: 3 * MiB });
  rig.up.script("a", [{ do: { pace: 3_000_000 } }]);
  expect((await put("/api/tracks/u/a/pin")).status).toBe(200);
  await delay(200);
  await rig.restart();
  await eventually(
    async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true, pinned: true }),
    {
      timeoutMs: 5000,
    },
  );
  // What the restart cut off in flight is fetched again, not what was kept.
  expect(rig.up.bytesSent("a") / (3 * MiB)).toBeLessThan(1.3);
  await rig.up.goOffline();
  await rig.restart();
  assertBytes((await rig.get("a")).body, rig.up.bytes("a"));
  const unpinned = await request({ port: rig.port, method: "DELETE", path: "/api/tracks/u/a/pin" });
  expect(unpinned.status).toBe(200);
  expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true, pinned: false });
});

test("a pin beyond the budget is refused, and pinned tracks are not evicted for others", async () => {
  for (const id of ["a", "b", "c"]) rig.up.resource(id, { size: MiB });
  await rig.restart({ cacheSize: 1.5 * MiB });
  expect((await put("/api/tracks/u/a/pin")).status).toBe(200);
  const refused = await put("/api/tracks/u/b/pin");
  expect([refused.status, JSON.parse(Buffer.from(refused.body).toString()).code]).toEqual([507, "no-space"]);
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }));
  await rig.get("c");
  expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true, pinned: true });
});

test("a pinned track is fetched again where its bytes went bad", async () => {
  rig.up.resource("a", { size: MiB });
  await put("/api/tracks/u/a/pin");
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }));
  await rig.proxy.close();
  const names = await readdir(rig.cacheDir, { recursive: true });
  const data = join(rig.cacheDir, names.find((name) => name.endsWith(".data")) ?? "");
  const bytes = await readFile(data);
  bytes[700_000] = (bytes[700_000] ?? 0) ^ 1;
  await writeFile(data, bytes);
  await rig.restart();
  rig.up.reset();
  assertBytes(
    (await rig.get("a", { headers: { range: "bytes=650000-750000" } })).body,
    rig.up.bytes("a", 650_000, 750_001),
  );
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }));
  expect(rig.up.bytesSent("a")).toBeLessThanOrEqual(512 * KiB);
});

test("a track that is forgotten is no longer kept offline either", async () => {
  rig.up.resource("a", { size: MiB });
  await put("/api/tracks/u/a/pin");
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }));
  rig.up.reset();
  expect((await request({ port: rig.port, method: "DELETE", path: "/api/tracks/u/a" })).status).toBe(204);
  expect(await rig.json("/api/tracks/u/a")).toMatchObject({ code: "not-found" });
  await delay(100);
  expect(rig.up.requests()).toEqual([]);
});

test("a track of which little is missing is completed when its listener has left, if that is allowed", async () => {
  const listen = async (id: string): Promise<void> => {
    rig.up.resource(id, { size: 6 * MiB });
    rig.up.script(id, [{ do: { pace: 8_000_000 } }]);
    await rig.get(id, { headers: { range: `bytes=0-5400000` } });
  };
  await listen("a");
  await eventually(async () => expect(await rig.json("/api/tracks/u/a")).toMatchObject({ complete: true }), {
    timeoutMs: 5000,
  });
  await rig.restart({ healBudget: 0 });
  await listen("b");
  await delay(600);
  expect(await rig.json("/api/tracks/u/b")).toMatchObject({ complete: false });
});

test("an owner that only looks fetches nothing of itself, though a pin is not whole", async () => {
  rig.up.resource("a", { size: 3 * MiB });
  rig.up.script("a", [{ do: { pace: 2_000_000 } }]);
  await put("/api/tracks/u/a/pin");
  await rig.restart({ background: false });
  await rig.up.waitIdle();
  rig.up.reset();
  await delay(200);
  expect(rig.up.requests()).toEqual([]);
  expect(await rig.json("/api/tracks/u/a")).toMatchObject({ pinned: true, complete: false });
});
