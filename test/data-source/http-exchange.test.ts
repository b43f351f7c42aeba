import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MiB } from "../../src/data-source/data-source.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";
import { never, realHttp, resolvedSpec } from "./fakes.ts";

const bytes = bytesOf(1, "song", 1, 0, 12 * MiB);
let layer: ReturnType<typeof realHttp>;
let server: Server;
let connections: number;
beforeEach(() => {
  layer = realHttp();
  connections = 0;
});
afterEach(async () => {
  await layer.close();
  server.close();
});

/** Answers each request with `head` and the first `count` bytes, then ends the connection if `ends`. */
async function serve(head: string, count: number, ends: boolean): Promise<string> {
  server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    socket.on("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
      socket.write(bytes.subarray(0, count));
      if (ends) socket.end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Reads with a pause after each chunk; what came, and how it ended. */
async function readSlowly(url: string, ms: number): Promise<{ got: Uint8Array; error: unknown }> {
  const opened = await layer.source.open(resolvedSpec({ resolution: { url } }), { signal: never });
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of opened.body) {
      chunks.push(chunk);
      await delay(ms);
    }
  } catch (error) {
    return { got: Buffer.concat(chunks), error };
  }
  return { got: Buffer.concat(chunks), error: undefined };
}

describe("a connection that ends while a slow reader has bytes to read", () => {
  test.each([
    ["as announced, with the response", "Connection: close\r\nContent-Length: 300000", 300_000],
    ["with the response, of no announced length", "Connection: close", 300_000],
    ["with the response, as old servers do without a word", "Content-Length: 300000", 300_000],
  ])("%s: everything is read, and nothing is thrown", async (_title, head, count) => {
    const { got, error } = await readSlowly(await serve(head, count, true), 20);
    expect(error).toBeUndefined();
    assertBytes(got, bytes.subarray(0, count));
  });

  test.each(["Connection: close", "Connection: keep-alive"])(
    "too early (%s): the whole prefix, then the failure",
    async (connection) => {
      const url = await serve(`${connection}\r\nContent-Length: 400000`, 300_000, true);
      const { got, error } = await readSlowly(url, 20);
      expect(error).toMatchObject({ code: "transient" });
      assertBytes(got, bytes.subarray(0, 300_000));
    },
  );
});

test("an upstream that cannot be made to wait is broken off at 4 MiB unread; what it sent is not lost", async () => {
  const url = await serve("Connection: close\r\nContent-Length: 12582912", 12 * MiB, true);
  const opened = await layer.source.open(resolvedSpec({ resolution: { url } }), { signal: never });
  const body = opened.body[Symbol.asyncIterator]();
  const chunks = [(await body.next()).value as Uint8Array];
  await delay(300);
  const drain = async () => {
    for (let next = await body.next(); next.done !== true; next = await body.next()) chunks.push(next.value);
  };
  await expect(drain()).rejects.toMatchObject({ code: "transient" });
  const got = Buffer.concat(chunks);
  expect(got.length).toBeGreaterThan(4 * MiB);
  expect(got.length).toBeLessThan(5 * MiB);
  assertBytes(got, bytes.subarray(0, got.length));
});

test("one that can is: little is read ahead", async () => {
  const url = await serve("Connection: keep-alive\r\nContent-Length: 12582912", 12 * MiB, false);
  const opened = await layer.source.open(resolvedSpec({ resolution: { url } }), { signal: never });
  const body = opened.body[Symbol.asyncIterator]();
  let received = 0;
  for (let next = await body.next(); next.done !== true; next = await body.next()) {
    received += next.value.length;
    if (received < MiB) await delay(10);
  }
  expect(received).toBe(12 * MiB);
});

test("the connection takes the next request when a body was read to its end", async () => {
  const url = await serve("Content-Length: 300000", 300_000, false);
  for (let n = 0; n < 3; n += 1) expect((await readSlowly(url, 0)).got.length).toBe(300_000);
  expect(connections).toBe(1);
});
