import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { connect, type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { bytesOf, startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const SIZE = 300_001;
let up: Upstream;

beforeEach(async () => {
  up = await startUpstream({ seed: 7 });
  up.resource("song", { size: SIZE, lastModified: new Date("2026-01-02T03:04:05Z") });
});

afterEach(() => up.close());

const get = (headers: Record<string, string> = {}, options: RawRequest = {}): Promise<RawResponse> =>
  request({ port: up.port, path: "/song", headers, ...options });

const statusIf = async (condition: string) => (await get({ range: "bytes=1-2", "if-range": condition })).status;

describe("bytesOf", () => {
  it("is one function of the offset, wherever a range begins and ends", () => {
    const whole = bytesOf(7, "song", 1, 0, 4099);
    for (const [start, end] of [
      [0, 1],
      [1, 2],
      [3, 9],
      [4, 8],
      [1023, 4099],
      [4098, 4099],
      [5, 5],
    ] as const) {
      expect(bytesOf(7, "song", 1, start, end)).toEqual(whole.subarray(start, end));
    }
  });

  it("differs by seed, name, version and offset", () => {
    const one = Buffer.from(bytesOf(7, "song", 1, 0, 64 * 1024));
    const others = [bytesOf(8, "song", 1, 0, 64), bytesOf(7, "sonh", 1, 0, 64), bytesOf(7, "song", 2, 0, 64)];
    for (const other of others) expect(one.indexOf(other.subarray(0, 8))).toBe(-1);
    expect(one.indexOf(one.subarray(0, 8), 1)).toBe(-1);
  });

  it("fills 16 MiB in well under a second", () => {
    const before = performance.now();
    bytesOf(7, "song", 1, 0, 16 * 1024 * 1024);
    expect(performance.now() - before).toBeLessThan(500);
  });
});

describe("an unscripted upstream", () => {
  it("serves the whole", async () => {
    const response = await get();
    expect(response).toMatchObject({ status: 200, statusText: "OK", complete: true, extraBytes: 0, closed: true });
    expect(response.headers).toMatchObject({
      "content-length": String(SIZE),
      "content-type": "audio/webm",
      "accept-ranges": "bytes",
      etag: up.etag("song"),
      "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
    });
    assertBytes(response.body, up.bytes("song"));
  });

  it.each([
    ["bytes=0-1", 0, 2],
    ["bytes=0-", 0, SIZE],
    ["bytes=100000-", 100_000, SIZE],
    ["BYTES=7-7", 7, 8],
    ["bytes=-500", SIZE - 500, SIZE],
    [`bytes=-${SIZE + 5}`, 0, SIZE],
    [`bytes=${SIZE - 1}-${SIZE + 100}`, SIZE - 1, SIZE],
  ])("answers %s with 206", async (range, start, end) => {
    const response = await get({ range });
    expect(response).toMatchObject({ status: 206, complete: true, extraBytes: 0 });
    expect(response.headers["content-range"]).toBe(`bytes ${start}-${end - 1}/${SIZE}`);
    expect(response.headers["content-length"]).toBe(String(end - start));
    assertBytes(response.body, up.bytesOf("song", 1, start, end));
  });

  it.each([`bytes=${SIZE}-`, "bytes=-0", `bytes=${SIZE + 1}-${SIZE + 2}`])("answers %s with 416", async (range) => {
    const response = await get({ range });
    expect(response).toMatchObject({ status: 416, complete: true });
    expect(response.headers["content-range"]).toBe(`bytes */${SIZE}`);
  });

  it.each(["bytes=5-2", "items=0-1", "bytes=-", "bytes=a-b", "bytes=0-1,4-5"])("ignores %s", async (range) => {
    const response = await get({ range });
    expect(response).toMatchObject({ status: 200, complete: true });
    expect(response.body.length).toBe(SIZE);
  });

  it("honours If-Range by strong tag or exact date, else sends the whole", async () => {
    expect(await statusIf(up.etag("song") ?? "")).toBe(206);
    expect(await statusIf("Fri, 02 Jan 2026 03:04:05 GMT")).toBe(206);
    expect(await statusIf("Fri, 02 Jan 2026 03:04:06 GMT")).toBe(200);
    expect(await statusIf('"other"')).toBe(200);
    up.setResource("song", { etag: "weak" });
    expect(up.etag("song")).toMatch(/^W\//);
    expect(await statusIf(up.etag("song") ?? "")).toBe(200);
  });

  it("answers HEAD with GET's headers and no body", async () => {
    const response = await get({ range: "bytes=0-1" }, { method: "HEAD" });
    expect(response).toMatchObject({ status: 200, complete: true, extraBytes: 0 });
    expect(response.headers["content-length"]).toBe(String(SIZE));
    expect(up.bytesSent()).toBe(0);
  });

  it("keeps a connection for several requests", async () => {
    const connection = await connect(up);
    for (const range of ["bytes=0-99", "bytes=100-199999", `bytes=${SIZE}-`]) {
      const response = await connection.request({ path: "/song", headers: { range } });
      expect(response).toMatchObject({ complete: true, extraBytes: 0, closed: false });
    }
    expect((await connection.request({ path: "/song", method: "HEAD" })).status).toBe(200);
    expect(up.connections).toEqual({ open: 1, total: 1 });
    connection.destroy();
  });

  it("answers 404 for what it does not have, 405 to other methods", async () => {
    expect((await get({}, { path: "/nothing" })).status).toBe(404);
    expect((await get({}, { method: "POST", requestBody: "abc" })).status).toBe(405);
  });

  it("serves 0 and 1 bytes, names with odd characters, given content", async () => {
    up.resource("empty", { size: 0 });
    up.resource("one", { size: 1 });
    up.resource("a b/ü?", { content: "hello", contentType: "text/plain", etag: "none" });
    expect(await get({}, { path: "/empty" })).toMatchObject({ status: 200, complete: true, body: { length: 0 } });
    expect(await get({ range: "bytes=0-" }, { path: "/empty" })).toMatchObject({ status: 416 });
    expect(await get({ range: "bytes=-5" }, { path: "/empty" })).toMatchObject({ status: 200, complete: true });
    assertBytes((await get({ range: "bytes=0-" }, { path: "/one" })).body, up.bytesOf("one", 1, 0, 1));
    const odd = await get({ range: "bytes=1-3" }, { path: new URL(up.url("a b/ü?")).pathname });
    expect(Buffer.from(odd.body).toString()).toBe("ell");
    expect(odd.headers["etag"]).toBeUndefined();
  });

  it("streams a resource of unknown length in chunks and ignores ranges", async () => {
    up.setResource("song", { unknownLength: true });
    const response = await get({ range: "bytes=10-" });
    expect(response).toMatchObject({ status: 200, complete: true, extraBytes: 0 });
    expect(response.headers["transfer-encoding"]).toBe("chunked");
    expect(response.headers["content-length"]).toBeUndefined();
    expect(response.headers["accept-ranges"]).toBeUndefined();
    assertBytes(response.body, up.bytes("song"));
  });

  it("changes bytes, tag and size with the version", async () => {
    const old = up.etag("song");
    up.setResource("song", { version: 2, size: 1000 });
    const response = await get();
    expect(response.headers["etag"]).not.toBe(old);
    expect(response.headers["last-modified"]).toBe("Fri, 02 Jan 2026 03:04:05 GMT");
    assertBytes(response.body, up.bytesOf("song", 2, 0, 1000));
    expect(up.bytesOf("song", 1, 0, 8)).not.toEqual(up.bytesOf("song", 2, 0, 8));
  });

  it("sends no faster than it is read", async () => {
    up.resource("big", { size: 64 * 1024 * 1024 });
    const abort = new AbortController();
    const slow = get({}, { path: "/big", rate: 1e6, signal: abort.signal });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(up.live("big")).toBe(1);
    expect(up.bytesSent("big")).toBeLessThan(32 * 1024 * 1024);
    abort.abort(new Error("enough"));
    await expect(slow).rejects.toThrow("enough");
    await up.waitIdle();
  });
});
