import { once, setMaxListeners } from "node:events";
import { readdir } from "node:fs/promises";
import { connect as connectSocket, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { connect, type RawRequest, type RawResponse } from "../helpers/http-client.ts";
import { eventually, openFiles, openSockets } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
const SIZE = 1_300_123;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

/** What a GET and a HEAD of the same thing have in common. */
function described({ status, headers }: RawResponse): object {
  const { date: _date, "server-timing": _timing, "transfer-encoding": _framing, ...rest } = headers;
  return { status, ...rest };
}

/** A number in [0, below), the same ones in each run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("C1: HEAD", () => {
  test("of a known track has GET's headers, and costs neither the upstream nor the resolver anything", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("w/song", { headers: { range: "bytes=0-9999" } });
    await rig.up.waitIdle();
    rig.up.reset();
    const head = await rig.get("w/song", { method: "HEAD" });
    expect(rig.up.requests()).toHaveLength(0);
    expect(rig.hook.calls()).toHaveLength(0);
    expect(head.body).toHaveLength(0);
    expect(head.extraBytes).toBe(0);
    const get = await rig.get("w/song");
    expect(described(head)).toEqual(described(get));
    expect(head.headers["content-length"]).toBe(String(SIZE));
    expect(described(await rig.get("w/song", { method: "HEAD" }))).toEqual(described(await rig.get("w/song")));
  });

  test("of an unknown track learns its headers, and stops what it started", async () => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ do: { pace: 200_000 } }]);
    const head = await rig.get("song", { method: "HEAD" });
    expect(head.headers).toMatchObject({ "content-length": String(SIZE), "content-type": "audio/webm" });
    await eventually(() => expect(rig.up.live()).toBe(0), { timeoutMs: 500 });
    expect(rig.up.bytesSent()).toBeLessThan(100_000);
    rig.up.script("song", []);
    const get = await rig.get("song");
    assertBytes(get.body, rig.up.bytes("song"));
    expect(get.headers["etag"]).toBe(head.headers["etag"]);
  });

  test("takes no notice of Range, and its errors have no body", async () => {
    rig.up.resource("song", { size: SIZE });
    const connection = await connect({ port: rig.port });
    for (const [path, status] of [
      ["/stream/song", 200],
      ["/stream/none", 404],
      ["/stream/a/b/c", 400],
      ["/nothing", 404],
    ] as const) {
      const head = await connection.request({ method: "HEAD", path, headers: { range: "bytes=5-9" } });
      expect([path, head.status]).toEqual([path, status]);
    }
    connection.destroy();
  });
});

/** [the Range header, first byte, exclusive end], or the status where it is not 206. */
const FORMS: readonly (readonly [string, number, number] | readonly [string, 200 | 416])[] = [
  ["bytes=0-1", 0, 2],
  ["bytes=0-0", 0, 1],
  ["bytes=0-", 0, SIZE],
  ["bytes=700000-", 700_000, SIZE],
  ["BYTES=1000000-1000009", 1_000_000, 1_000_010],
  [`bytes=1200000-${SIZE + 999}`, 1_200_000, SIZE],
  ["bytes=1200000-99999999999999999999", 1_200_000, SIZE],
  [`bytes=${SIZE - 1}-`, SIZE - 1, SIZE],
  [`bytes=${SIZE}-`, 416],
  ["bytes=99999999999999999999-", 416],
  ["bytes=5-2", 200],
  ["items=0-1", 200],
  ["garbage", 200],
  ["bytes=", 200],
  ["bytes=-500", SIZE - 500, SIZE],
  ["bytes=-0", 416],
  [`bytes=-${SIZE + 1}`, 0, SIZE],
  ["bytes=0-1, 4-5", 200],
  [`bytes=${Array.from({ length: 1000 }, (_, n) => `${n}-${n}`).join(",")}`, 200],
];

function assertForm(got: RawResponse, form: (typeof FORMS)[number], name: string): void {
  const [range, start, end] = form;
  const label = `${range.slice(0, 40)} of ${name}`;
  if (end === undefined) {
    expect([label, got.status]).toEqual([label, start]);
    if (start === 200) assertBytes(got.body, rig.up.bytes(name));
    else {
      expect(got.headers["content-range"]).toBe(`bytes */${SIZE}`);
      expect(got.body).toHaveLength(0);
    }
    return;
  }
  expect([label, got.status]).toEqual([label, 206]);
  expect(got.headers["content-range"]).toBe(`bytes ${start}-${end - 1}/${SIZE}`);
  expect(got.headers["content-length"]).toBe(String(end - start));
  assertBytes(got.body, rig.up.bytes(name, start, end));
}

describe("C2: every form of Range", () => {
  test("on cold tracks", async () => {
    for (const [n, form] of FORMS.entries()) {
      rig.up.resource(`cold-${n}`, { size: SIZE });
      assertForm(await rig.get(`cold-${n}`, { headers: { range: form[0] } }), form, `cold-${n}`);
    }
  });

  test("on partly cached tracks", async () => {
    for (const [n, form] of FORMS.entries()) {
      const name = `part-${n}`;
      rig.up.resource(name, { size: SIZE });
      await rig.get(name, { headers: { range: "bytes=900000-900099" } });
      await rig.get(name, { headers: { range: "bytes=0-50000" } });
      assertForm(await rig.get(name, { headers: { range: form[0] } }), form, name);
    }
  });

  test("on a complete track, which asks the upstream nothing", async () => {
    rig.up.resource("song", { size: SIZE });
    await rig.get("song");
    rig.up.reset();
    for (const form of FORMS) {
      const got = await rig.get("song", { headers: { range: form[0] } });
      assertForm(got, form, "song");
      if (got.status !== 416) expect(got.headers["cache-status"]).toBe("afterbay; hit");
    }
    expect(rig.up.requests()).toHaveLength(0);
  });

  test("on a track of unknown size: the whole, without a claim that cannot be kept, until the size is learned", async () => {
    for (const [n, form] of FORMS.entries()) {
      rig.up.resource(`endless-${n}`, { size: 200_000, unknownLength: true, etag: "none" });
      const got = await rig.get(`endless-${n}`, { headers: { range: form[0] } });
      expect([form[0].slice(0, 40), got.status]).toEqual([form[0].slice(0, 40), 200]);
      expect(got.headers["transfer-encoding"]).toBe("chunked");
      for (const name of ["content-length", "accept-ranges", "etag"]) expect(got.headers).not.toHaveProperty(name);
      assertBytes(got.body, rig.up.bytes(`endless-${n}`));
    }
    const known = await rig.get("endless-0", { headers: { range: "bytes=1000-1999" } });
    expect(known.status).toBe(206);
    assertBytes(known.body, rig.up.bytes("endless-0", 1000, 2000));
  });

  test("on tracks of 0 and of 1 byte", async () => {
    rig.up.resource("none", { size: 0 });
    rig.up.resource("one", { size: 1 });
    const none = await rig.get("none");
    expect([none.status, none.headers["content-length"], none.body.length]).toEqual([200, "0", 0]);
    expect((await rig.get("none", { headers: { range: "bytes=0-" } })).status).toBe(416);
    const one = await rig.get("one", { headers: { range: "bytes=0-1" } });
    expect([one.status, one.headers["content-range"]]).toEqual([206, "bytes 0-0/1"]);
    assertBytes(one.body, rig.up.bytes("one"));
  });
});

test("C3: over one connection, 120 answers of all kinds each end where they say", async () => {
  rig.up.resource("song", { size: SIZE });
  const { etag = "" } = (await rig.get("song")).headers;
  rig.up.resource("other", { size: 3 * MiB });
  const kinds: readonly (RawRequest & { expected: number })[] = [
    { path: "/stream/song", expected: 200 },
    { path: "/stream/song", method: "HEAD", expected: 200 },
    { path: "/stream/song", headers: { range: "bytes=1000-70000" }, expected: 206 },
    { path: "/stream/song", headers: { range: "bytes=-9" }, expected: 206 },
    { path: "/stream/song", headers: { range: `bytes=${SIZE}-` }, expected: 416 },
    { path: "/stream/song", headers: { "if-none-match": etag }, expected: 304 },
    { path: "/stream/song", method: "HEAD", headers: { "if-none-match": etag }, expected: 304 },
    { path: "/stream/song", headers: { "if-match": '"other"' }, expected: 412 },
    { path: "/stream/missing", expected: 404 },
    { path: "/stream/missing", method: "HEAD", expected: 404 },
    { path: "/stream/other?offline=1", headers: { range: "bytes=3000000-" }, expected: 504 },
    { path: "/stream/other", headers: { range: "bytes=0-99" }, expected: 206 },
    { path: "/api/tracks", method: "PUT", requestBody: "{}", expected: 405 },
    { path: "/ping", expected: 200 },
    { path: "/", method: "HEAD", expected: 200 },
  ];
  // Each miss of what does not exist is three resolves, and a track has twenty a minute.
  const pick = random(3);
  const often = kinds.filter(({ expected }) => expected !== 404);
  const connection = await connect({ port: rig.port });
  for (let n = 0; n < 120; n += 1) {
    const { expected, ...asked } = (n < kinds.length ? kinds[n] : often[pick(often.length)]) ?? { expected: 0 };
    const got = await connection.request(asked);
    const bodiless = asked.method === "HEAD";
    expect([asked, got.status, got.closed]).toEqual([asked, expected, false]);
    if (expected !== 304) {
      expect(got.headers["content-length"]).toBeDefined();
      if (!bodiless) expect(got.body).toHaveLength(Number(got.headers["content-length"]));
    }
  }
  connection.destroy();
});

test("C4: nothing is compressed, and no icy metadata is passed on or sent", async () => {
  rig.up.resource("song", { size: SIZE });
  rig.up.script("song", [{ do: { headers: { "icy-name": "radio", "icy-metaint": "16000", "set-cookie": "a=b" } } }]);
  const headers = { "accept-encoding": "gzip, br, deflate", "icy-metadata": "1", cookie: "secret=1" };
  const got = await rig.get("song", { headers });
  assertBytes(got.body, rig.up.bytes("song"));
  expect(Object.keys(got.headers).filter((name) => /icy|encoding|set-cookie/.test(name))).toEqual([]);
  for (const asked of rig.up.requests("song")) {
    expect(asked.headers["accept-encoding"]).toBe("identity");
    expect(Object.keys(asked.headers)).not.toEqual(expect.arrayContaining(["icy-metadata"]));
    expect(asked.headers).not.toHaveProperty("cookie");
  }
});

test("C5: 200 aborts at random places: what was kept is exact, and sockets and file handles come back", async () => {
  const names = ["one", "two", "three", "four"];
  for (const name of names) rig.up.resource(name, { size: 3 * MiB });
  const pick = random(5);
  await rig.get("one", { readBytes: 1000 });
  await eventually(() => expect(rig.up.live()).toBe(0));
  await delay(50);
  const clientSockets = (): number => openSockets() - 2 * rig.up.connections.open;
  const trackFiles = (): number => (openFiles() ?? []).filter((path) => path.startsWith(rig.cacheDir)).length;
  const before = { sockets: clientSockets() };
  const abort = async (): Promise<void> => {
    const name = names[pick(4)] ?? "";
    const start = pick(2) === 0 ? 0 : pick(3 * MiB - 1);
    const readBytes = pick(3) === 0 ? pick(2000) : pick(600_000);
    const gone = new AbortController();
    const beforeTheHead = pick(10) === 0;
    if (beforeTheHead) setTimeout(() => gone.abort(), pick(4));
    const got = await rig
      .get(name, { headers: { range: `bytes=${start}-` }, readBytes, signal: gone.signal })
      .catch((error: unknown) => {
        if (!beforeTheHead) throw error;
      });
    if (got !== undefined) assertBytes(got.body, rig.up.bytes(name, start, start + got.body.length));
  };
  for (let round = 0; round < 25; round += 1) await Promise.all(Array.from({ length: 8 }, abort));
  await eventually(
    () => {
      expect(clientSockets()).toBeLessThanOrEqual(before.sockets);
      expect(rig.up.live()).toBe(0);
      expect(rig.up.connections.open).toBeLessThanOrEqual(8);
      // The index's own.
      expect(trackFiles()).toBeLessThanOrEqual(1);
    },
    { timeoutMs: 3000 },
  );
  await rig.restart();
  for (const name of names) {
    const { spans } = (await rig.json(`/api/tracks/u/${name}`)) as { spans: [number, number][] };
    expect(spans.length).toBeGreaterThan(0);
    for (const [start, end] of spans) {
      const got = await rig.get(`${name}?offline=1`, { headers: { range: `bytes=${start}-${end - 1}` } });
      assertBytes(got.body, rig.up.bytes(name, start, end));
    }
  }
});

describe("C6: slow readers", () => {
  test("100 of them at 20 KB/s cost little memory", async () => {
    rig.up.resource("song", { size: 4 * MiB });
    await rig.get("song", { readBytes: 10 });
    const used = (): number => {
      const { heapUsed, arrayBuffers, external } = process.memoryUsage();
      return heapUsed + Math.max(arrayBuffers, external);
    };
    const before = used();
    const gone = new AbortController();
    setMaxListeners(0, gone.signal);
    const readers = Array.from({ length: 100 }, () =>
      rig.get("song", { rate: 20_000, signal: gone.signal }).catch(() => undefined),
    );
    let peak = 0;
    for (let n = 0; n < 15; n += 1) {
      await delay(100);
      peak = Math.max(peak, used() - before);
    }
    expect(await rig.get("song", { headers: { range: "bytes=4000000-4000009" } })).toMatchObject({ status: 206 });
    gone.abort(new Error("enough"));
    await Promise.all(readers);
    // Both ends are in this process: a piece on its way out, and what the client's stream took in.
    expect(peak).toBeLessThan(64 * MiB);
  });

  test("one that stops holds nothing up, and gets a fresh URL when it goes on", async () => {
    rig.up.resource("song", { size: 24 * MiB, signed: true });
    const reader = connectSocket({ port: rig.port, host: "127.0.0.1" });
    await once(reader, "connect");
    reader.write("GET /stream/w/song HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    reader.pause();
    let sent = -1;
    await eventually(
      () => {
        const now = rig.up.bytesSent();
        const settled = now > MiB && now === sent && rig.up.live() === 0;
        sent = now;
        expect(settled).toBe(true);
      },
      { timeoutMs: 5000, intervalMs: 200 },
    );
    expect(sent).toBeLessThan(20 * MiB);
    rig.up.expire("song");
    const all = await readAll(reader);
    const body = all.subarray(all.indexOf("\r\n\r\n") + 4);
    assertBytes(body, rig.up.bytes("song"));
    expect(rig.hook.calls("song").map(({ reason }) => reason)).toEqual(["first", "forbidden"]);
  });
});

async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => parts.push(bytes));
  socket.resume();
  await once(socket, "close");
  return Buffer.concat(parts);
}

describe("C8: a failure after the headers", () => {
  test("destroys the socket; the body is a strict prefix of the truth", async () => {
    rig.up.resource("song", { size: SIZE });
    rig.up.script("song", [{ do: { wall: 500_000 } }]);
    const got = await rig.get("song");
    expect([got.status, got.complete, got.closed]).toEqual([200, false, true]);
    expect(got.body.length).toBeGreaterThan(0);
    assertBytes(got.body, rig.up.bytes("song", 0, 500_000));
  });

  test("of an unknown size never looks like an end, not even to HTTP/1.0", async () => {
    rig.up.resource("song", { size: SIZE, unknownLength: true, etag: "none" });
    rig.up.script("song", [
      { when: { request: 1 }, do: { close: 400_000 } },
      { when: { request: { from: 2 } }, do: { status: 403 } },
    ]);
    const chunked = await rig.get("song");
    expect([chunked.status, chunked.complete, chunked.closed]).toEqual([200, false, true]);
    assertBytes(chunked.body, rig.up.bytes("song", 0, chunked.body.length));

    rig.up.resource("older", { size: SIZE, unknownLength: true, etag: "none" });
    rig.up.script("older", [
      { when: { request: 1 }, do: { close: 400_000 } },
      { when: { request: { from: 2 } }, do: { status: 403 } },
    ]);
    const socket = connectSocket({ port: rig.port, host: "127.0.0.1" });
    socket.write("GET /stream/older HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    socket.resume();
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });
});

describe("unusual clients", () => {
  /** Sends text as it is; resolves with what came until the server ended the connection. */
  async function raw(text: string, { end = false } = {}): Promise<string> {
    const socket = connectSocket({ port: rig.port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.write(text);
    if (end) socket.end();
    return (await readAll(socket)).toString("latin1");
  }

  const head = (answer: string): string => answer.slice(0, answer.indexOf("\r\n\r\n"));
  const body = (answer: string): Uint8Array => Buffer.from(answer.slice(head(answer).length + 4), "latin1");

  beforeEach(() => rig.up.resource("song", { size: 300_000 }));

  test("HTTP/1.0 gets a length, or a body that ends with the connection", async () => {
    const known = await raw("GET /stream/song HTTP/1.0\r\n\r\n");
    expect(head(known)).toContain("content-length: 300000");
    assertBytes(body(known), rig.up.bytes("song"));
    rig.up.resource("radio", { size: 300_000, unknownLength: true, etag: "none" });
    const unknown = await raw("GET /stream/radio HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    expect(head(unknown)).not.toMatch(/transfer-encoding|content-length/i);
    assertBytes(body(unknown), rig.up.bytes("radio"));
  });

  test("pipelined requests are answered in order; what a client that left had asked for is let go", async () => {
    const one = "GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=0-9\r\n\r\n";
    const two = "GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    const answers = await raw(one + one + two);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 206", "HTTP/1.1 206", "HTTP/1.1 200"]);
    expect(answers.endsWith("pong")).toBe(true);

    for (const name of ["first", "second"]) rig.up.resource(name, { size: 8 * MiB });
    rig.up.script("*", [{ do: { stall: 300_000 } }]);
    const socket = connectSocket({ port: rig.port, host: "127.0.0.1" });
    socket.on("error", () => {});
    for (const name of ["first", "second"]) socket.write(`GET /stream/${name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    await eventually(() => expect(rig.up.stalled()).toBe(2));
    // By now the second answer waits for its turn, with bytes written.
    await delay(50);
    socket.destroy();
    rig.up.script("*", []);
    rig.up.release();
    await eventually(() => expect(rig.up.live()).toBe(0));
    // A reading that nobody takes part in any more would keep its track in use, and DELETE from freeing its files.
    for (const name of ["first", "second"]) {
      expect((await rig.get(name, { path: `/api/tracks/u/${name}`, method: "DELETE" })).status).toBe(204);
    }
    const kept = async (): Promise<string[]> => {
      const names = await readdir(rig.cacheDir, { recursive: true });
      return names.filter((name) => name.endsWith(".data"));
    };
    await rig.get(`song`, { path: "/api/tracks/u/song", method: "DELETE" });
    await eventually(async () => expect(await kept()).toEqual([]));
  });

  test("a client that closes its side has left", async () => {
    rig.up.script("song", [{ do: { stall: 10 } }]);
    const began = performance.now();
    await raw("GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", { end: true });
    expect(performance.now() - began).toBeLessThan(1000);
    await eventually(() => expect(rig.up.live()).toBe(0));
  });

  test("Expect, absolute targets, Upgrade and long addresses do no harm", async () => {
    const close = "Host: 127.0.0.1\r\nConnection: close\r\n";
    const expecting = await raw(`GET /stream/song HTTP/1.1\r\n${close}Expect: 100-continue\r\n\r\n`);
    expect(expecting.slice(0, 60)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(head(await raw(`GET http://127.0.0.1/stream/song HTTP/1.1\r\n${close}\r\n`))).toMatch(/^HTTP\/1\.1 200/);
    expect(
      head(
        await raw(`GET http://evil.example/stream/song HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`),
      ),
    ).toMatch(/^HTTP\/1\.1 403/);
    const upgrade = "Host: 127.0.0.1\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n";
    expect(head(await raw(`GET /stream/song HTTP/1.1\r\n${upgrade}\r\n`))).toMatch(/^HTTP\/1\.1 200/);
    expect(head(await raw(`GET /stream/${"x".repeat(8000)} HTTP/1.1\r\n${close}\r\n`))).toMatch(/^HTTP\/1\.1 400/);
    expect(head(await raw(`GET /stream/${"x".repeat(40_000)} HTTP/1.1\r\n${close}\r\n`))).toMatch(/^HTTP\/1\.1 431/);
    expect(head(await raw(`OPTIONS * HTTP/1.1\r\n${close}\r\n`))).toMatch(/^HTTP\/1\.1 404/);
    expect(head(await raw("GARBAGE\r\n\r\n"))).toMatch(/^HTTP\/1\.1 400/);
    expect(head(await raw(`CONNECT evil.example:80 HTTP/1.1\r\n${close}\r\n`))).toBe("");
  });

  test("many requests on one connection leave no listener behind", async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error): unknown => warnings.push(warning);
    process.on("warning", listen);
    const connection = await connect({ port: rig.port });
    for (let n = 0; n < 40; n += 1) {
      expect(
        (await connection.request({ path: "/stream/song", headers: { range: `bytes=${n}-${n + 99}` } })).status,
      ).toBe(206);
    }
    connection.destroy();
    await raw(
      `${"GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(39)}GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
    );
    await delay(10);
    process.off("warning", listen);
    expect(warnings).toEqual([]);
  });

  test("a type that no header can hold, or that a browser would show, goes out as plain bytes", async () => {
    const types = {
      'audio/webm; codecs="opus"': 'audio/webm; codecs="opus"',
      "audio/flac;q=1 ; x=y": "audio/flac;q=1 ; x=y",
      "application/ogg": "application/ogg",
      "audio/webm; title=“☃”": "application/octet-stream",
      "image/svg+xml": "application/octet-stream",
      "multipart/x-mixed-replace; boundary=x": "application/octet-stream",
      "audio/webm, text/html": "application/octet-stream",
    };
    for (const [n, [given, served]] of Object.entries(types).entries()) {
      rig.up.resource(`typed-${n}`, { size: 10, contentType: Buffer.from(given).toString("latin1") });
      const got = await rig.get(`typed-${n}`);
      expect([got.status, got.headers["content-type"]]).toEqual([200, served]);
    }
  });

  test("a server that closes lets no live stream hold it up", async () => {
    rig.up.resource("long", { size: 8 * MiB });
    rig.up.script("long", [{ do: { pace: 500_000 } }]);
    const streams = Array.from({ length: 20 }, () => rig.get("long").catch(() => undefined));
    await eventually(() => expect(rig.up.live()).toBeGreaterThan(0));
    await delay(100);
    const began = performance.now();
    await rig.proxy.close();
    expect(performance.now() - began).toBeLessThan(1500);
    for (const got of await Promise.all(streams)) {
      if (got !== undefined) assertBytes(got.body, rig.up.bytes("long", 0, got.body.length));
    }
  });
});
