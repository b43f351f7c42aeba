import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AfterbayError, ConfigError } from "../../src/errors.ts";
import type { ProxyEvents } from "../../src/events.ts";
import { createProxy, type CreateProxyOptions } from "../../src/library.ts";
import type { Proxy } from "../../src/proxy.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const MiB = 1024 ** 2;
/** Every answer stops coming after a while. */
const STALLS = [{ do: { stall: 50_000 } }];

let up: Upstream;
let dir: TmpDir;
let proxy: Proxy;

beforeEach(async () => {
  up = await startUpstream();
  up.resource("a", { size: 2 * MiB });
  up.resource("b", { size: MiB });
  up.resource("c", { size: 600_000 });
  dir = await tmpDir();
  proxy = await open();
});
afterEach(async () => {
  await proxy.close();
  await up.close();
  await dir.remove();
});

function open(changes: Partial<CreateProxyOptions> = {}): Promise<Proxy> {
  const options = {
    name: "music",
    resolve: async (id: string) => {
      if (id === "nobody") throw Object.assign(new Error("Nobody has this"), { code: "not-found" });
      if (id === "never") throw new AfterbayError("unplayable", "Not in your country");
      return up.resolution(id);
    },
    cacheDir: join(dir.path, "cache"),
    hosts: [new URL(up.origin).host],
    ...changes,
  };
  return createProxy(options);
}

async function play(id: string, headers: Record<string, string> = {}): Promise<Uint8Array> {
  const answer = await fetch(proxy.urlFor(id), { headers });
  return new Uint8Array(await answer.arrayBuffer());
}

function told<Name extends keyof ProxyEvents>(name: Name): ProxyEvents[Name][] {
  const events: ProxyEvents[Name][] = [];
  proxy.on(name, (event) => void events.push(event));
  return events;
}

describe("createProxy", () => {
  test.each([
    ["a name with capitals", { name: "Music" }, /begins with a letter/],
    ["no name", { name: undefined }, /begins with a letter/],
    ["no resolve", { resolve: undefined }, /no resolve function/],
    ["no sources", { sources: [] }, /needs a source/],
    [
      "two sources of one name",
      { sources: ["x", "x"].map((name) => ({ name, resolve: () => ({ url: "" }) })) },
      /one name/,
    ],
    ["a size that is none", { cacheSize: "2 gigs" }, /512K, 200M or 2G/],
    ["a size of nothing", { cacheSize: 0 }, /above 0/],
    ["hosts without a port", { hosts: ["nas.local"] }, /host:port/],
    ["a directory that another proxy has", {}, /in use|another|owns/i],
  ])("refuses %s with one line", async (_, changes, message) => {
    const error = await open(changes as Partial<CreateProxyOptions>).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain("\n");
  });

  test("validates what a resolver answers, and takes its words for what can never play", async () => {
    await proxy.close();
    proxy = await open({
      firstByteMs: 300,
      resolve: async (id) => {
        if (id === "a") return { url: "file:///etc/passwd" };
        throw Object.assign(new Error("Not in your country"), { code: "unplayable" });
      },
    });
    await proxy.listen();
    expect((await fetch(proxy.urlFor("a"))).status).toBe(502);
    const never = await fetch(proxy.urlFor("b"));
    expect([never.status, await never.json()]).toMatchObject([
      410,
      { code: "unplayable", detail: "Not in your country" },
    ]);
  });

  test("keeps several sources apart, the first being the default one", async () => {
    await proxy.close();
    const source = (name: string, track: string) => ({
      name,
      resolve: () => up.resolution(track),
      hosts: [up.origin.slice(7)],
    });
    proxy = await createProxy({ sources: [source("one", "b"), source("two", "c")], cacheDir: join(dir.path, "cache") });
    await proxy.listen();
    assertBytes(await play("x"), up.bytes("b"));
    const two = await fetch(proxy.urlFor("x", "two"));
    assertBytes(new Uint8Array(await two.arrayBuffer()), up.bytes("c"));
    expect(() => proxy.urlFor("x", "three")).toThrow("a track's name");
  });

  test("a private address that is no configured host is refused", async () => {
    await proxy.close();
    proxy = await open({ hosts: [] });
    await proxy.listen();
    const refused = await fetch(proxy.urlFor("a"));
    expect([refused.status, await refused.json()]).toMatchObject([502, { code: "upstream-failed" }]);
    expect(up.requests("a")).toEqual([]);
    await proxy.close();
    proxy = await open({ hosts: [], allowPrivate: true });
    await proxy.listen();
    assertBytes(await play("a"), up.bytes("a"));
  });
});

describe("listen and urlFor", () => {
  test("urlFor carries the token, and without it nothing plays", async () => {
    expect(() => proxy.urlFor("a")).toThrow("listen first");
    const { url, port } = await proxy.listen({ port: 0, token: "s&cret ü" });
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect(proxy.urlFor("a/ü")).toBe(`${url}/stream/music/a%2F%C3%BC?token=s%26cret%20%C3%BC`);
    assertBytes(await play("c"), up.bytes("c"));
    expect((await fetch(`${url}/stream/c`)).status).toBe(403);
    expect(() => proxy.urlFor("")).toThrow(AfterbayError);
  });

  test("leaves nothing listening where an option is wrong, and does not open to others without a token", async () => {
    const { port } = await proxy.listen();
    await proxy.close();
    await expect(proxy.listen()).rejects.toThrow("closing");
    proxy = await open();
    await expect(proxy.listen({ port, allowOrigins: ["everyone"] })).rejects.toThrow("Not an origin");
    await expect(proxy.listen({ host: "0.0.0.0" })).rejects.toThrow("token");
    expect((await proxy.listen({ port })).port).toBe(port);
  });
});

describe("handle", () => {
  let app: Server | undefined;
  afterEach(() => app?.close().closeAllConnections());

  async function mount(id: string, source?: string): Promise<number> {
    app = createServer((req, res) => void proxy.handle(req, res, id, source));
    await new Promise<void>((done) => app?.listen(0, "127.0.0.1", done));
    return (app.address() as AddressInfo).port;
  }

  test.each(["", "a\nb", "x".repeat(201), "\ud800"])("answers 400 for %j, which is no id", async (id) => {
    const { status, headers, body } = await request({ port: await mount(id) });
    expect([status, headers["content-type"]]).toEqual([400, "application/problem+json"]);
    expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ code: "bad-request" });
  });

  test.each([
    ["no such track", "nobody", undefined, "GET", 404],
    ["what can never play", "never", undefined, "GET", 410],
    ["no source's name", "a", "../x", "GET", 400],
    ["no such source", "a", "other", "GET", 404],
    ["another method", "a", undefined, "POST", 405],
  ])("answers %s", async (_, id, source, method, status) => {
    expect((await request({ port: await mount(id, source), method })).status).toBe(status);
  });

  test("reads quality and offline from the URL, whatever its path, and asks nobody for Host or token", async () => {
    const port = await mount("c");
    const host = { host: "elsewhere.example", origin: "https://elsewhere.example" };
    expect((await request({ port, path: "/any/where?offline=1", headers: host })).status).toBe(504);
    expect((await request({ port, path: "/?quality=best" })).status).toBe(400);
    assertBytes((await request({ port, path: "/any/where", headers: host })).body, up.bytes("c"));
  });

  test("does not reject for a response that was answered already, or once it is closed", async () => {
    app = createServer((req, res) => {
      res.writeHead(200, { "content-length": "2" }).write("o");
      void proxy.handle(req, res, "a").then(() => handled.push("resolved"));
    });
    const handled: string[] = [];
    await new Promise<void>((done) => app?.listen(0, "127.0.0.1", done));
    const { port } = app.address() as AddressInfo;
    await request({ port }).catch(() => {});
    await eventually(() => expect(handled).toEqual(["resolved"]));
    await proxy.close();
    app.close().closeAllConnections();
    expect((await request({ port: await mount("a") })).status).toBe(503);
  });
});

describe("events", () => {
  test("chunk tells once of each chunk and where it came from; track when a track is whole", async () => {
    await proxy.listen();
    const chunks = told("chunk");
    const changes = told("track");
    assertBytes(await play("a"), up.bytes("a"));
    const fresh = chunks.splice(0);
    expect(fresh.filter(({ from }) => from === "upstream").map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(new Set(fresh.map(({ key }) => key))).toEqual(new Set(["music/a"]));
    await eventually(() => expect(changes).toContainEqual({ key: "music/a", change: "complete" }));
    await proxy.close();
    proxy = await open();
    await proxy.listen();
    const kept = told("chunk");
    assertBytes(await play("a", { range: `bytes=${MiB - 10}-` }), up.bytes("a", MiB - 10));
    expect(kept).toEqual([1, 2, 3].map((index) => ({ key: "music/a", index, from: "disk" })));
  });

  test("a listener that throws or rejects breaks nothing, and one that was taken off hears nothing", async () => {
    const lines: string[] = [];
    const quiet = (): void => {};
    await proxy.close();
    proxy = await open({ log: { debug: quiet, info: quiet, warn: quiet, error: (_, line) => lines.push(line) } });
    await proxy.listen();
    proxy.on("chunk", () => {
      throw new Error("Mine");
    });
    proxy.on("track", () => Promise.reject(new Error("Mine too")) as unknown as void);
    const chunks = told("chunk");
    const off: unknown[] = [];
    const listener = (event: unknown): void => void off.push(event);
    proxy.on("chunk", listener);
    proxy.off("chunk", listener);
    assertBytes(await play("b"), up.bytes("b"));
    expect(chunks.length).toBeGreaterThan(0);
    expect(off).toEqual([]);
    expect(new Set(lines)).toEqual(new Set(["A listener failed"]));
    expect(() => proxy.on("chunks" as "chunk", quiet)).toThrow("no event");
  });
});

describe("prefetch and pins", () => {
  test("prefetch resolves when all are cached or failed; what is cached then plays with no network", async () => {
    await proxy.listen();
    const fetched = await proxy.prefetch(["b", "nobody", "c", "", "never"]);
    expect(fetched).toEqual([
      { id: "b", state: "cached" },
      { id: "nobody", state: "failed", code: "not-found" },
      { id: "c", state: "cached" },
      { id: "", state: "failed", code: "bad-request" },
      { id: "never", state: "failed", code: "unplayable" },
    ]);
    await up.goOffline();
    assertBytes(await play("b"), up.bytes("b"));
    assertBytes(await play("c"), up.bytes("c"));
    expect(await proxy.prefetch(["b"])).toEqual([{ id: "b", state: "cached" }]);
    expect(await proxy.prefetch([])).toEqual([]);
  });

  test("mode head fetches the first chunk", async () => {
    const { port } = await proxy.listen();
    expect(await proxy.prefetch(["a"], { mode: "head" })).toEqual([{ id: "a", state: "cached" }]);
    const head = await request({ port, path: "/stream/a?offline=1", headers: { range: "bytes=0-524287" } });
    assertBytes(head.body, up.bytes("a", 0, 524_288));
    expect((await request({ port, path: "/stream/a?offline=1" })).status).toBe(504);
  });

  test("a whole track is waited for, also where another list wants its head alone", async () => {
    const { url, port } = await proxy.listen();
    const whole = proxy.prefetch(["b", "a"]);
    const body = JSON.stringify({ ids: ["music/a", "music/b"], mode: "head" });
    await fetch(`${url}/api/prefetch?list=page`, {
      method: "PUT",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(await whole).toEqual([
      { id: "b", state: "cached" },
      { id: "a", state: "cached" },
    ]);
    assertBytes((await request({ port, path: "/stream/a?offline=1" })).body, up.bytes("a"));
  });

  test("an abort, or close, rejects and stops fetching; cancelPrefetch lets the others go on", async () => {
    up.script("a", STALLS);
    const controller = new AbortController();
    const aborted = proxy.prefetch(["a"], { signal: controller.signal });
    await eventually(() => expect(up.requests("a").length).toBeGreaterThan(0));
    controller.abort(new Error("Changed my mind"));
    await expect(aborted).rejects.toThrow("Changed my mind");
    await expect(proxy.prefetch(["b"], { signal: AbortSignal.abort() })).rejects.toThrow();
    const both = proxy.prefetch(["a", "b"]);
    await eventually(() => expect(up.requests("b").length + up.requests("a").length).toBeGreaterThan(1));
    proxy.cancelPrefetch("a");
    expect(await both).toEqual([
      { id: "a", state: "cancelled" },
      { id: "b", state: "cached" },
    ]);
    const left = expect(proxy.prefetch(["a"])).rejects.toMatchObject({ name: "AbortError" });
    await proxy.close();
    await left;
  });

  test("pin fetches and keeps through every eviction; unpin lets go", async () => {
    await proxy.pin("c");
    await proxy.pin("c");
    const changes = told("track");
    await eventually(async () => expect(changes).toContainEqual({ key: "music/c", change: "complete" }), {
      timeoutMs: 5000,
    });
    await expect(proxy.pin("nobody")).rejects.toMatchObject({ code: "not-found" });
    proxy.cacheSize = MiB;
    await expect(proxy.pin("a")).rejects.toMatchObject({ code: "no-space" });
    expect(await proxy.unpin("c")).toBe(true);
    expect(await proxy.unpin("c")).toBe(false);
    expect(() => proxy.cancelPrefetch("")).toThrow(AfterbayError);
  });
});

describe("cacheSize and close", () => {
  test("lowering the size evicts at once what is not in use, and tells of it", async () => {
    await proxy.prefetch(["b"]);
    await proxy.prefetch(["c"]);
    await proxy.close();
    proxy = await open({ cacheSize: "200M" });
    expect(proxy.cacheSize).toBe(200 * MiB);
    const evicted = told("evict");
    proxy.cacheSize = 700_000;
    await eventually(() =>
      expect(evicted).toEqual([{ key: "music/b", bytes: expect.closeTo(MiB, -4) as number, reason: "budget" }]),
    );
    expect(() => {
      proxy.cacheSize = -1;
    }).toThrow(ConfigError);
    expect(await proxy.prefetch(["c"])).toEqual([{ id: "c", state: "cached" }]);
  });

  test("close can be called again, and lets another have the directory; await using closes", async () => {
    await proxy.listen();
    await Promise.all([proxy.close(), proxy.close()]);
    await proxy.close();
    {
      await using other = await open();
      await other.listen();
    }
    proxy = await open();
  });
});
