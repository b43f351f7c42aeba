import { randomBytes } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { stemOf } from "../../src/cache/variant-paths.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { du } from "../helpers/du.ts";
import { request } from "../helpers/http-client.ts";
import { HurriedClock } from "../helpers/hurried-clock.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;

let rig: Rig;
afterEach(() => rig.close());

const clock = new HurriedClock();
const start = async (cacheSize: number, options: RigOptions = {}): Promise<void> => {
  rig = await startRig({ cacheSize, clock, ...options });
};
const song = (name: string, size: number): void => rig.up.resource(name, { size });
const play = async (name: string): Promise<void> => {
  assertBytes((await rig.get(name)).body, rig.up.bytes(name));
  // Ages are told apart by the millisecond.
  clock.hurry(5);
};
/** Bytes in data files, with their holes. */
const dataBytes = async (): Promise<number> => {
  let sum = 0;
  for (const entry of await readdir(rig.cacheDir, { recursive: true, withFileTypes: true })) {
    if (entry.name.endsWith(".data")) sum += (await lstat(join(entry.parentPath, entry.name))).size;
  }
  return sum;
};
/** What the server says that the cache takes on disk. */
const told = async (): Promise<number> => {
  const { body } = await request({ port: rig.port, path: "/metrics" });
  return Number(/^afterbay_cache_disk_bytes (\d+)$/m.exec(Buffer.from(body).toString())?.[1]);
};
/** What is on disk, as `du` counts it. It is what the server says, to one block a file. */
const agreed = async (): Promise<number> => {
  const { bytes, files } = await du(join(rig.cacheDir, "v1"));
  const accounted = await told();
  expect(Math.abs(accounted - bytes), `accounted ${accounted}, on disk ${bytes}`).toBeLessThanOrEqual(4096 * files);
  return bytes;
};
/** Puts songs into the cache directory, as a server leaves them that has stopped. */
const fill = async (count: number, size: number): Promise<void> => {
  const root = join(rig.cacheDir, "v1");
  const store = new FileChunkStore(root);
  const index = new TrackIndex(join(root, "index.log"), () => {});
  const chunk = randomBytes(CHUNK_SIZE);
  for (let n = 0; n < count; n += 1) {
    const name = { source: "u", id: `song-${n}`, variant: "1" };
    const stored = await store.open(name);
    for (let at = 0; at < size / CHUNK_SIZE; at += 1) await stored.writeChunk(at, 0, chunk);
    await stored.close();
    const facts = { upstreamName: "1", size, contentType: "audio/flac" };
    index.put(stemOf(name), { ...name, qualities: [""], facts, bytes: size, complete: true, playedAt: n });
  }
  await index.flush();
};
interface Stored {
  readonly id: string;
  readonly cachedBytes: number;
  readonly complete: boolean;
  readonly spans: readonly (readonly [number, number])[];
}
const stored = async (): Promise<Stored[]> => ((await rig.json("/api/tracks")) as { tracks: Stored[] }).tracks;
const names = async (): Promise<string[]> => (await stored()).filter((one) => one.cachedBytes > 0).map(({ id }) => id);
/** What is read within a minute is in use. */
const aMinuteLater = async (): Promise<void> => {
  await delay(20);
  clock.hurry(61_000);
  await delay(50);
};

test("S5: the songs played longest ago go first, and only as many as need be", async () => {
  await start(5 * MiB);
  for (const name of ["a", "b", "c", "d"]) song(name, 1.5 * MiB);
  for (const name of ["a", "b", "c", "a"]) await play(name);
  await aMinuteLater();
  expect((await names()).toSorted()).toEqual(["a", "b", "c"]);
  await play("d");
  await eventually(async () => expect((await names()).toSorted()).toEqual(["a", "c", "d"]));
  await aMinuteLater();
  expect(await dataBytes()).toBe(4.5 * MiB);
  rig.up.reset();
  for (const name of ["a", "c", "d"]) await play(name);
  expect(rig.up.bytesSent()).toBe(0);
});

test("S5: what is read or written is never evicted; the budget is met when it is free", async () => {
  await start(2 * MiB);
  // More than the kernel takes off the server's hands.
  song("slow", 20 * MiB);
  song("fast", 3 * MiB);
  const controller = new AbortController();
  const slow = rig.get("slow");
  const idle = rig.get("slow", { rate: 1000, signal: controller.signal }).catch(() => undefined);
  await play("fast");
  assertBytes((await slow).body, rig.up.bytes("slow"));
  clock.hurry(61_000);
  await delay(50);
  // Someone still listens to one of them.
  expect(await names()).toContain("slow");
  controller.abort();
  await idle;
  await aMinuteLater();
  await eventually(async () => expect(await dataBytes()).toBeLessThanOrEqual(2 * MiB));
  for (const name of ["slow", "fast"]) await play(name);
});

test("S5: a song that is played again while it is evicted plays exactly, whatever is left of it", async () => {
  await start(2 * MiB);
  for (const name of ["a", "b", "c"]) song(name, 1_200_000);
  for (let round = 0; round < 6; round += 1) {
    const name = ["a", "b", "c"][round % 3] ?? "a";
    await play(name);
    await delay(20);
    clock.hurry(61_000);
    await Promise.all([play("a"), play("b"), play("c")]);
  }
});

for (const budget of [0, 1, MiB]) {
  test(`S6: a budget of ${budget} bytes, smaller than a song: it plays, also to two at once, and nothing stays`, async () => {
    await start(budget);
    song("song", 3 * MiB);
    await Promise.all([play("song"), play("song")]);
    const part = await rig.get("song", { headers: { range: "bytes=1000000-2000000" } });
    assertBytes(part.body, rig.up.bytes("song", 1_000_000, 2_000_001));
    await aMinuteLater();
    await eventually(async () => expect(await dataBytes()).toBe(0));
    expect(await names()).toEqual([]);
    await play("song");
  });
}

test("S6: a budget that is lower at the next start is met then", async () => {
  await start(10 * MiB);
  for (const name of ["a", "b", "c"]) {
    song(name, 2 * MiB);
    await play(name);
    await aMinuteLater();
  }
  await rig.restart({ cacheSize: 3 * MiB });
  await eventually(async () => expect(await names()).toEqual(["c"]));
  expect(await dataBytes()).toBe(2 * MiB);
});

test("S6: the accounting equals the disk, also after seeks, damage and deletion, and after a restart", async () => {
  await start(100 * MiB);
  for (const [n, name] of ["a", "b", "c", "d"].entries()) song(name, 2 * MiB + n * 1111);
  await play("a");
  for (const [name, at] of [
    ["b", 1_000_000],
    ["b", 1_500_000],
    ["c", 2_000_000],
  ] as const) {
    await rig.get(name, { headers: { range: `bytes=${at}-${at + 99_999}` } });
  }
  await play("d");
  const deleted = await rig.get("../api/tracks/u/d", { method: "DELETE" });
  expect(deleted.status).toBeLessThan(500);
  await aMinuteLater();
  await eventually(agreed);
  await rig.restart();
  clock.hurry(1001);
  await eventually(agreed);
  for (const one of await stored()) {
    expect(one.spans.reduce((bytes, [first, end]) => bytes + end - first, 0)).toBe(one.cachedBytes);
  }
});

test("S6: lowered to 10 MB with 200 MB cached and two songs playing: both play on, the rest goes at once", async () => {
  await start(300 * MiB);
  await rig.proxy.close();
  await fill(95, 2 * MiB);
  await rig.restart();
  clock.hurry(1001);
  song("one", 7 * MiB);
  song("two", 5 * MiB);
  const playing = [rig.get("one", { rate: 7 * MiB }), rig.get("two", { rate: 5 * MiB })];
  await eventually(async () => expect(await dataBytes()).toBeGreaterThan(95 * 2 * MiB + 2 * MiB));
  rig.proxy.cacheSize = 10_000_000;
  await eventually(async () => expect(await dataBytes()).toBeLessThanOrEqual(12 * MiB));
  expect((await names()).toSorted()).toEqual(["one", "two"]);
  const [one, two] = await Promise.all(playing);
  assertBytes(one?.body ?? Buffer.of(), rig.up.bytes("one"));
  assertBytes(two?.body ?? Buffer.of(), rig.up.bytes("two"));
  await aMinuteLater();
  await eventually(async () => expect(await agreed()).toBeLessThanOrEqual(10_000_000));
  expect(await names()).toHaveLength(1);
  for (const name of ["one", "two"]) await play(name);
});
