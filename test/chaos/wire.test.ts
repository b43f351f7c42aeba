import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { connect, type RawRequest, type RawResponse } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type ChaosRig, SONG, startChaosRig, textOf } from "./chaos-rig.ts";

const SIZE = SONG.length;
/** What a proper answer to these is, is checked beside each fault. */
const RANGE = { headers: { range: "bytes=1000-50999" } } as const;
const part = SONG.subarray(1000, 51_000);

interface Case {
  readonly do: object;
  readonly when?: object;
  /** Default: 50,000 bytes from 1000 on. */
  readonly ask?: Partial<RawRequest>;
  /** Throws unless the fault is there to be seen. */
  readonly see: (got: RawResponse, other: { readonly first: RawResponse; readonly waitedMs: number }) => void;
}

const isProper = (got: RawResponse, bytes: Uint8Array = part): void => {
  expect(got.complete).toBe(true);
  assertBytes(got.body, bytes);
};
const isCut = (got: RawResponse, bytes: Uint8Array): void => {
  expect([got.complete, got.closed]).toEqual([false, true]);
  assertBytes(got.body, bytes);
};
const label = (got: RawResponse): unknown => got.headers["content-range"];
const proper = `bytes 1000-50999/${SIZE}`;

const cases: Readonly<Record<string, Case>> = {
  latency: {
    do: { latency: 150 },
    see: (got, { waitedMs }) => {
      expect(waitedMs).toBe(150);
      isProper(got);
    },
  },
  "latency as a text": { do: { latency: "150ms" }, see: (_got, { waitedMs }) => expect(waitedMs).toBe(150) },
  version: {
    do: { version: 2 },
    see: (got) => {
      expect([got.status, label(got)]).toEqual([206, proper]);
      expect(Buffer.from(got.body).equals(part)).toBe(false);
    },
  },
  size: {
    do: { size: "64K" },
    ask: { headers: { range: "bytes=1000-" } },
    see: (got) => {
      expect(label(got)).toBe("bytes 1000-65535/65536");
      assertBytes(got.body, SONG.subarray(1000, 65_536));
    },
  },
  status: { do: { status: 503 }, see: (got) => expect([got.status, textOf(got)]).toEqual([503, "503\n"]) },
  "status at byte N": {
    do: { status: 500 },
    when: { startFrom: 1000 },
    see: (got) => expect(got.status).toBe(500),
  },
  "status 200 with a part": {
    do: { status: 200 },
    see: (got) => {
      expect([got.status, label(got)]).toEqual([200, proper]);
      isProper(got);
    },
  },
  "retryAfter in seconds": {
    do: { status: 429, retryAfter: 7 },
    see: (got) => expect([got.status, got.headers["retry-after"]]).toEqual([429, "7"]),
  },
  "retryAfter as a date": {
    do: { status: 503, retryAfter: "Fri, 31 Dec 2027 23:59:59 GMT" },
    see: (got) => expect(got.headers["retry-after"]).toBe("Fri, 31 Dec 2027 23:59:59 GMT"),
  },
  "page: html": {
    do: { page: "html" },
    see: (got) => {
      expect([got.status, got.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
      expect(textOf(got)).toContain("<!doctype html>");
    },
  },
  "page: json": {
    do: { page: "json" },
    see: (got) => expect([got.status, got.headers["content-type"]]).toEqual([200, "application/json"]),
  },
  "page of one's own": {
    do: { page: { contentType: "text/plain", text: "Zahlen, bitte" } },
    see: (got) => expect([got.status, textOf(got)]).toEqual([200, "Zahlen, bitte"]),
  },
  redirect: {
    do: { redirect: {} },
    see: (got) => expect([got.status, got.headers["location"]]).toEqual([302, expect.stringMatching(/^\/\w+\?hops=0/)]),
  },
  "redirect: status": { do: { redirect: { status: 308 } }, see: (got) => expect(got.status).toBe(308) },
  "redirect: to": {
    do: { redirect: { to: "http://169.254.169.254/" } },
    see: (got) => expect(got.headers["location"]).toBe("http://169.254.169.254/"),
  },
  "redirect: elsewhere": {
    do: { redirect: { to: "elsewhere" } },
    see: (got) => expect(got.headers["location"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\w+\?hops=0$/),
  },
  rangeLimit: { do: { rangeLimit: "48K" }, see: (got) => expect(got.status).toBe(403) },
  "wall: beyond": { do: { wall: 1000 }, see: (got) => expect(got.status).toBe(403) },
  "wall: cut short": {
    do: { wall: 30_000 },
    see: (got) => {
      expect(label(got)).toBe(`bytes 1000-29999/${SIZE}`);
      isProper(got, SONG.subarray(1000, 30_000));
    },
  },
  "wall: refused": {
    do: { wall: { at: 30_000, crossing: "refuse", status: 410 } },
    see: (got) => expect(got.status).toBe(410),
  },
  "unsatisfiable with the size": {
    do: { unsatisfiable: true },
    see: (got) => expect([got.status, label(got)]).toEqual([416, `bytes */${SIZE}`]),
  },
  "unsatisfiable with another": {
    do: { unsatisfiable: 500 },
    see: (got) => expect([got.status, label(got)]).toEqual([416, "bytes */500"]),
  },
  "unsatisfiable without one": {
    do: { unsatisfiable: "bare" },
    see: (got) => expect([got.status, label(got)]).toEqual([416, undefined]),
  },
  headers: {
    do: { headers: { "X-Served-By": "chaos", etag: null } },
    see: (got) => expect([got.headers["x-served-by"], got.headers["etag"]]).toEqual(["chaos", undefined]),
  },
  ignoreRange: {
    do: { ignoreRange: true },
    see: (got) => {
      expect([got.status, label(got)]).toEqual([200, undefined]);
      isProper(got, SONG);
    },
  },
  shiftRange: {
    do: { shiftRange: 10 },
    see: (got) => {
      expect(label(got)).toBe(`bytes 1010-51009/${SIZE}`);
      isProper(got, SONG.subarray(1010, 51_010));
    },
  },
  "contentRange: missing": {
    do: { contentRange: "missing" },
    see: (got) => {
      expect([got.status, label(got)]).toEqual([206, undefined]);
      isProper(got);
    },
  },
  "contentRange: another start": {
    do: { contentRange: { shift: -10 } },
    see: (got) => {
      expect(label(got)).toBe(`bytes 990-50989/${SIZE}`);
      isProper(got);
    },
  },
  "contentRange: another total": {
    do: { contentRange: { total: 123 } },
    see: (got) => expect(label(got)).toBe("bytes 1000-50999/123"),
  },
  "contentRange: no total": {
    do: { contentRange: { total: "*" } },
    see: (got) => expect(label(got)).toBe("bytes 1000-50999/*"),
  },
  "contentRange: as given": {
    do: { contentRange: { as: "chapters 1-2/9" } },
    see: (got) => expect(label(got)).toBe("chapters 1-2/9"),
  },
  multipart: {
    do: { multipart: true },
    see: (got) => {
      expect(got.headers["content-type"]).toBe("multipart/byteranges; boundary=part");
      expect(textOf(got)).toContain(`Content-Range: ${proper}`);
    },
  },
  truncate: {
    do: { truncate: 700 },
    see: (got) => {
      expect(label(got)).toBe(`bytes 1000-1699/${SIZE}`);
      isProper(got, SONG.subarray(1000, 1700));
    },
  },
  "truncate, labelled as asked": {
    do: { truncate: 700, contentRange: "asked" },
    see: (got) => {
      expect([label(got), got.body.length]).toEqual([proper, 700]);
      expect(got.complete).toBe(true);
    },
  },
  "surplus in Content-Length": {
    do: { surplus: 5 },
    see: (got) => {
      expect([label(got), got.headers["content-length"]]).toEqual([proper, "50005"]);
      isProper(got, SONG.subarray(1000, 51_005));
    },
  },
  "surplus in Content-Range": {
    do: { surplus: { bytes: 5, counted: "range" } },
    see: (got) => expect([label(got), got.body.length]).toEqual([`bytes 1000-51004/${SIZE}`, 50_005]),
  },
  "surplus counted nowhere": {
    do: { surplus: { bytes: 5, counted: "raw" } },
    see: (got) => expect([got.headers["content-length"], got.extraBytes]).toEqual(["50000", 5]),
  },
  "encode: gzip": {
    do: { encode: "gzip" },
    see: (got) => {
      expect(got.headers["content-encoding"]).toBe("gzip");
      assertBytes(gunzipSync(got.body), part);
    },
  },
  "encode: br": {
    do: { encode: "br" },
    see: (got) => {
      expect(got.headers["content-encoding"]).toBe("br");
      assertBytes(brotliDecompressSync(got.body), part);
    },
  },
  "encode: deflate": {
    do: { encode: "deflate" },
    see: (got) => {
      expect(got.headers["content-encoding"]).toBe("deflate");
      assertBytes(inflateSync(got.body), part);
    },
  },
  "contentLength larger": {
    do: { contentLength: { add: 9 } },
    see: (got) => {
      expect(got.headers["content-length"]).toBe("50009");
      isCut(got, part);
    },
  },
  "contentLength as given": {
    do: { contentLength: { as: 40_000 } },
    see: (got) => expect([got.headers["content-length"], got.extraBytes]).toEqual(["40000", 10_000]),
  },
  "contentLength: close": {
    do: { contentLength: "close" },
    see: (got) => {
      expect([got.headers["content-length"], got.headers["transfer-encoding"], got.closed]).toEqual([
        undefined,
        undefined,
        true,
      ]);
      isProper(got);
    },
  },
  "contentLength: chunked": {
    do: { contentLength: "chunked" },
    see: (got) => {
      expect([got.headers["content-length"], got.headers["transfer-encoding"]]).toEqual([undefined, "chunked"]);
      isProper(got);
    },
  },
  vary: {
    do: { vary: { from: "2000", to: 3000 } },
    see: (got, { first }) => {
      assertBytes(got.body.subarray(2000), SONG.subarray(3000, 51_000));
      expect(Buffer.from(got.body).equals(first.body)).toBe(false);
      expect(got.headers["etag"]).toBeUndefined();
    },
  },
  "vary everywhere": {
    do: { vary: true },
    see: (got, { first }) => expect(Buffer.from(got.body).equals(first.body)).toBe(false),
  },
  "reset in the body": {
    do: { reset: 20_000 },
    see: (got) => {
      isCut(got, SONG.subarray(1000, 21_000));
      expect(got.errorCode).toBe("ECONNRESET");
    },
  },
  "reset at an offset": {
    do: { reset: { offset: "20K" } },
    see: (got) => isCut(got, SONG.subarray(1000, 20_480)),
  },
  close: {
    do: { close: 20_000 },
    see: (got) => {
      isCut(got, SONG.subarray(1000, 21_000));
      expect(got.errorCode).toBeUndefined();
    },
  },
  pause: {
    do: { pause: { at: 20_000, for: "150ms" } },
    see: (got, { waitedMs }) => {
      expect(waitedMs).toBe(150);
      isProper(got);
    },
  },
};

/** A track's name out of a case's. */
const idOf = (name: string): string => name.replaceAll(/\W+/g, "_");

let rig: ChaosRig;
beforeAll(async () => {
  const tracks = Object.entries(cases).map(([name, one]) => [
    idOf(name),
    { file: "song.bin", faults: [{ when: one.when ?? {}, do: one.do }] },
  ]);
  const more = {
    plain: { file: "song.bin" },
    resetHeaders: { file: "song.bin", faults: [{ do: { reset: "headers" } }] },
    stall: { file: "song.bin", faults: [{ do: { stall: 300 } }] },
    trickle: { file: "song.bin", faults: [{ do: { trickle: { at: 1000, rate: 20_000 } } }] },
    pace: { file: "song.bin", faults: [{ do: { pace: "100K" } }] },
    chain: { file: "song.bin", faults: [{ do: { redirect: { chain: 3, status: 307 } } }] },
    loop: { file: "song.bin", faults: [{ do: { redirect: { loop: true } } }] },
    elsewhere: { file: "song.bin", faults: [{ do: { redirect: { to: "elsewhere" } } }] },
    unknown: { file: "song.bin", unknownLength: true },
    bare: { file: "song.bin", etag: "none", contentType: null },
    dated: { file: "song.bin", etag: "weak", lastModified: "Sat, 21 Nov 2026 07:28:00 GMT", contentType: "audio/mpeg" },
    empty: { size: 0 },
    one: { size: 1 },
    edge: { size: 524_289 },
    counted: {
      file: "song.bin",
      faults: [
        { when: { request: { from: 2, to: 3 } }, do: { status: 500 } },
        { when: { request: 4 }, do: { status: 502 } },
        { times: 5, do: { headers: { "x-first-five": "1" } } },
      ],
    },
    conditions: {
      file: "song.bin",
      faults: [
        { when: { method: "HEAD" }, do: { status: 405 } },
        { when: { range: "none" }, do: { status: 501 } },
        { when: { range: "open" }, do: { status: 502 } },
        { when: { range: "suffix" }, do: { status: 503 } },
        { when: { rangeOver: "50K" }, do: { status: 504 } },
        { when: { startBelow: 10 }, do: { status: 505 } },
        { when: { covers: 70_000 }, do: { status: 506 } },
      ],
    },
  };
  rig = await startChaosRig({ tracks: { ...Object.fromEntries(tracks), ...more } });
});
afterAll(async () => {
  await rig.close();
  expect(rig.faults).toEqual([]);
});

describe("each key of a fault is seen on the wire, and not without it", () => {
  test.each(Object.keys(cases))("%s", async (name) => {
    const { ask = RANGE, see } = cases[name] as Case;
    const look = async (id: string): Promise<[RawResponse, { first: RawResponse; waitedMs: number }]> => {
      const first = await rig.get(`/${id}`, ask);
      const began = rig.now();
      const got = await rig.get(`/${id}`, ask);
      return [got, { first, waitedMs: rig.now() - began }];
    };
    see(...(await look(idOf(name))));
    const plain = await look("plain");
    expect(() => see(...plain)).toThrow();
  });
});

test("without a fault a track is served as RFC 9110 says", async () => {
  const got = await rig.get("/plain", RANGE);
  expect([got.status, label(got), got.headers["accept-ranges"]]).toEqual([206, proper, "bytes"]);
  isProper(got);
  isProper(await rig.get("/plain"), SONG);
});

test("reset before the headers: not one byte", async () => {
  await expect(rig.get("/resetHeaders")).rejects.toThrow("ECONNRESET");
});

test("stall: the body ends there, the connection does not, until it is told to go on", async () => {
  let length = 0;
  const got = rig.get("/stall", { onProgress: (bytes) => (length = bytes) });
  const stalled = () => rig.post("/chaos/release?track=stall");
  await eventually(async () => {
    expect(length).toBe(300);
    expect(await stalled()).toEqual({ released: 1 });
  });
  isProper(await got, SONG);
  expect(await stalled()).toEqual({ released: 0 });
});

test.each([
  ["trickle", 5000, (5000 - 1000) / 20],
  ["pace", 20_480, 200],
] as const)("%s: %i bytes take %i ms", async (id, length, ms) => {
  const began = rig.now();
  isProper(await rig.get(`/${id}`, { headers: { range: `bytes=0-${length - 1}` } }), SONG.subarray(0, length));
  // The last piece is not waited for.
  expect(rig.now() - began).toBeGreaterThan(0.8 * ms);
  expect(rig.now() - began).toBeLessThanOrEqual(ms);
});

test("redirects: a chain of three, and one without end", async () => {
  const follow = async (path: string, hops: number): Promise<number[]> => {
    const statuses: number[] = [];
    for (let at: string | undefined = path; at !== undefined && statuses.length < hops; ) {
      const got: RawResponse = await rig.get(at);
      statuses.push(got.status);
      at = got.headers["location"];
    }
    return statuses;
  };
  expect(await follow("/chain", 9)).toEqual([307, 307, 307, 200]);
  expect(await follow("/loop", 20)).toEqual(Array<number>(20).fill(302));
});

test("redirects elsewhere: another port each time, and the bytes are there", async () => {
  const targets = new Set<string>();
  for (let n = 0; n < 3; n++) targets.add((await rig.get("/elsewhere")).headers["location"] ?? "");
  expect(targets.size).toBe(3);
  for (const target of targets) {
    const { port, pathname, search } = new URL(target);
    expect(Number(port)).not.toBe(rig.port);
    const mirror = await connect({ port: Number(port) });
    const got = await mirror.request({ path: pathname + search, headers: { connection: "close" } });
    mirror.destroy();
    isProper(got, SONG);
  }
});

test("unknown length: chunks, whatever range is asked for", async () => {
  const got = await rig.get("/unknown", RANGE);
  expect([got.status, got.headers["transfer-encoding"], got.headers["content-length"]]).toEqual([
    200,
    "chunked",
    undefined,
  ]);
  isProper(got, SONG);
});

test("what names the bytes, and what they are called", async () => {
  const { headers } = await rig.get("/bare");
  expect([headers["etag"], headers["content-type"]]).toEqual([undefined, undefined]);
  const dated = await rig.get("/dated");
  expect(dated.headers).toMatchObject({
    etag: expect.stringMatching(/^W\/"/),
    "last-modified": "Sat, 21 Nov 2026 07:28:00 GMT",
    "content-type": "audio/mpeg",
  });
});

test.each([
  ["empty", 0],
  ["one", 1],
  ["edge", 524_289],
])("a track that is %s has %i bytes", async (id, size) => {
  const got = await rig.get(`/${id}`);
  expect([got.status, got.headers["content-length"], got.body.length, got.complete]).toEqual([
    200,
    String(size),
    size,
    true,
  ]);
});

test("rules hold for the requests and the times that they name", async () => {
  const seen: [number, string | undefined][] = [];
  for (let n = 0; n < 6; n++) {
    const { status, headers } = await rig.get("/counted");
    seen.push([status, headers["x-first-five"]]);
  }
  expect(seen).toEqual([
    [200, "1"],
    [500, "1"],
    [500, "1"],
    [502, "1"],
    [200, "1"],
    [200, undefined],
  ]);
});

test.each([
  ["HEAD", undefined, 405],
  ["GET", undefined, 501],
  ["GET", "bytes=20-", 502],
  ["GET", "bytes=-5", 503],
  ["GET", "bytes=20-60000", 504],
  ["GET", "bytes=5-6", 505],
  ["GET", "bytes=69999-70000", 506],
  ["GET", "bytes=20-30", 206],
] as const)("conditions: %s %s is answered with %i", async (method, range, status) => {
  const got = await rig.get("/conditions", { method, headers: range === undefined ? {} : { range } });
  expect(got.status).toBe(status);
});
