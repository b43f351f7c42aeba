import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { createProxy } from "../../src/proxy.ts";
import { createUrlResolver } from "../../src/resolvers/url.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { eventually, tmpDir } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const MiB = 1024 ** 2;
let rig: Rig;
afterEach(() => rig.close());

function codeOf(body: Uint8Array): string {
  return (JSON.parse(Buffer.from(body).toString()) as { code: string }).code;
}

describe("A1: who may come in", () => {
  beforeEach(async () => {
    rig = await startRig();
    rig.up.resource("song", { size: 100_000 });
    await rig.get("song");
  });

  test.each(["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"])(
    "a foreign Host (%s) is refused everywhere",
    async (host) => {
      for (const path of ["/", "/ping", "/api/tracks", "/stream/song"]) {
        const got = await request({ port: rig.port, path, headers: { host } });
        expect([path, got.status, codeOf(got.body)]).toEqual([path, 403, "forbidden"]);
      }
    },
  );

  test("a foreign Origin changes nothing", async () => {
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1", `http://localhost:${rig.port + 1}`]) {
      const headers = { origin };
      const got = await request({ port: rig.port, path: "/api/tracks/u/song", method: "DELETE", headers });
      expect([origin, got.status]).toEqual([origin, 403]);
    }
    expect((await rig.get("song?offline=1")).status).toBe(200);
    const own = { origin: `http://127.0.0.1:${rig.port}` };
    const got = await request({ port: rig.port, path: "/api/tracks/u/song", method: "DELETE", headers: own });
    expect(got.status).toBe(204);
  });

  test("a page of another site can not play from here, and costs the upstream nothing", async () => {
    rig.up.resource("other", { size: 1000 });
    const cases: readonly Record<string, string>[] = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
    ];
    for (const headers of cases) {
      const got = await rig.get("other", { headers });
      expect([got.status, codeOf(got.body)]).toEqual([403, "forbidden"]);
      expect(got.headers).not.toHaveProperty("access-control-allow-origin");
    }
    expect(rig.up.requests("other")).toHaveLength(0);
    expect((await rig.get("other", { headers: { "sec-fetch-site": "same-origin" } })).status).toBe(200);
  });
});

test("A1: an allowed origin may, and errors carry its CORS headers too", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 1000 });
  const { url } = await rig.proxy.listen({ port: 0, allowOrigins: ["https://app.example"] });
  const port = Number(new URL(url).port);
  const headers = { origin: "https://app.example", "sec-fetch-site": "cross-site" };
  for (const [path, status] of [
    ["/stream/song", 200],
    ["/stream/none", 404],
  ] as const) {
    const got = await request({ port, path, headers });
    expect(got.status).toBe(status);
    expect(got.headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(got.headers["access-control-expose-headers"]).toContain("Content-Range");
    expect(got.headers["vary"]).toBe("Origin");
  }
});

describe("A2: a server that others can reach", () => {
  beforeEach(async () => {
    rig = await startRig();
  });

  test.each(["0.0.0.0", "::", "", "192.0.2.1"])("on %j is refused without a token", async (host) => {
    await expect(rig.proxy.listen({ host })).rejects.toThrow("--token");
    await expect(rig.proxy.listen({ host, token: "" })).rejects.toThrow("--token");
  });

  test("asks everybody for it, in any of three places", async () => {
    rig.up.resource("song", { size: 1000 });
    const { url } = await rig.proxy.listen({ host: "0.0.0.0", token: "s3cret é" });
    const port = Number(new URL(url).port);
    const ask = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
      (await request({ port, path, headers: { host: `127.0.0.1:${port}`, ...headers } })).status;
    for (const path of ["/", "/api/tracks", "/stream/song", "/healthz"]) expect(await ask(path)).toBe(403);
    expect(await ask("/ping")).toBe(200);
    const encoded = encodeURIComponent("s3cret é");
    expect(await ask(`/stream/song?token=${encoded}`)).toBe(200);
    expect(await ask("/stream/song", { cookie: `afterbay_token=${encoded}` })).toBe(200);
    expect(await ask("/stream/song", { authorization: "Bearer wrong" })).toBe(403);
    const page = await request({ port, path: `/?token=${encoded}`, headers: { host: `127.0.0.1:${port}` } });
    expect(page.headers["set-cookie"]).toMatch(/HttpOnly; SameSite=Strict$/);
    expect(page.headers["referrer-policy"]).toBe("no-referrer");
    expect(Buffer.from(page.body).toString()).not.toContain("s3cret");
  });
});

describe("A3: where bytes may come from", () => {
  let other: Upstream;
  beforeEach(async () => {
    other = await startUpstream();
    other.resource("song", { size: 1000 });
  });
  afterEach(() => other.close());

  const refused = async (options: Parameters<typeof startRig>[0], id = "w/song"): Promise<void> => {
    rig = await startRig(options);
    rig.up.resource("song", { size: 1000 });
    const got = await rig.get(id);
    expect([got.status, codeOf(got.body)]).toEqual([502, "upstream-failed"]);
    expect(Buffer.from(got.body).toString()).not.toMatch(/127\.0\.0\.1|localhost|169\.254/);
    expect(other.connections.total).toBe(0);
  };

  test("a resolution to another loopback port is refused", () =>
    refused({ resolve: () => ({ url: other.url("song") }) }));

  test("a resolution to a name of this machine is refused", () =>
    refused({ resolve: () => ({ url: other.url("song").replace("127.0.0.1", "localhost") }) }));

  test.each(["10.0.0.1", "192.168.1.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0", "169.254.169.254"])(
    "a resolution to %s is refused",
    (host) => refused({ resolve: () => ({ url: `http://${host}:${other.port}/song` }) }),
  );

  test.each(["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])(
    "link-local %s is refused even with --allow-private",
    (host) => refused({ allowPrivate: true, resolve: () => ({ url: `http://${host}/song` }) }),
  );

  test("a redirect there is refused, wherever it begins", async () => {
    rig = await startRig();
    rig.up.resource("song", { size: 1000 });
    rig.up.script("song", [{ do: { redirect: { to: other.url("song") } } }]);
    for (const path of ["song", "w/song"]) {
      const got = await rig.get(path);
      expect([got.status, codeOf(got.body)]).toEqual([502, "upstream-failed"]);
    }
    expect(other.connections.total).toBe(0);
  });

  test("--allow-private lets it through, and a source's own host is exempt", async () => {
    rig = await startRig({ allowPrivate: true, resolve: () => ({ url: other.url("song") }) });
    assertBytes((await rig.get("w/song")).body, other.bytes("song"));
    await rig.close();
    rig = await startRig();
    rig.up.resource("song", { size: 1000 });
    assertBytes((await rig.get("song")).body, rig.up.bytes("song"));
  });
});

describe("A4: exhaustion", () => {
  const open = async (): Promise<Socket> => {
    const socket = connectSocket({ port: rig.port, host: "127.0.0.1" });
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };

  test("5,000 idle sockets and slow headers: others play on, and the idle are let go after 10 s", {
    timeout: 45_000,
  }, async () => {
    rig = await startRig();
    rig.up.resource("song", { size: 2 * MiB });
    const idle: Socket[] = [];
    while (idle.length < 5000) idle.push(await open());
    const slow = await Promise.all(Array.from({ length: 20 }, open));
    const began = performance.now();
    let closed = 0;
    for (const socket of [...idle, ...slow]) {
      socket.resume();
      socket.on("close", () => (closed += 1));
    }
    for (const socket of slow) socket.write("GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    const trickle = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write("X-Slow: 1\r\n");
    }, 500);
    const got = await rig.get("song");
    assertBytes(got.body, rig.up.bytes("song"));
    expect(got.headersMs).toBeLessThan(1000);
    await eventually(() => expect(closed).toBe(5020), { timeoutMs: 20_000, intervalMs: 100 });
    clearInterval(trickle);
    expect(performance.now() - began).toBeGreaterThan(8000);
  });

  test("headers of 64 KiB are 431, and do not end the server", async () => {
    rig = await startRig();
    rig.up.resource("song", { size: 1000 });
    const socket = await open();
    let answer = "";
    socket.on("data", (bytes: Buffer) => (answer += bytes.toString("latin1")));
    socket.write(`GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Huge: ${"x".repeat(64 * 1024)}\r\n\r\n`);
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    const many = await request({
      port: rig.port,
      path: "/ping",
      headers: { a: Array.from({ length: 1500 }, () => "b") },
    });
    expect(many.status).toBe(200);
    expect((await rig.get("song")).status).toBe(200);
  });
});

test("A5: no token, credential or signed URL in logs or error bodies", async () => {
  const secrets = ["hunter2", "sig=", "s3cret"];
  const dir = await tmpDir();
  const resolve = (id: string): Resolution | { status: number; body?: unknown } => {
    if (id === "gone")
      return { status: 410, body: { code: "unplayable", message: "See http://u:hunter2@host/x?sig=1 for why" } };
    if (id === "bad") return { url: "file:///etc/passwd?sig=1" };
    if (id === "odd") return { status: 500, body: "sig=1 hunter2" };
    return rig.up.resolution(id, { headers: { authorization: "Bearer hunter2" } });
  };
  rig = await startRig({ resolve, firstByteMs: 300 });
  const { url } = await rig.proxy.listen({ port: 0, token: "s3cret" });
  rig.up.resource("song", { size: 1000, signed: true });
  rig.up.resource("dead", { size: 1000, signed: true });
  rig.up.script("dead", [{ do: { status: 403 } }]);
  rig.up.resource("page", { size: 1000 });
  rig.up.script("page", [{ do: { page: { contentType: "text/html", text: "hunter2 sig=1" } } }]);
  rig.up.resource("away", { size: 1000 });
  rig.up.script("away", [{ do: { redirect: { to: "http://u:hunter2@10.0.0.1/?sig=1" } } }]);
  const port = Number(new URL(url).port);
  let said = "";
  for (const id of ["song", "dead", "page", "away", "gone", "bad", "odd", "none"]) {
    const got = await request({ port, path: `/stream/w/${id}?token=s3cret` });
    if (got.status >= 400) said += Buffer.from(got.body).toString() + JSON.stringify(got.headers);
  }
  said += Buffer.from((await request({ port, path: "/stream/w/song?token=s3cret%" })).body).toString();
  said += Buffer.from((await request({ port, path: "/api/tracks?token=s3cret" })).body).toString();
  said += Buffer.from((await request({ port, path: "/?token=s3cret" })).body).toString();
  said += JSON.stringify(rig.log);
  for (const secret of secrets) expect(said.includes(secret), said.slice(0, 3000)).toBe(false);
  await dir.remove();
});

test("A5: credentials of a template reach its upstream, and nothing else", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 1000 });
  const dir = await tmpDir();
  const template = `http://user:hunter2@127.0.0.1:${rig.up.port}/{id}?apikey=9`;
  const log: object[] = [];
  const write = (fields: object): void => void log.push(fields);
  const proxy = await createProxy({
    sources: [{ key: "u", resolver: createUrlResolver(template) }],
    cacheDir: dir.path,
    cacheSize: MiB,
    validate: validateResolution,
    version: "0",
    log: { debug: write, info: write, warn: write, error: write },
    firstByteMs: 200,
  });
  const port = Number(new URL((await proxy.listen()).url).port);
  expect((await request({ port, path: "/stream/song" })).status).toBe(200);
  expect(rig.up.requests("song")[0]?.headers["authorization"]).toBe(
    `Basic ${Buffer.from("user:hunter2").toString("base64")}`,
  );
  const missing = await request({ port, path: "/stream/none" });
  const tracks = await request({ port, path: "/api/tracks" });
  const said = Buffer.concat([missing.body, tracks.body]).toString() + JSON.stringify(log);
  expect(said).not.toMatch(/hunter2|apikey|user/);
  await proxy.close();
  await dir.remove();
});
