import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type ChaosRig, SONG, startChaosRig, textOf } from "./chaos-rig.ts";

const song = { file: "song.bin" };
const answers = (behaviour: object): object => ({ ...song, resolve: [{ do: behaviour }] });

let rig: ChaosRig;
beforeAll(async () => {
  rig = await startChaosRig({
    tracks: {
      plain: song,
      unknown: { ...song, unknownLength: true },
      timed: { ...song, urls: { lifetime: "30s", status: 410 } },
      told: { ...song, urls: { lifetime: "30s", told: true } },
      weighed: { ...song, urls: { bytes: 15 } },
      counted: { ...song, urls: { requests: 2 } },
      otherLater: { ...song, resolve: [{ when: { call: { from: 2 } }, do: { version: 2, size: 500 } }] },
      latency: answers({ latency: "3s" }),
      hang: answers({ hang: true }),
      busy: answers({ status: 503, retryAfter: 9 }),
      never: answers({ unplayable: "Not here" }),
      garbage: answers({ body: "<h1>" }),
      file: answers({ resolution: { url: "file:///etc/hostname" } }),
      bare: { ...song, resolution: { variant: null, contentLength: null, contentType: null } },
      changed: answers({
        resolution: {
          id: "x",
          headers: { "x-mine": "1" },
          variant: "v",
          maxWindow: "64K",
          expiresIn: "1h",
          title: "T",
        },
      }),
      chosen: {
        ...song,
        resolve: [
          { when: { attempt: 2 }, do: { status: 504 } },
          { when: { reason: "mismatch" }, do: { status: 505 } },
          { when: { quality: "low" }, do: { version: "low" } },
          { when: { call: 4 }, times: 1, do: { status: 507 } },
        ],
      },
    },
  });
});
afterAll(async () => {
  await rig.close();
  expect(rig.faults).toEqual([]);
});

const ranged = async (path: string, range = "0-9") => rig.get(path, { headers: { range: `bytes=${range}` } });

test("a good resolver names the bytes, and gives each call a URL of its own", async () => {
  const [first, second] = [await rig.resolve("plain"), await rig.resolve("plain")];
  expect(first.resolution).toEqual({
    url: expect.stringMatching(new RegExp(`^${rig.chaos.url}/plain\\?sig=\\w+$`)),
    variant: "1",
    contentLength: SONG.length,
    contentType: "application/octet-stream",
  });
  expect(first.path).not.toBe(second.path);
  for (const { path } of [first, second]) assertBytes((await rig.get(path)).body, SONG);
});

test("the id may stand in the query, too; an unknown one is 404", async () => {
  expect(await rig.json("/resolve?id=plain")).toMatchObject({ variant: "1" });
  expect((await rig.get("/resolve/nobody")).status).toBe(404);
  expect((await rig.get("/resolve/%ff")).status).toBe(404);
});

test("an unknown length is not told", async () => {
  expect((await rig.resolve("unknown")).resolution).not.toHaveProperty("contentLength");
});

describe("URLs that expire", () => {
  test("by time", async () => {
    const { path } = await rig.resolve("timed");
    expect((await ranged(path)).status).toBe(206);
    await rig.resolve("latency");
    for (let n = 0; n < 9; n++) await rig.resolve("latency");
    expect((await ranged(path)).status).toBe(410);
    expect((await ranged((await rig.resolve("timed")).path)).status).toBe(206);
  });

  test("are told in expiresAt only where the script says so", async () => {
    expect((await rig.resolve("timed")).resolution).not.toHaveProperty("expiresAt");
    const { resolution } = await rig.resolve("told");
    expect(resolution["expiresAt"]).toBeGreaterThan(Date.now() + 25_000);
    expect(resolution["expiresAt"]).toBeLessThanOrEqual(Date.now() + 30_000);
  });

  test("by bytes", async () => {
    const { path } = await rig.resolve("weighed");
    const statuses = [];
    for (const range of ["0-9", "10-19", "20-29"]) statuses.push((await ranged(path, range)).status);
    expect(statuses).toEqual([206, 206, 403]);
  });

  test("by requests; and without one there is nothing", async () => {
    const { path } = await rig.resolve("counted");
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await ranged(path)).status);
    expect(statuses).toEqual([206, 206, 403]);
    expect((await ranged("/counted")).status).toBe(403);
  });
});

test("another version from a later call on: another variant, other bytes, another length; the old URL has the old ones", async () => {
  const first = await rig.resolve("otherLater");
  const second = await rig.resolve("otherLater");
  expect([first.resolution["variant"], second.resolution["variant"]]).toEqual(["1", "2"]);
  expect(second.resolution["contentLength"]).toBe(500);
  const got = await rig.get(second.path);
  expect(got.body.length).toBe(500);
  expect(Buffer.from(got.body).equals(SONG.subarray(0, 500))).toBe(false);
  const old = await rig.get(first.path);
  assertBytes(old.body, SONG);
  expect(old.headers["etag"]).not.toBe(got.headers["etag"]);
  assertBytes((await rig.get("/chaos/origin/otherLater?version=2&size=500")).body, got.body);
});

describe("answers that are none", () => {
  test("late", async () => {
    const began = rig.now();
    await rig.resolve("latency");
    expect(rig.now() - began).toBe(3000);
  });

  test("never, until the client goes", async () => {
    const got = rig.get("/resolve/hang", { signal: AbortSignal.timeout(100) });
    await expect(got).rejects.toThrow("timeout");
  });

  test("a status with Retry-After", async () => {
    const { status, headers } = await rig.get("/resolve/busy");
    expect([status, headers["retry-after"]]).toEqual([503, "9"]);
  });

  test("unplayable", async () => {
    const got = await rig.get("/resolve/never");
    expect([got.status, JSON.parse(textOf(got))]).toEqual([410, { code: "unplayable", message: "Not here" }]);
  });

  test("no JSON", async () => {
    const got = await rig.get("/resolve/garbage");
    expect([got.status, textOf(got)]).toEqual([200, "<h1>"]);
  });
});

test("fields changed, and fields left out", async () => {
  expect((await rig.resolve("file")).resolution["url"]).toBe("file:///etc/hostname");
  expect(Object.keys((await rig.resolve("bare")).resolution)).toEqual(["url"]);
  const { resolution } = await rig.resolve("changed");
  expect(resolution).toMatchObject({
    id: "x",
    headers: { "x-mine": "1" },
    variant: "v",
    maxWindow: 65_536,
    title: "T",
  });
  expect(resolution["expiresAt"]).toBeGreaterThan(Date.now() + 3_500_000);
  expect(resolution).not.toHaveProperty("expiresIn");
});

test("rules hold for the call, the attempt, the reason and the quality that they name", async () => {
  const statuses = [];
  for (const query of ["?attempt=1", "?attempt=2", "?reason=mismatch", "?attempt=3", "?attempt=3"]) {
    statuses.push((await rig.get(`/resolve/chosen${query}`)).status);
  }
  expect(statuses).toEqual([200, 504, 505, 507, 200]);
  expect((await rig.resolve("chosen", "?quality=low")).resolution["variant"]).toBe("low");
  expect((await rig.resolve("chosen", "?quality=high")).resolution["variant"]).toBe("1");
});
