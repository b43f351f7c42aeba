import { afterEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import type { Behaviour, ResourceOptions, Rule } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const SIZE = 3 * MiB + 777;
let rig: Rig;
afterEach(() => rig.close());

async function start(rules: readonly Rule[], resource: ResourceOptions = { size: SIZE }, options: RigOptions = {}) {
  rig = await startRig(options);
  rig.up.resource("song", resource);
  rig.up.script("song", rules);
}

async function expectExact(from = 0, to?: number, path = "song") {
  const range = `bytes=${from}-${to === undefined ? "" : to - 1}`;
  const got = await rig.get(path, from === 0 && to === undefined ? {} : { headers: { range } });
  expect(got.complete).toBe(true);
  assertBytes(got.body, rig.up.bytes("song", from, to));
  return got;
}

const track = async (path = "u/song") =>
  (await rig.json(`/api/tracks/${path}`)) as { complete: boolean; size?: number; cachedBytes: number };
const becomesComplete = (path?: string) =>
  eventually(async () =>
    expect(await track(path)).toMatchObject({ complete: true, size: rig.up.bytes("song").length }),
  );
const requests = () => rig.up.requests("song");

describe("U1: 200 to a Range", () => {
  test("from 0: one sequential fill, not ended at the window", async () => {
    await start([{ do: { ignoreRange: true } }]);
    await expectExact();
    expect(requests()).toHaveLength(1);
    await becomesComplete();
    expect(rig.up.bytesSent("song")).toBe(SIZE);
  });

  test("to a seek: every byte kept from 0, none at the wrong offset", async () => {
    await start([{ do: { ignoreRange: true } }]);
    await expectExact(2 * MiB + 5);
    await becomesComplete();
    rig.up.reset();
    await expectExact();
    expect(requests()).toHaveLength(0);
  });

  test("twice: rangeless; further seeks wait for the one fill", async () => {
    await start([{ do: { ignoreRange: true, pace: 6_000_000 } }]);
    const whole = expectExact();
    await eventually(() => expect(rig.up.bytesSent("song")).toBeGreaterThan(100_000));
    await Promise.all([
      expectExact(1 * MiB),
      expectExact(2 * MiB),
      expectExact(2 * MiB + 9),
      expectExact(SIZE - 5),
      whole,
    ]);
    expect(requests().length).toBeLessThanOrEqual(5);
    expect(rig.up.bytesSent("song")).toBeLessThan(1.5 * SIZE);
  });

  test("to a later window only: what came already is skipped", async () => {
    await start([{ when: { startFrom: 1 }, do: { ignoreRange: true } }]);
    await expectExact();
    expect(requests().map(({ status }) => status)).toEqual([206, 200]);
    await becomesComplete();
  });

  test("once, far behind the start: asked again, instead of waiting for what is there", async () => {
    await start([{ when: { startFrom: 1.5 * MiB }, times: 1, do: { ignoreRange: true } }]);
    await expectExact();
    expect(requests().map(({ status }) => status)).toEqual([206, 206, 200, 206]);
    await becomesComplete();
  });

  test("always, far behind the start: asked again once, then every byte is kept", async () => {
    await start([{ when: { startFrom: 1.5 * MiB }, do: { ignoreRange: true } }]);
    await expectExact();
    expect(requests().map(({ status }) => status)).toEqual([206, 206, 200, 200]);
    await becomesComplete();
  });

  test("broken off and answered whole again: each byte once to the client, all exact", async () => {
    await start([{ do: { ignoreRange: true, close: 1_500_000 }, times: 1 }, { do: { ignoreRange: true } }]);
    await expectExact();
    await becomesComplete();
  });
});

describe("U2: a 206 that is not what was asked for", () => {
  const wrong: readonly [string, Behaviour][] = [
    ["starts elsewhere", { shiftRange: 100 }],
    ["is labelled as starting elsewhere", { contentRange: { shift: 1 } }],
    ["has no Content-Range", { contentRange: "missing" }],
    ["has a malformed one", { contentRange: { as: "bytes 0-99" } }],
    ["is multipart", { multipart: true }],
  ];
  test.each(wrong)("%s: rejected, nothing written; where another try is better, it plays", async (_title, bent) => {
    await start([{ do: bent }]);
    const got = await rig.get("song", { headers: { range: "bytes=1000-" } });
    expect(got.status).toBe(502);
    expect(requests()).toHaveLength(3);
    const { tracks } = (await rig.json("/api/tracks")) as { tracks: { cachedBytes: number }[] };
    expect(tracks.filter(({ cachedBytes }) => cachedBytes > 0)).toEqual([]);
    rig.up.script("song", [{ times: 1, do: bent }]);
    await expectExact(1000);
    await expectExact();
  });

  test.each([SIZE + 1, SIZE - 1])(
    "names another total (%i) in a later window: the socket is cut, the rest never mixed",
    async (total) => {
      await start([{ when: { startFrom: 1 }, do: { contentRange: { total } } }]);
      const got = await rig.get("song");
      expect(got.complete).toBe(false);
      assertBytes(got.body, rig.up.bytes("song", 0, got.body.length));
      expect((await rig.get("song", { headers: { range: "bytes=2000000-" } })).status).toBe(410);
      rig.up.script("song", []);
      await expectExact();
    },
  );
});

describe("U3: 416 at exactly the end", () => {
  test("of a resource whose total no answer gave: complete, size learned", async () => {
    await start([{ do: { contentRange: { total: "*" } } }], { size: MiB + 512 * KiB });
    const got = await rig.get("song");
    expect(got.complete).toBe(true);
    assertBytes(got.body, rig.up.bytes("song"));
    await becomesComplete();
    rig.up.reset();
    const again = await expectExact();
    expect([again.headers["content-length"], requests().length]).toEqual([String(MiB + 512 * KiB), 0]);
  });

  test("or past it, cold: 416 with the size to the client, and the track plays from anywhere after", async () => {
    await start([]);
    const got = await rig.get("song", { headers: { range: `bytes=${SIZE + 5}-` } });
    expect([got.status, got.headers["content-range"]]).toEqual([416, `bytes */${SIZE}`]);
    await expectExact(1_000_000);
    await expectExact();
  });
});

describe("U4: 416 where there should be bytes", () => {
  test("below the known size: another version; the socket is cut, then it begins anew", async () => {
    await start([{ when: { startFrom: 1 }, do: { unsatisfiable: 100_000 } }]);
    const got = await rig.get("song");
    expect(got.complete).toBe(false);
    assertBytes(got.body, rig.up.bytes("song", 0, got.body.length));
    rig.up.script("song", []);
    expect((await rig.get("song", { headers: { range: "bytes=2000000-" } })).status).toBe(410);
    await expectExact();
  });

  test("without a size: another URL, then without a Range, skipping to the position", async () => {
    await start([{ when: ({ range }) => range !== undefined, do: { unsatisfiable: "bare" } }]);
    await expectExact(1_000_000, undefined, "w/song");
    expect(
      rig.hook
        .calls()
        .slice(0, 2)
        .map(({ attempt, reason }) => [attempt, reason]),
    ).toEqual([
      [1, "first"],
      [2, "mismatch"],
    ]);
    expect(
      requests()
        .slice(0, 3)
        .map(({ range }) => range !== undefined),
    ).toEqual([true, true, false]);
    // The reader that waits for a byte farther on tries once for itself, before the source is taken for rangeless.
    expect([rig.hook.calls().length, requests().length].every((count, n) => count <= 3 * (n + 1))).toBe(true);
    await becomesComplete("w/song");
  });

  test("without a size, where the source limits its windows: never without a Range", async () => {
    await start(
      [{ do: { unsatisfiable: "bare" } }],
      { size: SIZE },
      {
        resolve: (id) => rig.up.resolution(id, { maxWindow: MiB }),
      },
    );
    expect((await rig.get("w/song")).status).toBe(502);
    expect(requests()).toHaveLength(3);
    expect(requests().every(({ range }) => range !== undefined)).toBe(true);
  });
});

describe("U8: lengths that do not fit", () => {
  test("a short clean 206: continued from the end received", async () => {
    await start([{ do: { truncate: 200_000 } }]);
    await expectExact();
    expect(rig.up.bytesSent("song")).toBe(SIZE);
    expect(
      requests()
        .slice(0, 3)
        .map(({ start: at }) => at),
    ).toEqual([0, 200_000, 400_000]);
  });

  test("a short one that is labelled as whole: the same", async () => {
    await start([{ do: { truncate: 200_000, contentRange: "asked" } }]);
    await expectExact();
    expect(rig.up.bytesSent("song")).toBe(SIZE);
  });

  test.each(["length", "range", "raw"] as const)("surplus bytes (%s) after the range: ignored", async (counted) => {
    await start([{ when: { startBelow: 2 * MiB }, do: { surplus: { bytes: 5000, counted } } }]);
    await expectExact();
    await expectExact(1_234_567, 2_345_678);
    await becomesComplete();
  });
});

describe("U15: unknown length", () => {
  test("streamed as it comes, without claims; the size is learned at the clean end", async () => {
    await start([], { size: SIZE, unknownLength: true });
    const got = await expectExact();
    expect(got.status).toBe(200);
    for (const claim of ["content-length", "accept-ranges", "etag"]) expect(got.headers[claim]).toBeUndefined();
    await becomesComplete();
    const again = await expectExact(5, 10);
    expect([again.status, again.headers["content-range"]]).toEqual([206, `bytes 5-9/${SIZE}`]);
    expect(requests()).toHaveLength(1);
  });

  test("a Range is ignored until then", async () => {
    await start([], { size: SIZE, unknownLength: true });
    const got = await rig.get("song", { headers: { range: "bytes=1000-" } });
    expect([got.status, got.headers["content-range"]]).toEqual([200, undefined]);
    assertBytes(got.body, rig.up.bytes("song"));
  });

  test("cut in the middle: never taken for the end; resumed and exact", async () => {
    await start([{ times: 1, do: { close: 1_000_000 } }], { size: SIZE, unknownLength: true });
    await expectExact();
    await becomesComplete();
  });

  test("ended by the connection alone: played, never complete", async () => {
    await start([{ do: { ignoreRange: true, contentLength: "close" } }]);
    await expectExact();
    await eventually(async () => expect((await track()).cachedBytes).toBe(SIZE));
    const { complete, size } = await track();
    expect([complete, size]).toEqual([false, undefined]);
  });
});

describe("U16: sizes at the edges", () => {
  test.each([0, 1, 512 * KiB - 1, 512 * KiB, 512 * KiB + 1, 2 * MiB])("%i bytes", async (size) => {
    await start([], { size });
    const cold = await expectExact();
    expect([cold.status, cold.headers["content-length"]]).toEqual([200, String(size)]);
    await becomesComplete();
    const chunks = ((await rig.json("/api/tracks/u/song")) as { chunks: string }).chunks;
    expect(chunks).toBe("#".repeat(Math.ceil(size / (512 * KiB))));
    expect(requests().length).toBeLessThanOrEqual(size === 0 ? 1 : 3);
    rig.up.reset();
    await expectExact(0, undefined, "song?offline=1");
    if (size > 0) {
      await expectExact(size - 1, size);
      expect((await rig.get("song", { headers: { range: `bytes=${size}-` } })).status).toBe(416);
    }
    expect(requests()).toHaveLength(0);
  });
});
