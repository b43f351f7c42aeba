import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { connect, FramingError, type RawRequest, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Behaviour, startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

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

const under = (behaviour: Behaviour, range?: string, options?: RawRequest) => {
  up.script("song", [{ do: behaviour }]);
  return get(range, options);
};

describe("broken off", () => {
  it.each([0, 1, 100_000, SIZE - 1])("by a reset after %d bytes", async (reset) => {
    const response = await under({ reset });
    expect(response).toMatchObject({
      status: 200,
      complete: false,
      errorCode: "ECONNRESET",
      headers: { "content-length": String(SIZE) },
    });
    assertBytes(response.body, up.bytes("song", 0, reset));
    expect(up.requests()).toMatchObject([{ outcome: "cut", bytesSent: reset }]);
  });

  it.each([0, 1, 100_000, SIZE - 1])("by a FIN after %d bytes", async (close) => {
    const response = await under({ close });
    expect(response).toMatchObject({ status: 200, complete: false, closed: true, errorCode: undefined });
    assertBytes(response.body, up.bytes("song", 0, close));
    expect(up.requests()).toMatchObject([{ outcome: "cut", bytesSent: close }]);
  });

  it("at an offset of the resource, where the body holds it", async () => {
    expect((await under({ close: { offset: 1500 } }, "1000-1999")).body.length).toBe(500);
    expect(await under({ close: { offset: 1500 } }, "2000-2999")).toMatchObject({ complete: true });
    expect(await under({ close: { offset: 1500 } }, "0-999")).toMatchObject({ complete: true });
  });

  it("in the middle of chunks", async () => {
    up.setResource("song", { unknownLength: true });
    const response = await under({ close: 70_000 });
    expect(response).toMatchObject({ complete: false, closed: true });
    assertBytes(response.body, up.bytes("song", 0, 70_000));
  });

  it("before the headers", async () => {
    await expect(under({ reset: "headers" })).rejects.toThrow("ECONNRESET");
    await expect(under({ close: "headers" })).rejects.toThrow("FIN");
  });
});

describe("slow", () => {
  it("before the headers", async () => {
    expect((await under({ latency: 80 })).headersMs).toBeGreaterThan(75);
  });

  it("stalls in the body with the socket open, until released", async () => {
    let received = 0;
    const pending = under({ stall: 1000 }, undefined, { onProgress: (length) => (received = length) });
    await eventually(() => expect(received).toBe(1000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([received, up.stalled("song"), up.live("song"), up.connections.open]).toEqual([1000, 1, 1, 1]);
    up.release("song");
    const response = await pending;
    expect(response.complete).toBe(true);
    assertBytes(response.body, up.bytes("song"));
    expect(up.stalled()).toBe(0);
  });

  it("stalls before the headers and right after them", async () => {
    for (const [stall, expected] of [
      ["headers", 0],
      [0, 1],
    ] as const) {
      let heads = 0;
      const abort = new AbortController();
      const pending = under({ stall }, undefined, { signal: abort.signal, onProgress: () => heads++ });
      await eventually(() => expect([up.stalled(), heads]).toEqual([1, expected]));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(heads).toBe(expected);
      const reason = new Error("enough");
      abort.abort(reason);
      await expect(pending).rejects.toBe(reason);
      await up.waitIdle();
      expect(up.stalled()).toBe(0);
    }
    expect(up.requests().map(({ outcome }) => outcome)).toEqual(["aborted", "aborted"]);
  });

  it("pauses, then goes on", async () => {
    const times: number[] = [];
    const response = await under({ pause: { at: 1000, ms: 80 } }, "0-1999", {
      onProgress: () => times.push(performance.now()),
    });
    expect(response).toMatchObject({ complete: true, body: { length: 2000 } });
    expect((times.at(-1) ?? 0) - (times[1] ?? 0)).toBeGreaterThan(70);
  });

  it("paces the body, or what follows a place in it", async () => {
    const seconds = async (behaviour: Behaviour) => {
      const before = performance.now();
      expect(await under(behaviour)).toMatchObject({ complete: true, body: { length: SIZE } });
      return (performance.now() - before) / 1000;
    };
    expect(await seconds({})).toBeLessThan(0.25);
    const paced = await seconds({ pace: 1e6 });
    expect(paced).toBeGreaterThan(0.28);
    expect(paced).toBeLessThan(1);
    const trickled = await seconds({ trickle: { at: SIZE - 1000, rate: 5000 } });
    expect(trickled).toBeGreaterThan(0.18);
    expect(trickled).toBeLessThan(1);
  });

  it("by a clock of the test's own", async () => {
    const waits: number[] = [];
    const quick = await startUpstream({ delay: async (ms) => void waits.push(ms) });
    quick.resource("song", { size: 10 });
    quick.script("song", [{ do: { latency: 60_000, pause: { at: 5, ms: 30_000 } } }]);
    expect(await request({ port: quick.port, path: "/song" })).toMatchObject({ complete: true });
    expect(waits).toEqual([60_000, 30_000]);
    await quick.close();
  });
});

describe("on a kept connection", () => {
  it("a Content-Length that is too long ends it, so that the client sees the lack", async () => {
    up.script("song", [{ do: { contentLength: { add: 10 } } }]);
    const connection = await connect(up);
    const response = await connection.request({ path: "/song", signal: AbortSignal.timeout(2000) });
    expect(response).toMatchObject({ complete: false, closed: true, headers: { connection: "close" } });
  });

  it("raw surplus is a framing error for whoever sends the next request", async () => {
    up.script("song", [{ do: { surplus: { bytes: 50, counted: "raw" } } }]);
    const connection = await connect(up);
    expect(await connection.request({ path: "/song", headers: { range: "bytes=0-99" } })).toMatchObject({
      complete: true,
    });
    await up.waitIdle();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await expect(connection.request({ path: "/song" })).rejects.toThrow(FramingError);
  });
});
