import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, type RawRequest, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const SIZE = 300_000;
let now = 0;
let up: Upstream;

beforeEach(async () => {
  now = 0;
  up = await startUpstream({ seed: 7, now: () => now });
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

const follow = (url: string, range?: string) => get(range, { path: url.slice(up.origin.length) });

describe("the log", () => {
  it("tells each request and what became of it", async () => {
    await get("0-999");
    await get("500-1499", { headers: { range: "bytes=500-1499", "X-Mine": "a" } });
    up.script("song", [{ do: { close: 10 } }]);
    await get("0-99");
    up.script("song", [{ do: { status: 403 } }]);
    await get();
    expect(up.requests("song")).toMatchObject([
      {
        number: 1,
        connection: 1,
        method: "GET",
        path: "/song",
        range: "bytes=0-999",
        status: 206,
        start: 0,
        bytesSent: 1000,
        outcome: "completed",
      },
      { number: 2, connection: 2, headers: { "x-mine": "a" }, start: 500, bytesSent: 1000, version: 1 },
      { number: 3, start: 0, bytesSent: 10, outcome: "cut" },
      { number: 4, range: undefined, status: 403, start: undefined, bytesSent: 0, outcome: "completed" },
    ]);
  });

  it("counts each offset once, in each version of each resource", async () => {
    up.resource("other", { size: 10 });
    await get("0-999");
    await get("500-1499");
    await get("5000-5009");
    await get(undefined, { path: "/other" });
    expect([up.bytesSent("song"), up.uniqueBytes("song")]).toEqual([2010, 1510]);
    expect([up.bytesSent(), up.uniqueBytes()]).toEqual([2020, 1520]);
    up.setResource("song", { version: 2 });
    await get("0-999");
    expect([up.bytesSent("song"), up.uniqueBytes("song")]).toEqual([3010, 2510]);
  });

  it("does not count what a client that left early did not take", async () => {
    up.resource("big", { size: 64 * 1024 * 1024 });
    expect(await get(undefined, { path: "/big", readBytes: 1000 })).toMatchObject({
      complete: false,
      body: { length: 1000 },
    });
    await up.waitIdle();
    expect(up.requests("big")).toMatchObject([{ outcome: "aborted" }]);
    expect(up.bytesSent("big")).toBeLessThan(32 * 1024 * 1024);
  });

  it("knows how many are live, and were at most", async () => {
    up.resource("other", { size: 10 });
    up.script("song", [{ do: { stall: 100 } }]);
    const pending = [get(), get(), get()];
    await eventually(() => expect(up.stalled("song")).toBe(3));
    await get(undefined, { path: "/other" });
    expect([up.live("song"), up.live("other"), up.live()]).toEqual([3, 0, 3]);
    expect([up.maxLive("song"), up.maxLive("other"), up.maxLive()]).toEqual([3, 1, 4]);
    await expect(up.waitIdle(30)).rejects.toThrow("GET /song");
    up.release();
    await up.waitIdle();
    await Promise.all(pending);
    expect([up.live(), up.maxLive()]).toEqual([0, 4]);
  });

  it("starts again after a reset", async () => {
    const idle = await connect(up);
    await idle.request({ path: "/song", headers: { range: "bytes=0-9" } });
    await get("0-9");
    await eventually(() => expect(up.connections).toEqual({ open: 1, total: 2 }));
    up.reset();
    expect([up.requests(), up.bytesSent(), up.uniqueBytes(), up.maxLive()]).toEqual([[], 0, 0, 0]);
    expect(up.connections).toEqual({ open: 1, total: 1 });
    await get("0-9");
    expect(up.requests()).toHaveLength(1);
    idle.destroy();
  });
});

describe("minted URLs", () => {
  it("are good for their resource only", async () => {
    up.resource("other");
    expect((await follow(up.url("song"), "0-9")).status).toBe(206);
    expect((await follow(up.url("other").replace("/other", "/song"))).status).toBe(403);
    expect((await get(undefined, { path: "/song?sig=made-up" })).status).toBe(403);
    expect((await get("0-9")).status).toBe(206);
    up.setResource("song", { signed: true });
    expect((await get("0-9")).status).toBe(403);
  });

  it("expire when told, one or all of a resource", async () => {
    const [first, second, third] = [up.url("song"), up.url("song"), up.url("song")];
    const statuses = async () => [await follow(first, "0-9"), await follow(second, "0-9")].map(({ status }) => status);
    up.expire(first);
    expect(await statuses()).toEqual([403, 206]);
    up.expire("song");
    expect(await statuses()).toEqual([403, 403]);
    expect((await follow(third)).status).toBe(403);
    expect((await follow(up.url("song"), "0-9")).status).toBe(206);
  });

  it("expire by time, by requests and by bytes", async () => {
    const timed = up.url("song", { ttl: 1000, status: 410 });
    now = 999;
    expect((await follow(timed, "0-9")).status).toBe(206);
    now = 1000;
    expect((await follow(timed, "0-9")).status).toBe(410);
    const counted = up.url("song", { requests: 1 });
    expect([(await follow(counted, "0-9")).status, (await follow(counted, "0-9")).status]).toEqual([206, 403]);
    const weighed = up.url("song", { bytes: 15 });
    const found: number[] = [];
    for (const range of ["0-9", "10-19", "20-29"]) found.push((await follow(weighed, range)).status);
    expect(found).toEqual([206, 206, 403]);
  });

  it("are the same for the same seed", async () => {
    const twin = await startUpstream({ seed: 7 });
    expect(new URL(twin.url("song")).search).toBe(new URL(up.url("song")).search);
    await twin.close();
  });
});

describe("the server", () => {
  it("goes offline, cutting what is under way, and comes back on the same port", async () => {
    up.script("song", [{ do: { stall: 100 } }]);
    const cut = get();
    await eventually(() => expect(up.stalled()).toBe(1));
    await up.goOffline();
    expect(await cut).toMatchObject({ complete: false, closed: true });
    await expect(get()).rejects.toThrow("ECONNREFUSED");
    await up.goOnline();
    up.script("song", []);
    expect(await get("0-9")).toMatchObject({ status: 206, complete: true });
  });

  it("closes with every socket, and can be closed again", async () => {
    const connection = await connect(up);
    await connection.request({ path: "/song", method: "HEAD" });
    await up.close();
    await up.close();
    expect(up.connections.open).toBe(0);
    await eventually(() => expect(connection.closed).toBe(true));
  });
});

describe("a webhook", () => {
  const ask = async (template: string, id: string, query = "") => {
    const url = new URL(template.replace("{id}", encodeURIComponent(id)) + query);
    const response = await request({ port: up.port, path: url.pathname + url.search });
    return { status: response.status, body: JSON.parse(String(response.body)) };
  };

  it("resolves what the upstream has to fresh URLs, by default", async () => {
    const webhook = up.webhook();
    expect(webhook.template).toBe(`http://127.0.0.1:${up.port}/resolve?id={id}`);
    const [first, second] = [await ask(webhook.template, "song"), await ask(webhook.template, "song")];
    expect(first).toMatchObject({
      status: 200,
      body: { variant: "1", contentLength: SIZE, contentType: "audio/webm" },
    });
    expect(second.body.url).not.toBe(first.body.url);
    expect((await follow(first.body.url, "0-9")).status).toBe(206);
    expect((await ask(webhook.template, "unknown")).status).toBe(404);
  });

  it("answers what it is told to, and logs how it was asked", async () => {
    const webhook = up.webhook({
      path: "/hook",
      resolve: (id, query) => {
        if (id === "a/b") return { status: 410, body: { code: "unplayable", message: "gone" } };
        if (id === "throw") throw new Error("broken");
        return up.resolution("song", { variant: `v${query.get("attempt")}` });
      },
    });
    expect(await ask(webhook.template, "a/b")).toEqual({ status: 410, body: { code: "unplayable", message: "gone" } });
    expect((await ask(webhook.template, "throw")).status).toBe(500);
    const asked = await ask(webhook.template, "song", "&attempt=2&reason=forbidden&quality=high");
    expect(asked.body.variant).toBe("v2");
    expect(webhook.calls("song")).toMatchObject([{ attempt: 2, reason: "forbidden", quality: "high", status: 200 }]);
    expect(webhook.calls().map(({ id }) => id)).toEqual(["a/b", "throw", "song"]);
    expect(up.requests()).toEqual([]);
  });

  it("hangs when its resolver does, until the client leaves", async () => {
    const webhook = up.webhook({ resolve: () => new Promise(() => {}) });
    const abort = new AbortController();
    const pending = request({ port: up.port, path: "/resolve?id=song", signal: abort.signal });
    await eventually(() => expect(webhook.calls()).toHaveLength(1));
    abort.abort(new Error("enough"));
    await expect(pending).rejects.toThrow("enough");
    await eventually(() => expect(up.connections.open).toBe(0));
    expect(webhook.calls()).toMatchObject([{ status: 0 }]);
  });

  it("takes its time", async () => {
    up.webhook({ latency: 60 });
    expect((await request({ port: up.port, path: "/resolve?id=song" })).headersMs).toBeGreaterThan(55);
  });
});
