import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { HeldClock } from "../helpers/held-clock.ts";
import { type RawResponse, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const BAD = ["bad1", "bad2", "bad3", "bad4", "bad5"];
let clock: HeldClock;
let rig: Rig;
beforeEach(async () => {
  clock = new HeldClock();
  // Each need is to end in its own way, before a player would lose its patience.
  rig = await startRig({ clock, firstByteMs: 15_000, patienceMs: 60_000 });
  clock.busy = () => rig.up.live() > 0;
  for (const name of ["kept", "half", "new", ...BAD]) rig.up.resource(name, { size: 3 * MiB });
});
afterEach(() => rig.close());

const codeOf = (got: RawResponse): string => (JSON.parse(Buffer.from(got.body).toString()) as { code: string }).code;
const fails = (): void => rig.up.script("*", [{ do: { status: 500 } }]);
const works = (): void => rig.up.script("*", []);
const get = (path: string, headers = {}): Promise<RawResponse> => clock.during(rig.get(path, { headers }));

async function open(ids: readonly string[] = BAD): Promise<void> {
  fails();
  const got = await clock.during(Promise.all(ids.map((id) => rig.get(id))));
  expect(got.map((one) => [one.status, codeOf(one)])).toEqual(ids.map(() => [502, "upstream-failed"]));
  rig.up.reset();
}

async function expectRefused(path: string): Promise<void> {
  const got = await rig.get(path);
  expect([got.status, codeOf(got)]).toEqual([503, "circuit-open"]);
  expect(Number(got.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(Number(got.headers["retry-after"])).toBeLessThanOrEqual(5);
}

describe("a source that fails for five tracks", () => {
  test("is left alone for 5 s: 503 with Retry-After at once; what is cached plays; one probe, then all is well", async () => {
    await get("kept");
    await open();
    await expectRefused("new");
    await expectRefused("bad1");
    const head = await rig.get("new", { method: "HEAD" });
    expect([head.status, head.body.length]).toEqual([503, 0]);
    assertBytes((await rig.get("kept")).body, rig.up.bytes("kept"));
    expect(rig.up.requests()).toEqual([]);
    expect(rig.log.filter(({ level }) => level === "warn")).toHaveLength(1);
    await clock.advance(5000);
    works();
    assertBytes((await get("new")).body, rig.up.bytes("new"));
    assertBytes((await get("bad1")).body, rig.up.bytes("bad1"));
  });

  test("and goes on failing: one need probes it every 5 s, and the others are refused meanwhile", async () => {
    await open();
    for (let n = 0; n < 3; n += 1) {
      await clock.advance(5000);
      const probe = rig.get(`bad${n + 1}`);
      await eventually(() => expect(rig.up.requests().length).toBeGreaterThan(0));
      await expectRefused("new");
      expect((await clock.during(probe)).status).toBe(502);
      await expectRefused("new");
      // A need is five tries.
      expect(rig.up.requests()).toHaveLength(5);
      rig.up.reset();
    }
  });

  test("does not touch another source", async () => {
    await open();
    works();
    assertBytes((await get("w/new")).body, rig.up.bytes("new"));
    await expectRefused("u/new");
  });
});

test("no number of tracks that are not there opens it, nor one bad track; each is told the truth", async () => {
  const missing = await clock.during(Promise.all(Array.from({ length: 12 }, (_, n) => rig.get(`missing${n}`))));
  expect(new Set(missing.map(codeOf))).toEqual(new Set(["not-found"]));
  await open(BAD.slice(0, 4));
  for (let n = 0; n < 3; n += 1) expect(codeOf(await get("bad1"))).toBe("upstream-failed");
  works();
  assertBytes((await get("new")).body, rig.up.bytes("new"));
});

test("a player in the middle of a track waits for the source to recover, and hears every byte", async () => {
  await get("half", { range: "bytes=0-100000" });
  await rig.up.waitIdle();
  await open();
  const playing = rig.get("half", { headers: { range: "bytes=50000-" } });
  await eventually(() => expect(clock.pending.length).toBeGreaterThan(0));
  await clock.advance(4000);
  expect(rig.up.requests()).toEqual([]);
  works();
  const got = await clock.during(playing);
  expect([got.status, got.complete]).toEqual([206, true]);
  assertBytes(got.body, rig.up.bytes("half", 50_000));
});

test("one that the source fails for longer than players are patient is cut, with what it has", async () => {
  await rig.restart({ patienceMs: 8000 });
  await get("half", { range: "bytes=0-100000" });
  await rig.up.waitIdle();
  await open();
  const got = await get("half");
  expect([got.status, got.complete]).toEqual([200, false]);
  assertBytes(got.body, rig.up.bytes("half", 0, got.body.length));
  expect(got.body.length).toBeGreaterThan(100_000);
});

test("wish lists and pins do not hammer it, and go on where they were when it recovers", async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `wish${n}`);
  for (const id of ids) rig.up.resource(id, { size: 100_000 });
  fails();
  const put = (path: string, body = ""): Promise<RawResponse> =>
    request({ port: rig.port, method: "PUT", path, requestBody: body });
  await put("/api/prefetch", JSON.stringify({ ids, mode: "full" }));
  await clock.pass(20_000);
  const began = rig.up.requests().length;
  // One need of five tries, which takes 7 s, every 12 s: while it is open nothing is asked for.
  await clock.pass(120_000);
  const needs = (rig.up.requests().length - began) / 5;
  expect(needs).toBeGreaterThan(5);
  expect(needs).toBeLessThanOrEqual(12);
  const { tracks } = (await rig.json("/api/prefetch")) as { tracks: { state: string; code?: string }[] };
  expect(tracks.filter(({ code }) => code === "circuit-open").length).toBeGreaterThan(5);
  works();
  await clock.pass(70_000);
  await eventually(async () => {
    const now = (await rig.json("/api/prefetch")) as { tracks: { state: string }[] };
    expect(now.tracks.filter(({ state }) => state !== "done")).toEqual([]);
  });
});
