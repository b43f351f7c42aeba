import { afterEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../../src/data-source/clock.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
let rig: Rig;
afterEach(() => rig.close());

/** A clock that goes `factor` times as fast. */
function fastClock(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    wall: () => systemClock.wall(),
    after: (ms, callback) => systemClock.after(ms / factor, callback),
  };
}

/** Learns size and type of `song`, with its first 64 KiB, and waits until nothing is fetched any more. */
async function learn(): Promise<void> {
  await rig.get("w/song", { headers: { range: "bytes=0-1000" } });
  await rig.up.waitIdle();
  rig.up.reset();
}

function problem(body: Uint8Array): { code: string; status: number } {
  return JSON.parse(Buffer.from(body).toString()) as { code: string; status: number };
}

test("C9: a resolver that hangs is a typed error within 4 s", async () => {
  const hanging = new Promise<never>(() => {});
  rig = await startRig({ clock: fastClock(10), resolve: () => hanging });
  const got = await rig.get("w/song");
  expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  expect(got.headers["content-type"]).toBe("application/problem+json");
  expect(got.headersMs).toBeGreaterThan(350);
  expect(got.headersMs).toBeLessThan(700);
});

test("C9: an upstream that hangs is a typed error within 4 s, for a HEAD too, and what it brings later is kept", async () => {
  rig = await startRig({ firstByteMs: 300 });
  rig.up.resource("song", { size: 200_000 });
  rig.up.script("song", [{ do: { stall: "headers" } }]);
  const got = await rig.get("song");
  expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  expect(got.headersMs).toBeLessThan(800);
  const head = await rig.get("song", { method: "HEAD" });
  expect([head.status, head.body.length]).toEqual([504, 0]);
  expect(rig.up.requests("song")).toHaveLength(1);
  rig.up.release();
  const again = await rig.get("song");
  assertBytes(again.body, rig.up.bytes("song"));
  expect(rig.up.requests("song")[0]).toMatchObject({ outcome: "completed" });
});

test("C9: at 3.5 s the headers go out if length and type are known, and the body follows when it comes", async () => {
  rig = await startRig({ firstByteMs: 800, patienceMs: 4000 });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", [{ do: { latency: 900 } }]);
  const got = await rig.get("w/song", { headers: { range: "bytes=2000000-2049999" } });
  expect([got.status, got.complete]).toEqual([206, true]);
  expect(got.headers["content-range"]).toBe(`bytes 2000000-2049999/${3 * MiB}`);
  expect(got.headersMs).toBeGreaterThan(250);
  expect(got.headersMs).toBeLessThan(700);
  expect(got.firstByteMs).toBeGreaterThan(800);
  assertBytes(got.body, rig.up.bytes("song", 2_000_000, 2_050_000));
});

test("C9: a failure that is known before the headers go out early is told with its status", async () => {
  rig = await startRig({ firstByteMs: 3000 });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", [{ do: { latency: 20, status: 404 } }]);
  const got = await rig.get("w/song", { headers: { range: "bytes=2000000-" } });
  expect([got.status, problem(got.body).code]).toEqual([404, "not-found"]);
});

test("C9: when patience ends the socket is destroyed; the fill goes on, and a reconnect attaches to it", async () => {
  rig = await startRig({ firstByteMs: 600, patienceMs: 700 });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", [{ do: { latency: 1300 } }]);
  const headers = { range: "bytes=2000000-2049999" };
  const first = await rig.get("w/song", { headers });
  expect([first.status, first.complete, first.closed, first.body.length]).toEqual([206, false, true, 0]);
  expect(rig.up.live("song")).toBe(1);
  const second = await rig.get("w/song", { headers });
  expect([second.status, second.complete]).toEqual([206, true]);
  assertBytes(second.body, rig.up.bytes("song", 2_000_000, 2_050_000));
  expect(rig.up.requests("song")).toHaveLength(1);
  expect(rig.hook.calls("song")).toHaveLength(0);
});

test("C9: a client that leaves while it waits takes its request with it", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", [{ do: { stall: "headers" } }]);
  const gone = new AbortController();
  const got = rig.get("w/song", { headers: { range: "bytes=2000000-" }, signal: gone.signal });
  await eventually(() => expect(rig.up.stalled()).toBe(1));
  gone.abort(new Error("left"));
  await expect(got).rejects.toThrow("left");
  await eventually(() => expect(rig.up.live()).toBe(0));
});

test("C8: an upstream that fails again and again after some bytes: retries, then the socket is destroyed", async () => {
  rig = await startRig({ clock: fastClock(20) });
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [
    { when: { startBelow: 300_000 }, do: { close: { offset: 300_000 } } },
    { when: { startFrom: 300_000 }, do: { status: 500 } },
  ]);
  const got = await rig.get("song");
  expect([got.status, got.complete, got.closed]).toEqual([200, false, true]);
  assertBytes(got.body, rig.up.bytes("song", 0, 300_000));
  expect(rig.up.requests("song").filter(({ status }) => status === 500)).toHaveLength(4);
});

test("a stall in the middle is bridged without the client's noticing", async () => {
  rig = await startRig({ clock: fastClock(10) });
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [{ when: { request: 1 }, do: { stall: 200_000 } }]);
  const got = await rig.get("song");
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, rig.up.bytes("song"));
});
