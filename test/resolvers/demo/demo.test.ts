import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ResolveRequest, Resolver } from "../../../src/data-source/resolution.ts";
import { createDemo } from "../../../src/resolvers/demo/demo.ts";

const ask: ResolveRequest = { signal: new AbortController().signal, attempt: 1, reason: "first" };
const LIFETIME_MS = 1000;

let now = 1_000_000;
let demo: Resolver;
let url: string;
let size: number;

beforeAll(async () => {
  demo = await createDemo({ now: () => now, urlLifetimeMs: LIFETIME_MS });
});
afterAll(() => demo.close?.());

async function renew(): Promise<void> {
  const resolution = await demo.resolve("waltz", ask);
  url = resolution.url;
  size = resolution.contentLength ?? 0;
}
beforeAll(renew);

async function get(
  headers: Record<string, string> = {},
  method = "GET",
): Promise<{ response: Response; bytes: Buffer }> {
  const response = await fetch(url, { headers, method });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

describe("the resolver", () => {
  it("lists tracks that resolve to what the list says", async () => {
    const tracks = (await demo.list?.()) ?? [];
    expect(tracks.length).toBeGreaterThanOrEqual(6);
    expect(new Set(tracks.map(({ id }) => id)).size).toBe(tracks.length);
    for (const track of tracks) {
      expect(track.id).toMatch(/^[A-Za-z0-9._~-]{1,200}$/);
      expect(track.durationMs).toBeGreaterThanOrEqual(120_000);
      expect(track.durationMs).toBeLessThanOrEqual(240_000);
      const resolution = await demo.resolve(track.id, ask);
      expect(resolution).toMatchObject({ title: track.title, contentLength: track.size, expiresAt: now + LIFETIME_MS });
      expect(demo.hosts).toContain(new URL(resolution.url).host);
    }
  });

  it("says not-found of an unknown id", async () => {
    await expect(demo.resolve("nothing", ask)).rejects.toMatchObject({ code: "not-found" });
  });

  it("ends with the signal's reason", async () => {
    const reason = new Error("gone");
    await expect(demo.resolve("waltz", { ...ask, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("the origin", () => {
  it("answers HEAD with the headers of the whole, whatever the range", async () => {
    const { response, bytes } = await get({ range: "bytes=0-1" }, "HEAD");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe(String(size));
    expect(response.headers.get("content-type")).toBe("audio/wav");
    expect(response.headers.get("accept-ranges")).toBe("bytes");
    expect(bytes.length).toBe(0);
  });

  it("serves ranges that are slices of one another", async () => {
    const { response, bytes: whole } = await get({ range: "bytes=0-79999" });
    expect(response.status).toBe(206);
    for (const [first, last] of [
      [0, 0],
      [43, 44],
      [44, 44 + 16_383],
      [16_427, 16_428],
      [16_429, 60_001],
      [79_999, 79_999],
    ] as const) {
      const part = await get({ range: `bytes=${first}-${last}` });
      expect(part.response.headers.get("content-range")).toBe(`bytes ${first}-${last}/${size}`);
      expect(part.bytes.equals(whole.subarray(first, last + 1))).toBe(true);
    }
  });

  it("serves open ends and suffixes", async () => {
    const open = await get({ range: `bytes=${size - 5000}-` });
    const suffix = await get({ range: "bytes=-5000" });
    const beyond = await get({ range: `bytes=${size - 5000}-${size + 99}` });
    expect(open.bytes.length).toBe(5000);
    expect(open.response.headers.get("content-range")).toBe(`bytes ${size - 5000}-${size - 1}/${size}`);
    expect(suffix.bytes.equals(open.bytes)).toBe(true);
    expect(beyond.bytes.equals(open.bytes)).toBe(true);
  });

  it.each(["bytes=99999999999-", "bytes=-0"])("refuses %s", async (range) => {
    const { response } = await get({ range });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe(`bytes */${size}`);
  });

  it.each(["bytes=5-4", "bytes=0-1,4-5", "items=0-1", "bytes=a-b", "bytes=-"])("ignores %s", async (range) => {
    const leave = new AbortController();
    const response = await fetch(url, { headers: { range }, signal: leave.signal });
    leave.abort();
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe(String(size));
  });

  it("honours a range only if If-Range names the bytes", async () => {
    const { response } = await get({ range: "bytes=0-9" });
    const etag = response.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[^"]+"$/);
    expect((await get({ range: "bytes=0-9", "if-range": etag })).response.status).toBe(206);
    const leave = new AbortController();
    const other = await fetch(url, { headers: { range: "bytes=0-9", "if-range": '"other"' }, signal: leave.signal });
    leave.abort();
    expect(other.status).toBe(200);
  });

  it("refuses other methods, wrong signatures and expired URLs", async () => {
    expect((await get({}, "POST")).response.status).toBe(405);
    const original = url;
    for (const [from, to] of [
      [/signature=../, "signature=zz"],
      [/$/, "00"],
      [/expires=\d+/, "expires=99999999999999"],
      [/waltz/, "fugue"],
      [/\?.*/, ""],
    ] as const) {
      url = original.replace(from, to);
      expect(url).not.toBe(original);
      expect((await get()).response.status).toBe(403);
    }
    url = original;
    now += LIFETIME_MS;
    expect((await get()).response.status).toBe(403);
    await renew();
    expect((await get({ range: "bytes=0-9" })).response.status).toBe(206);
  });

  it("starts at any position soon", async () => {
    for (const part of [0.31, 0.77, 0.52]) {
      const begun = performance.now();
      const leave = new AbortController();
      const response = await fetch(url, {
        headers: { range: `bytes=${Math.floor(size * part)}-` },
        signal: leave.signal,
      });
      await response.body?.getReader().read();
      leave.abort();
      // Ten times what it takes alone: this machine may be running other suites.
      expect(performance.now() - begun).toBeLessThan(2000);
    }
  });
});

it("frees its port, and connections in use, on close", async () => {
  const other = await createDemo();
  const { url: address } = await other.resolve("fugue", ask);
  const response = await fetch(address);
  const reading = response.arrayBuffer();
  await other.close?.();
  await expect(reading).rejects.toThrow();
  await expect(fetch(address)).rejects.toThrow();
});
