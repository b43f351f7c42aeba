import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawRequest, request } from "../helpers/http-client.ts";
import { type Behaviour, type Rule, startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const SIZE = 300_000;
let up: Upstream;

beforeEach(async () => {
  up = await startUpstream({ seed: 7 });
  up.resource("song", { size: SIZE });
});

afterEach(() => up.close());

const get = (range?: string, options: RawRequest = {}) =>
  request({
    port: up.port,
    path: "/song",
    headers: range === undefined ? {} : { range: `bytes=${range}` },
    ...options,
  });

/** The answer to one request under one behaviour. */
const under = (behaviour: Behaviour, range?: string, options?: RawRequest) => {
  up.script("song", [{ do: behaviour }]);
  return get(range, options);
};

describe("rules", () => {
  const statuses = async (rules: Rule[], ranges: (string | undefined)[]) => {
    up.script("song", rules);
    const found: number[] = [];
    for (const range of ranges) found.push((await get(range)).status);
    return found;
  };

  it("hold for a request by its index", async () => {
    expect(await statuses([{ when: { request: 2 }, do: { status: 403 } }], [undefined, undefined, undefined])).toEqual([
      200, 403, 200,
    ]);
    expect(
      await statuses([{ when: { request: { from: 2 } }, do: { status: 403 } }], [undefined, undefined, undefined]),
    ).toEqual([200, 403, 403]);
    expect(
      await statuses([{ when: { request: { to: 2 } }, do: { status: 403 } }], [undefined, undefined, undefined]),
    ).toEqual([403, 403, 200]);
  });

  it("hold for the first matching requests", async () => {
    const rules = [{ when: { startFrom: 10 }, times: 2, do: { status: 500 } }];
    expect(await statuses(rules, ["0-", "10-", "11-", "12-"])).toEqual([206, 500, 500, 206]);
  });

  it("hold by what is wanted", async () => {
    const hit = { status: 403 };
    expect(
      await statuses([{ when: { rangeOver: 100 }, do: hit }], ["0-99", "0-100", "299990-", "0-", undefined]),
    ).toEqual([206, 403, 206, 403, 403]);
    expect(await statuses([{ when: { range: "open" }, do: hit }], ["0-", "0-5", "-5", undefined])).toEqual([
      403, 206, 206, 200,
    ]);
    expect(await statuses([{ when: { range: "none" }, do: hit }], ["0-", undefined])).toEqual([206, 403]);
    expect(await statuses([{ when: { range: "suffix", startBelow: SIZE - 5 }, do: hit }], ["-5", "-6"])).toEqual([
      206, 403,
    ]);
    expect(await statuses([{ when: { covers: 50 }, do: hit }], ["0-49", "0-50", "50-", "51-"])).toEqual([
      206, 403, 403, 206,
    ]);
    expect(
      await statuses([{ when: (asked) => asked.headers["range"] === "bytes=1-1", do: hit }], ["1-1", "1-2"]),
    ).toEqual([403, 206]);
  });

  it("compose; the earlier rule wins, and a resource's own before those for all", async () => {
    up.script("*", [{ do: { status: 500, headers: { "x-all": "yes", "x-who": "all" } } }]);
    up.script("song", [{ do: { headers: { "x-who": "own" } } }, { do: { status: 404 } }, { do: { status: 410 } }]);
    const response = await get();
    expect(response.status).toBe(404);
    expect(response.headers).toMatchObject({ "x-who": "own", "x-all": "yes" });
    up.resource("other");
    expect((await get(undefined, { path: "/other" })).status).toBe(500);
  });

  it("tell apart what one server does to many requests", async () => {
    up.script("song", [
      { when: { request: 1 }, do: { status: 403 } },
      { when: { rangeOver: 200_000 }, do: { status: 403 } },
      { do: { pace: 4e6 } },
      { when: { request: 3 }, do: { reset: 100_000 } },
    ]);
    expect((await get("0-99")).status).toBe(403);
    expect((await get("0-200000")).status).toBe(403);
    expect(await get("0-199999")).toMatchObject({
      status: 206,
      complete: false,
      errorCode: "ECONNRESET",
      body: { length: 100_000 },
    });
    expect(await get("0-199999")).toMatchObject({ status: 206, complete: true });
  });
});

describe("other answers", () => {
  it.each([403, 404, 410, 429, 500, 502, 503])("status %d", async (status) => {
    const response = await under({ status }, "0-9");
    expect(response).toMatchObject({ status, complete: true, extraBytes: 0 });
    expect(response.headers["content-range"]).toBeUndefined();
    expect(up.bytesSent()).toBe(0);
  });

  it("Retry-After as seconds and as a date", async () => {
    expect((await under({ status: 429, retryAfter: 7 })).headers["retry-after"]).toBe("7");
    const date = new Date("2030-01-01T00:00:00Z");
    expect((await under({ status: 503, retryAfter: date })).headers["retry-after"]).toBe(
      "Tue, 01 Jan 2030 00:00:00 GMT",
    );
  });

  it("a status that lies about a range", async () => {
    const response = await under({ status: 200 }, "5-9");
    expect(response.status).toBe(200);
    assertBytes(response.body, up.bytesOf("song", 1, 5, 10));
  });

  it("pages instead of bytes", async () => {
    const html = await under({ page: "html" }, "0-9");
    expect(html).toMatchObject({
      status: 200,
      complete: true,
      headers: { "content-type": "text/html; charset=utf-8" },
    });
    expect(String(html.body)).toMatch(/^<!doctype html>/);
    const json = await under({ page: "json" });
    expect(json.headers["content-type"]).toBe("application/json");
    expect(() => JSON.parse(String(json.body))).not.toThrow();
    const own = await under({ page: { contentType: "text/css", text: "a{}" } });
    expect([own.headers["content-type"], String(own.body)]).toEqual(["text/css", "a{}"]);
  });

  it("416 of each kind", async () => {
    expect((await under({ unsatisfiable: true }, "0-9")).headers["content-range"]).toBe(`bytes */${SIZE}`);
    expect((await under({ unsatisfiable: 5000 }, "0-9")).headers["content-range"]).toBe("bytes */5000");
    const bare = await under({ unsatisfiable: "bare" }, "0-9");
    expect(bare).toMatchObject({ status: 416, complete: true });
    expect(bare.headers["content-range"]).toBeUndefined();
  });

  it("a limit to ranges", async () => {
    up.script("song", [{ do: { rangeLimit: 1000 } }]);
    const statuses = async (...ranges: (string | undefined)[]) => {
      const found: number[] = [];
      for (const range of ranges) found.push((await get(range)).status);
      return found;
    };
    expect(await statuses("0-999", "0-1000", "0-", "-5", undefined, "299990-301000")).toEqual([
      206, 403, 403, 403, 403, 206,
    ]);
    expect((await get("0-9", { method: "HEAD" })).status).toBe(403);
  });

  it("a wall: bytes before an offset, 403 beyond", async () => {
    const short = await under({ wall: 1000 }, "900-1999");
    expect(short).toMatchObject({ status: 206, complete: true, extraBytes: 0 });
    expect(short.headers["content-range"]).toBe(`bytes 900-999/${SIZE}`);
    assertBytes(short.body, up.bytesOf("song", 1, 900, 1000));
    expect((await get("1000-1999")).status).toBe(403);
    expect((await get("0-999")).body.length).toBe(1000);
    const refusing = { wall: { at: 1000, crossing: "refuse", status: 410 } } as const;
    expect((await under(refusing, "900-1000")).status).toBe(410);
    expect((await under(refusing, "900-999")).status).toBe(206);
  });

  it("redirects, in chains and in loops, with the query kept", async () => {
    const path = new URL(up.url("song")).pathname + new URL(up.url("song")).search;
    for (const status of [301, 302, 307, 308]) {
      up.script("song", [{ do: { redirect: { status, chain: 3 } } }]);
      let at = path;
      for (let hop = 0; hop < 3; hop++) {
        const response = await get("0-9", { path: at });
        expect(response.status).toBe(status);
        at = response.headers["location"] ?? "";
      }
      expect(at).toContain("sig=");
      expect(await get("0-9", { path: at })).toMatchObject({ status: 206, body: { length: 10 } });
    }
    up.script("song", [{ do: { redirect: { loop: true } } }]);
    let at = "/song";
    for (let hop = 0; hop < 20; hop++) {
      const response = await get("0-9", { path: at });
      expect(response.status).toBe(302);
      at = response.headers["location"] ?? "";
    }
    expect((await under({ redirect: { to: "http://elsewhere.test/x" } })).headers["location"]).toBe(
      "http://elsewhere.test/x",
    );
  });

  it("headers added, replaced and left out", async () => {
    const { headers } = await under({ headers: { "X-New": "1", ETag: '"mine"', "content-type": null } });
    expect(headers).toMatchObject({ "x-new": "1", etag: '"mine"' });
    expect(headers["content-type"]).toBeUndefined();
  });
});

describe("bent answers", () => {
  it("the whole to a range", async () => {
    const response = await under({ ignoreRange: true }, "1000-1999");
    expect(response).toMatchObject({ status: 200, complete: true });
    expect(response.headers["content-range"]).toBeUndefined();
    assertBytes(response.body, up.bytes("song"));
  });

  it("Content-Range missing, shifted, with another total, or anything", async () => {
    const label = async (contentRange: NonNullable<Behaviour["contentRange"]>) => {
      const response = await under({ contentRange }, "1000-1999");
      expect(response.status).toBe(206);
      assertBytes(response.body, up.bytesOf("song", 1, 1000, 2000));
      return response.headers["content-range"];
    };
    expect(await label("missing")).toBeUndefined();
    expect(await label({ shift: -1000 })).toBe(`bytes 0-999/${SIZE}`);
    expect(await label({ total: 5 })).toBe("bytes 1000-1999/5");
    expect(await label({ total: "*" })).toBe("bytes 1000-1999/*");
    expect(await label({ as: "nonsense" })).toBe("nonsense");
  });

  it("another range than asked for, truthfully labelled", async () => {
    const response = await under({ shiftRange: -1000 }, "1000-1999");
    expect(response.headers["content-range"]).toBe(`bytes 0-999/${SIZE}`);
    assertBytes(response.body, up.bytesOf("song", 1, 0, 1000));
  });

  it("multipart/byteranges", async () => {
    const response = await under({ multipart: true }, "10-19");
    expect(response).toMatchObject({ status: 206, complete: true });
    expect(response.headers["content-type"]).toBe("multipart/byteranges; boundary=part");
    expect(response.headers["content-range"]).toBeUndefined();
    const text = Buffer.from(response.body).toString("latin1");
    expect(text).toContain(
      `Content-Range: bytes 10-19/${SIZE}\r\n\r\n${Buffer.from(up.bytes("song", 10, 20)).toString("latin1")}\r\n--part--`,
    );
  });

  it("fewer bytes than asked for, cleanly, labelled truthfully or not", async () => {
    const short = await under({ truncate: 100 }, "1000-1999");
    expect(short).toMatchObject({ status: 206, complete: true, body: { length: 100 } });
    expect(short.headers).toMatchObject({ "content-length": "100", "content-range": `bytes 1000-1099/${SIZE}` });
    const lying = await under({ truncate: 100, contentRange: "asked" }, "1000-1999");
    expect(lying.headers).toMatchObject({ "content-length": "100", "content-range": `bytes 1000-1999/${SIZE}` });
    expect(await under({ truncate: 100 })).toMatchObject({ status: 200, complete: true, body: { length: 100 } });
  });

  it("surplus bytes in the length, in the label too, or raw", async () => {
    const counted = await under({ surplus: 50 }, "0-99");
    expect(counted.headers).toMatchObject({ "content-length": "150", "content-range": `bytes 0-99/${SIZE}` });
    assertBytes(counted.body, up.bytesOf("song", 1, 0, 150));
    const labelled = await under({ surplus: { bytes: 50, counted: "range" } }, "0-99");
    expect(labelled.headers).toMatchObject({ "content-length": "150", "content-range": `bytes 0-149/${SIZE}` });
    const raw = await under({ surplus: { bytes: 50, counted: "raw" } }, "0-99");
    expect(raw.headers).toMatchObject({ "content-length": "100", "content-range": `bytes 0-99/${SIZE}` });
    expect(raw).toMatchObject({ complete: true, body: { length: 100 }, extraBytes: 50 });
  });

  it("content codings nobody asked for", async () => {
    for (const [encode, decode] of [
      ["gzip", gunzipSync],
      ["br", brotliDecompressSync],
      ["deflate", inflateSync],
    ] as const) {
      const response = await under({ encode }, "0-999");
      expect(response).toMatchObject({ complete: true, headers: { "content-encoding": encode } });
      assertBytes(decode(response.body), up.bytesOf("song", 1, 0, 1000));
    }
  });

  it("no Content-Length: until the connection ends, or in chunks", async () => {
    const closing = await under({ contentLength: "close" }, "0-99999");
    expect(closing).toMatchObject({ status: 206, complete: true, closed: true });
    expect(closing.headers).not.toHaveProperty("content-length");
    expect(closing.headers).not.toHaveProperty("transfer-encoding");
    assertBytes(closing.body, up.bytesOf("song", 1, 0, 100_000));
    const chunked = await under({ contentLength: "chunked" }, "0-99999");
    expect(chunked).toMatchObject({ complete: true, extraBytes: 0, headers: { "transfer-encoding": "chunked" } });
    assertBytes(chunked.body, up.bytesOf("song", 1, 0, 100_000));
  });

  it("a wrong Content-Length", async () => {
    const long = await under({ contentLength: { add: 10 } }, "0-99");
    expect(long).toMatchObject({ complete: false, closed: true, errorCode: undefined, body: { length: 100 } });
    expect(long.headers["content-length"]).toBe("110");
    expect(await under({ contentLength: { add: -10 } }, "0-99")).toMatchObject({ complete: true, extraBytes: 10 });
    expect((await under({ contentLength: { as: 7 } }, "0-99")).extraBytes).toBe(93);
  });

  it("other bytes in each answer, and no validators", async () => {
    up.setResource("song", { lastModified: new Date() });
    const [first, second] = [await under({ vary: true }), await get()];
    expect(first.headers).not.toHaveProperty("etag");
    expect(first.headers).not.toHaveProperty("last-modified");
    expect(Buffer.compare(first.body, second.body)).not.toBe(0);
    const [logged] = up.requests("song");
    assertBytes(first.body, up.bytes("song", 0, SIZE, logged?.version));

    const third = await under({ vary: { from: 100, to: 200 } });
    assertBytes(third.body.subarray(0, 100), up.bytesOf("song", 1, 0, 100));
    expect(Buffer.compare(third.body.subarray(100, 104), up.bytesOf("song", 1, 100, 104))).not.toBe(0);
    assertBytes(third.body.subarray(200), up.bytesOf("song", 1, 200, SIZE));
  });
});
