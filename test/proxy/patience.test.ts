import { get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deferred } from "../../src/data-source/aborting.ts";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { HeldClock } from "../helpers/held-clock.ts";
import { eventually } from "../helpers/process.ts";
import { fast, settle } from "../data-source/fakes.ts";
import type { RawRequest } from "../helpers/http-client.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import type { Rule } from "../helpers/scripted-upstream.ts";

const MiB = 1024 ** 2;
let clock: HeldClock;
let rig: Rig;
beforeEach(() => {
  clock = new HeldClock();
});
afterEach(() => rig.close());

/** An upstream that keeps silent until it is released. */
const SILENT: readonly Rule[] = [{ do: { stall: "headers" } }];

/** Learns size and type of `song`, with its first 64 KiB, and waits until nothing is fetched any more. */
async function learn(): Promise<void> {
  await clock.during(rig.get("w/song", { headers: { range: "bytes=0-1000" } }));
  await rig.up.waitIdle();
  rig.up.reset();
}

/** A request whose answer can be looked at while it comes. */
function ask(path: string, more: Partial<RawRequest> = {}) {
  const state = { headers: false, over: false };
  const done = rig.get(path, { ...more, onProgress: () => Object.assign(state, { headers: true }) });
  const end = (): void => void Object.assign(state, { over: true });
  done.then(end, end);
  return { state, done };
}

const silence = (count = 1): Promise<void> => eventually(() => expect(rig.up.stalled()).toBe(count));

function problem(body: Uint8Array): { code: string; status: number } {
  return JSON.parse(Buffer.from(body).toString()) as { code: string; status: number };
}

test("C9: a resolver that hangs is a typed error after 4 s", async () => {
  const hanging = new Promise<never>(() => {});
  rig = await startRig({ clock, resolve: () => hanging });
  const { state, done } = ask("w/song");
  await eventually(() => expect(rig.hook.calls()).toHaveLength(1));
  await clock.advance(3999);
  await settle();
  expect(state.over).toBe(false);
  await clock.advance(1);
  const got = await clock.during(done);
  expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  expect(got.headers["content-type"]).toBe("application/problem+json");
});

test("C9: an upstream that hangs is a typed error after --first-byte, for a HEAD too, and what it brings later is kept", async () => {
  rig = await startRig({ clock, firstByteMs: 2000 });
  rig.up.resource("song", { size: 200_000 });
  rig.up.script("song", SILENT);
  const first = ask("song");
  await silence();
  await clock.advance(1999);
  expect(first.state.over).toBe(false);
  await clock.advance(1);
  const got = await first.done;
  expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  const second = ask("song", { method: "HEAD" });
  await clock.during(eventually(() => expect(second.state.over).toBe(true)));
  const head = await second.done;
  expect([head.status, head.body.length]).toEqual([504, 0]);
  rig.up.script("song", []);
  rig.up.release();
  const again = await clock.during(rig.get("song"));
  assertBytes(again.body, rig.up.bytes("song"));
  expect(rig.up.bytesSent("song")).toBe(200_000);
});

test("C9: at 3.5 s the headers go out if length and type are known, and the body follows when it comes", async () => {
  rig = await startRig({ clock });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", SILENT);
  const { state, done } = ask("w/song", { headers: { range: "bytes=2000000-2049999" } });
  await silence();
  await clock.advance(3499);
  // Three seconds without a byte are given up, and tried anew.
  await silence();
  expect([state.headers, rig.up.requests("song").length]).toEqual([false, 2]);
  await clock.advance(1);
  await eventually(() => expect(state.headers).toBe(true));
  rig.up.release();
  const got = await clock.during(done);
  expect([got.status, got.complete]).toEqual([206, true]);
  expect(got.headers["content-range"]).toBe(`bytes 2000000-2049999/${3 * MiB}`);
  assertBytes(got.body, rig.up.bytes("song", 2_000_000, 2_050_000));
});

test("C9: a failure that is known before the headers go out early is told with its status", async () => {
  rig = await startRig({ clock });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", [{ do: { status: 404 } }]);
  const got = await clock.during(rig.get("w/song", { headers: { range: "bytes=2000000-" } }));
  expect([got.status, problem(got.body).code]).toEqual([404, "not-found"]);
});

test("C9: when patience ends the socket is destroyed; the fill goes on, and a reconnect attaches to it", async () => {
  rig = await startRig({ clock, firstByteMs: 1000, patienceMs: 2000 });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", SILENT);
  const headers = { range: "bytes=2000000-2049999" };
  const first = ask("w/song", { headers });
  await silence();
  await clock.advance(1999);
  expect([first.state.headers, first.state.over]).toEqual([true, false]);
  await clock.advance(1);
  const cut = await first.done;
  expect([cut.status, cut.complete, cut.closed, cut.body.length]).toEqual([206, false, true, 0]);
  expect(rig.up.live("song")).toBe(1);
  const second = rig.get("w/song", { headers });
  await settle();
  rig.up.release();
  const got = await clock.during(second);
  expect([got.status, got.complete]).toEqual([206, true]);
  assertBytes(got.body, rig.up.bytes("song", 2_000_000, 2_050_000));
  expect(rig.up.requests("song")).toHaveLength(1);
  expect(rig.hook.calls("song")).toHaveLength(0);
});

describe("C9: the resolver has named length and type, and the upstream is late", () => {
  const hint = (): Resolution => rig.up.resolution("song");

  /** The upstream is silent; at 3.5 s its headers are due. */
  async function late(changes: Partial<Resolution> = {}): Promise<void> {
    rig = await startRig({ clock, resolve: () => ({ ...hint(), ...changes }) });
    rig.up.resource("song", { size: 3 * MiB });
    rig.up.script("song", SILENT);
  }

  /** What a request comes to whose upstream begins to speak after `ms`. */
  async function answered(more: Partial<RawRequest> = {}, ms = 3600) {
    const { state, done } = ask("w/song", more);
    await silence();
    await clock.advance(Math.min(ms, 2500));
    if (ms > 2500) {
      await clock.advance(ms - 2500);
      await silence();
    }
    const ahead = state.headers || (await delay(20).then(() => state.headers));
    rig.up.script("song", []);
    rig.up.release();
    return { ahead, got: await clock.during(done) };
  }

  test("the headers go out before anything is known of the bytes, which follow", async () => {
    await late();
    const { ahead, got } = await answered({ headers: { range: "bytes=1000000-1999999" } });
    expect(ahead).toBe(true);
    expect([got.status, got.complete, got.headers["content-range"]]).toEqual([
      206,
      true,
      `bytes 1000000-1999999/${3 * MiB}`,
    ]);
    assertBytes(got.body, rig.up.bytes("song", 1_000_000, 2_000_000));
    const known = await clock.during(rig.get("w/song"));
    for (const name of ["etag", "content-type"]) expect(got.headers[name]).toBe(known.headers[name]);
    assertBytes(known.body, rig.up.bytes("song"));
  });

  test("where it names no variant, no ETag goes out with them", async () => {
    await late({ variant: undefined });
    const { ahead, got } = await answered();
    expect([ahead, got.status, got.complete, got.headers["etag"]]).toEqual([true, 200, true, undefined]);
    assertBytes(got.body, rig.up.bytes("song"));
    expect((await clock.during(rig.get("w/song"))).headers["etag"]).toBeDefined();
  });

  test.each<[string, Partial<Resolution>]>([
    ["another length", { contentLength: 3 * MiB + 1 }],
    ["a shorter one", { contentLength: 1000 }],
    ["another kind of music", { contentType: "audio/mp4" }],
  ])("it was wrong (%s): the socket is cut before a byte, and the next one gets the truth", async (_title, wrong) => {
    await late(wrong);
    const { ahead, got } = await answered();
    expect([ahead, got.status, got.complete, got.closed, got.body.length]).toEqual([true, 200, false, true, 0]);
    const next = await clock.during(rig.get("w/song"));
    expect([next.status, next.complete, next.headers["content-length"]]).toEqual([200, true, String(3 * MiB)]);
    assertBytes(next.body, rig.up.bytes("song"));
  });

  test.each<[string, Partial<Resolution>]>([
    ["no length", { contentLength: undefined }],
    ["no type", { contentType: undefined }],
  ])("it named %s: a typed error in time", async (_title, less) => {
    await late(less);
    const { ahead, got } = await answered({}, 4000);
    expect(ahead).toBe(true);
    expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  });

  test("no verdict goes out by its word: a range past its length waits for the upstream's", async () => {
    await late({ contentLength: 1000 });
    const { ahead, got } = await answered({ headers: { range: "bytes=2000-2999" } });
    expect([ahead, got.status]).toEqual([false, 206]);
    assertBytes(got.body, rig.up.bytes("song", 2000, 3000));
  });

  test("a player that leaves with its headers finds the same request under way when it comes back", async () => {
    await late();
    await rig.restart({ firstByteMs: 2500 });
    const gone = new AbortController();
    const first = rig.get("w/song", { signal: gone.signal, onProgress: () => gone.abort(new Error("left")) });
    first.catch(() => {});
    await silence();
    await clock.advance(2200);
    await expect(first).rejects.toThrow("left");
    const second = rig.get("w/song", { headers: { range: "bytes=0-99999" } });
    await settle();
    rig.up.release();
    assertBytes((await clock.during(second)).body, rig.up.bytes("song", 0, 100_000));
    expect([rig.hook.calls().length, rig.up.requests("song").length]).toEqual([1, 1]);
  });
});

test("C9: a resolver that takes its time: typed errors, then the bytes, of one resolve and one request", async () => {
  const slow = deferred();
  rig = await startRig({
    clock,
    resolve: async (id) => {
      await slow.promise;
      return rig.up.resolution(id);
    },
  });
  rig.up.resource("song", { size: 400_000 });
  for (let n = 0; n < 3; n += 1) {
    const { done } = ask("w/song");
    const got = await clock.during(done);
    expect([got.status, problem(got.body).code]).toEqual([504, "upstream-timeout"]);
  }
  slow.resolve();
  const got = await clock.during(rig.get("w/song"));
  assertBytes(got.body, rig.up.bytes("song"));
  expect([rig.hook.calls().length, rig.up.requests("song").length]).toEqual([1, 1]);
});

test("C9: a client that leaves while it waits takes its request with it", async () => {
  rig = await startRig({ clock });
  rig.up.resource("song", { size: 3 * MiB });
  await learn();
  rig.up.script("song", SILENT);
  const gone = new AbortController();
  const got = rig.get("w/song", { headers: { range: "bytes=2000000-" }, signal: gone.signal });
  await eventually(() => expect(rig.up.stalled()).toBe(1));
  gone.abort(new Error("left"));
  await expect(got).rejects.toThrow("left");
  await eventually(() => expect(rig.up.live()).toBe(0));
});

test("C8: an upstream that fails again and again after some bytes: retries, then the socket is destroyed", async () => {
  rig = await startRig({ ...fast(20) });
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
  rig = await startRig({ ...fast(10) });
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [{ when: { request: 1 }, do: { stall: 200_000 } }]);
  const got = await rig.get("song");
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, rig.up.bytes("song"));
});

test("C2: the end of a track that nobody has opened: its size is asked for with little, then just that end", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 3 * MiB });
  const got = await rig.get("song", { headers: { range: "bytes=-500" } });
  expect([got.status, got.headers["content-range"]]).toEqual([206, `bytes ${3 * MiB - 500}-${3 * MiB - 1}/${3 * MiB}`]);
  assertBytes(got.body, rig.up.bytes("song", 3 * MiB - 500));
  await rig.up.waitIdle();
  expect(rig.up.requests("song").map(({ range }) => range)).toEqual(["bytes=0-65535", "bytes=3145228-3145727"]);
  // A player that goes on from the head finds it kept.
  const whole = await rig.get("song");
  assertBytes(whole.body, rig.up.bytes("song"));
  expect(rig.up.bytesSent("song")).toBe(3 * MiB);
});

test("C1: a HEAD of a track that nobody has opened asks for little", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 3 * MiB });
  const got = await rig.get("song", { method: "HEAD" });
  expect([got.status, got.headers["content-length"]]).toEqual([200, String(3 * MiB)]);
  await rig.up.waitIdle();
  expect(rig.up.requests("song").map(({ range }) => range)).toEqual(["bytes=0-65535"]);
  const both = await Promise.all([rig.get("song?quality=low", { method: "HEAD" }), rig.get("song?quality=low")]);
  assertBytes(both[1].body, rig.up.bytes("song"));
});

test("the end of a track whose bytes nothing names waits for the one download", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: MiB, etag: "none" });
  const got = await rig.get("song", { headers: { range: "bytes=-500" } });
  expect(got.complete).toBe(true);
  assertBytes(got.body, rig.up.bytes("song", MiB - 500));
  await rig.up.waitIdle();
  expect(rig.up.requests("song").length).toBeLessThanOrEqual(2);
});

/** A player that stops reading while `pass` goes by and its URL dies, and then reads on. */
async function stopAndGoOn(pass: () => void | Promise<void>): Promise<void> {
  rig = await startRig({ clock });
  const size = 16 * MiB;
  rig.up.resource("song", { size, signed: true });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ port: rig.port, path: "/stream/w/song" }, resolve).on("error", reject);
  });
  // Nobody reads: the window that runs comes to its end, or to a stop.
  await clock.pass(10_000);
  const before = rig.up.requests("song").length;
  expect(rig.up.live()).toBeLessThanOrEqual(1);
  await pass();
  rig.up.expire("song");
  const parts: Buffer[] = [];
  const read = (async () => {
    for await (const part of response) parts.push(part as Buffer);
  })();
  await clock.during(read);
  assertBytes(Buffer.concat(parts), rig.up.bytes("song"));
  expect(rig.up.requests("song").filter(({ status }) => status !== 206)).toEqual([]);
  expect(rig.hook.calls().map(({ attempt, reason }) => [attempt, reason])).toEqual([
    [1, "first"],
    [1, "expired"],
  ]);
  expect(rig.up.requests("song").length).toBeGreaterThan(before);
  // No second request for what had been asked for: memory and sockets held it.
  expect(rig.up.bytesSent("song")).toBe(size);
}

const HOURS = 7 * 3_600_000;

test("C6: a player that stops for hours goes on with a fresh URL, and no request is refused", async () => {
  await stopAndGoOn(() => clock.advance(HOURS));
});

test("D6: one whose machine slept, so that only the wall clock moved on, does, too", async () => {
  await stopAndGoOn(() => clock.jump(HOURS));
});
