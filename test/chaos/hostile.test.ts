import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/process.ts";
import { type ChaosRig, SONG, startChaosRig } from "./chaos-rig.ts";

let rig: ChaosRig;
let sockets: Socket[];
beforeEach(async () => {
  rig = await startChaosRig({ tracks: { song: { file: "song.bin" } } });
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  const got = await rig.get("/song");
  expect([got.status, got.body.length]).toEqual([200, SONG.length]);
  await rig.close();
  expect(rig.faults).toEqual([]);
});

/** Sends `text` as it is; what comes back until the server closes. */
async function send(text: string | Buffer): Promise<string> {
  const socket = connect({ port: rig.port, host: "127.0.0.1" });
  sockets.push(socket);
  let got = "";
  socket.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")));
  socket.on("error", () => {});
  socket.write(text);
  await once(socket, "close");
  return got;
}

describe("what is no request is refused in one answer", () => {
  test.each([
    ["garbage", "\x16\x03\x01\x02\r\n\r\n"],
    ["no path", "GET\r\n\r\n"],
    ["no version", "GET /song\r\n\r\n"],
    ["another version", "GET /song HTTP/2.0\r\n\r\n"],
    ["a path that is none", "GET song HTTP/1.1\r\n\r\n"],
    ["a URL for a path", "GET http://127.0.0.1/song HTTP/1.1\r\n\r\n"],
    ["a header without a colon", "GET /song HTTP/1.1\r\nHost\r\n\r\n"],
    ["a folded header", "GET /song HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"],
    ["a space before the colon", "GET /song HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["a negative length", "POST /song HTTP/1.1\r\nContent-Length: -5\r\n\r\n"],
    ["a length that is none", "POST /song HTTP/1.1\r\nContent-Length: NaN\r\n\r\n"],
    ["a chunked body", "POST /song HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ])("%s: 400", async (_title, text) => {
    expect(await send(text)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n$/);
  });

  test("headers of 100 KiB: 431, with their end or without", async () => {
    const huge = `GET /song HTTP/1.1\r\nX-Huge: ${"x".repeat(100 * 1024)}`;
    expect(await send(`${huge}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await send(huge)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await send(Buffer.alloc(3 * 1024 * 1024, "x"))).toMatch(/^(HTTP\/1\.1 431 |$)/);
  });
});

test.each(["/%", "/%ff", "//", "/..%2f..%2fetc%2fpasswd", "/\x80", "/chaos/origin/%", "/chaos/%2e%2e/x", "/resolve/"])(
  "a path that names nothing (%j): 404",
  async (path) => {
    expect((await rig.get(path)).status).toBe(404);
  },
);

test.each([
  "bytes=9999999999999999999-",
  "bytes=5-2",
  "bytes=a-b",
  "bytes=0-0,5-6",
  "items=0-1",
  "bytes=-99999999999999999999",
  `bytes=0-${"9".repeat(400)}`,
])("a range that is none, or too far (%s), is answered", async (range) => {
  const got = await rig.get("/song", { headers: { range } });
  expect([200, 206, 416]).toContain(got.status);
  expect(got.complete).toBe(true);
});

test("requests sent ahead are answered in their order, and wait in the kernel", async () => {
  const one = "GET /song HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n";
  const answers = await send(`${one.repeat(3000)}GET /song HTTP/1.1\r\nConnection: close\r\nRange: bytes=1-1\r\n\r\n`);
  expect(answers.match(/HTTP\/1\.1 206/g)).toHaveLength(3001);
});

test("500 idle connections, and 200 that are gone in the middle of a request", async () => {
  for (let n = 0; n < 700; n++) {
    const socket = connect({ port: rig.port, host: "127.0.0.1" }).on("error", () => {});
    sockets.push(socket);
    socket.write(n < 500 ? "GET /so" : "GET /song HTTP/1.1\r\n\r\n");
  }
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (const socket of sockets.slice(500)) socket.resetAndDestroy();
  await eventually(async () => {
    const { live, connections } = (await rig.json("/chaos/counters")) as {
      live: number;
      connections: { open: number };
    };
    expect([live, connections.open]).toEqual([0, 501]);
  });
});
