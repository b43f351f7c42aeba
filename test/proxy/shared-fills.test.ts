import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileVariant } from "../../src/cache/file-variant.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { HurriedClock } from "../helpers/hurried-clock.ts";
import { MEASURED } from "../helpers/measured.ts";

const MiB = 1024 ** 2;
const SIZE = 4 * MiB;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
  rig.up.resource("song", { size: SIZE });
});
afterEach(() => rig.close());

test(
  "start, abort, seek, abort costs little more than what was heard; then two players share each missing byte",
  MEASURED,
  async () => {
    rig.up.script("song", [{ do: { pace: 1_500_000 } }]);
    const started = await rig.get("song", { readBytes: 300_000 });
    assertBytes(started.body.subarray(0, 300_000), rig.up.bytes("song", 0, 300_000));
    const seek = Math.floor(SIZE * 0.6);
    const sought = await rig.get("song", { headers: { range: `bytes=${seek}-` }, readBytes: 300_000 });
    assertBytes(sought.body.subarray(0, 300_000), rig.up.bytes("song", seek, seek + 300_000));
    await eventually(() => expect(rig.up.live()).toBe(0));
    expect(rig.up.bytesSent("song") / 600_000).toBeLessThan(1.75);

    const [one, two] = await Promise.all([rig.get("song"), rig.get("song")]);
    assertBytes(one.body, rig.up.bytes("song"));
    assertBytes(two.body, rig.up.bytes("song"));
    expect(rig.up.bytesSent("song") / rig.up.uniqueBytes("song")).toBeLessThan(1.03);
    expect(rig.up.maxLive("song")).toBeLessThanOrEqual(2);
  },
);

test("what nobody hears is finished where that is cheap, but not for minutes", async () => {
  const clock = new HurriedClock();
  await rig.restart({ clock });
  rig.up.script("song", [{ do: { pace: 20_000 } }]);
  await rig.get("song", { readBytes: 1000 });
  await delay(100);
  expect(rig.up.live("song")).toBe(1);
  clock.hurry(31_000);
  await eventually(() => expect(rig.up.live("song")).toBe(0));
  expect(rig.up.bytesSent("song")).toBeLessThan(100_000);
});

test("what was asked for ahead and has no room is not held for minutes either", async () => {
  const clock = new HurriedClock();
  await rig.restart({ clock, cacheSize: 0 });
  rig.up.script("song", [{ do: { pace: 20_000 } }]);
  const requestBody = JSON.stringify({ ids: ["song"], mode: "head" });
  await request({ port: rig.port, method: "PUT", path: "/api/prefetch", requestBody });
  await eventually(() => expect(rig.up.bytesSent("song")).toBeGreaterThan(10_000));
  expect(rig.up.live("song")).toBe(1);
  clock.hurry(31_000);
  await eventually(() => expect(rig.up.live("song")).toBe(0));
});

test("S1: two clients on one cold track, one resolve, each byte once", MEASURED, async () => {
  const [one, two, three] = await Promise.all([
    rig.get("w/song"),
    rig.get("w/song", { headers: { range: "bytes=1000000-2999999" } }),
    rig.get("w/song"),
  ]);
  assertBytes(one.body, rig.up.bytes("song"));
  assertBytes(two.body, rig.up.bytes("song", 1_000_000, 3_000_000));
  assertBytes(three.body, rig.up.bytes("song"));
  expect(rig.hook.calls("song")).toHaveLength(1);
  expect(rig.up.bytesSent("song") / SIZE).toBeLessThan(1.1);
});

test("S1: bytes that are still on their way to a slow disk are not fetched again, by a client that begins before them", async () => {
  const write = Reflect.get<FileVariant, "writeChunk">(FileVariant.prototype, "writeChunk");
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const writes = vi.spyOn(FileVariant.prototype, "writeChunk").mockImplementation(async function (
    this: FileVariant,
    ...args
  ) {
    await released;
    await write.apply(this, args);
  });
  try {
    rig.up.resource("song", { size: 900_000 });
    const tail = await rig.get("song", { headers: { range: "bytes=500000-" } });
    assertBytes(tail.body, rig.up.bytes("song", 500_000));
    const whole = await rig.get("song");
    assertBytes(whole.body, rig.up.bytes("song"));
    expect(rig.up.requests("song").map(({ range }) => range)).toEqual(["bytes=500000-1048575", "bytes=0-499999"]);
  } finally {
    release();
    writes.mockRestore();
  }
  await eventually(async () =>
    expect(await rig.json("/api/tracks/u/song")).toMatchObject({ complete: true, size: 900_000 }),
  );
});

test(
  "C7: 8 connections on a cold track: at most 2 live upstream requests, every byte exact and nearly none twice",
  MEASURED,
  async () => {
    const part = SIZE / 8;
    rig.up.script("song", [{ do: { pace: 8_000_000 } }]);
    const parts = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        rig.get("song", { headers: { range: `bytes=${n * part}-${(n + 1) * part - 1}` } }),
      ),
    );
    parts.forEach((got, n) => assertBytes(got.body, rig.up.bytes("song", n * part, (n + 1) * part)));
    expect(rig.up.maxLive("song")).toBeLessThanOrEqual(2);
    expect(rig.up.bytesSent("song") / SIZE).toBeLessThan(1.1);
  },
);

test("C7: 20 seeks in 2 s: at most 2 live upstream requests, the last one is answered exactly", async () => {
  rig.up.script("song", [{ do: { pace: 1_000_000, latency: 50 } }]);
  const seeks = Array.from({ length: 20 }, (_, n) => ((n * 7919) % 40) * 100_000);
  for (const at of seeks.slice(0, -1)) {
    const controller = new AbortController();
    const got = rig
      .get("song", { headers: { range: `bytes=${at}-` }, signal: controller.signal })
      .catch(() => undefined);
    await delay(100);
    controller.abort();
    await got;
  }
  const at = seeks.at(-1) ?? 0;
  const last = await rig.get("song", { headers: { range: `bytes=${at}-${at + 99_999}` } });
  assertBytes(last.body, rig.up.bytes("song", at, at + 100_000));
  expect(rig.up.maxLive("song")).toBeLessThanOrEqual(2);
});

test("what flowed before a skip stays, also inside a chunk", async () => {
  rig.up.script("song", [{ do: { pace: 1_000_000 } }]);
  await rig.get("song", { headers: { range: "bytes=700000-" }, readBytes: 50_000 });
  await eventually(() => expect(rig.up.live()).toBe(0));
  const track = (await rig.json("/api/tracks/u/song")) as { spans: [number, number][] };
  expect(track.spans[0]?.[0]).toBe(700_000);
  expect(track.spans[0]?.[1]).toBeGreaterThanOrEqual(750_000);
});
