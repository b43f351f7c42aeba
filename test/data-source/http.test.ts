import { getEventListeners, once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ResolvedSpec } from "../../src/data-source/data-source.ts";
import { retryAfterMs } from "../../src/data-source/http-answer.ts";
import { Need } from "../../src/data-source/need.ts";
import { validatorOf } from "../../src/data-source/validators.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { type Behaviour, startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { ManualClock, never, readAll, realHttp, resolvedSpec, settle } from "./fakes.ts";

const SIZE = 300_000;
let up: Upstream;
let clock: ManualClock;
let layer: ReturnType<typeof realHttp>;
beforeEach(async () => {
  up = await startUpstream();
  up.resource("song", { size: SIZE });
  clock = new ManualClock();
  layer = realHttp(clock);
});
afterEach(async () => {
  await layer.close();
  await up.close();
});

const open = (wanted: Partial<ResolvedSpec> = {}, signal = never) =>
  layer.source.open(resolvedSpec({ resolution: { url: up.url("song") }, ...wanted }), { signal });
const script = (behaviour: Behaviour) => up.script("song", [{ do: behaviour }]);
const lastHeaders = () => up.requests("song").at(-1)?.headers ?? {};

describe("requests", () => {
  test("ask for one range, with identity encoding, and the resolver's headers", async () => {
    const resolution = { url: up.url("song"), headers: { "User-Agent": "x", "accept-encoding": "gzip" } };
    await readAll(await open({ position: 5, end: 10, resolution }));
    expect(lastHeaders()).toMatchObject({ range: "bytes=5-9", "accept-encoding": "identity", "user-agent": "x" });
    await readAll(await open({ position: 5 }));
    expect(lastHeaders()["range"]).toBe("bytes=5-");
    await readAll(await open({ whole: true }));
    expect(lastHeaders()["range"]).toBeUndefined();
  });

  test("say If-Range where a strong tag is known of the same place", async () => {
    const url = up.url("song");
    const validator = validatorOf(new URL(url), up.etag("song"), undefined);
    await readAll(await open({ resolution: { url }, expect: { validator } }));
    expect(lastHeaders()["if-range"]).toBe(up.etag("song"));
    await readAll(await open({ expect: { validator: { ...validator, origin: "http://elsewhere/song" } } }));
    expect(lastHeaders()["if-range"]).toBeUndefined();
  });

  test("a header that would break out of its line is not sent", async () => {
    const resolution = { url: up.url("song"), headers: { "x-a": "1\r\nx-b: 2" } };
    await expect(open({ resolution })).rejects.toMatchObject({ code: "transient" });
    expect(up.requests()).toHaveLength(0);
  });

  test("credentials go to the place they were meant for, not where it redirects to", async () => {
    const other = await startUpstream();
    other.resource("song", { size: SIZE });
    script({ redirect: { to: other.url("song") } });
    const headers = { authorization: "Bearer secret", cookie: "a=b", "x-kept": "1" };
    assertBytes(await readAll(await open({ resolution: { url: up.url("song"), headers } })), other.bytes("song"));
    expect(lastHeaders()).toMatchObject(headers);
    expect(Object.keys(other.requests("song")[0]?.headers ?? {})).not.toEqual(
      expect.arrayContaining(["authorization"]),
    );
    expect(other.requests("song")[0]?.headers).toMatchObject({ "x-kept": "1", range: "bytes=0-" });
    expect(other.requests("song")[0]?.headers["cookie"]).toBeUndefined();
    await other.close();
  });
});

describe("redirects", () => {
  test.each([301, 302, 303, 307, 308])("%i is followed", async (status) => {
    script({ redirect: { status } });
    assertBytes(await readAll(await open({ position: 7 })), up.bytes("song", 7));
  });

  test("five, and no more", async () => {
    script({ redirect: { chain: 5 } });
    assertBytes(await readAll(await open()), up.bytes("song"));
    script({ redirect: { chain: 6 } });
    await expect(open()).rejects.toMatchObject({ code: "wrong-answer" });
    script({ redirect: { loop: true } });
    await expect(open()).rejects.toMatchObject({ code: "wrong-answer" });
    expect(up.requests("song")).toHaveLength(6 * 3);
  });

  test.each(["file:///etc/passwd", "ftp://a/b", "javascript:alert(1)", "http://"])("to %s is refused", async (to) => {
    script({ redirect: { to } });
    await expect(open()).rejects.toMatchObject({ code: "wrong-answer" });
  });

  test("one without a Location is no answer", async () => {
    script({ status: 302 });
    await expect(open()).rejects.toMatchObject({ code: "wrong-answer", status: 302 });
  });
});

describe("refused answers leave no socket and no listener behind", () => {
  const refusals: readonly [string, Behaviour, object][] = [
    ["gzip", { encode: "gzip" }, { code: "wrong-answer" }],
    ["br", { encode: "br" }, { code: "wrong-answer" }],
    ["a login page", { page: "html" }, { code: "wrong-answer" }],
    ["JSON", { page: "json" }, { code: "wrong-answer" }],
    ["a manifest", { page: { contentType: "application/dash+xml", text: "<MPD/>" } }, { code: "wrong-answer" }],
    ["another start", { shiftRange: 1 }, { code: "wrong-answer" }],
    ["a label of another start", { contentRange: { shift: 4 } }, { code: "wrong-answer" }],
    ["no label", { contentRange: "missing" }, { code: "wrong-answer" }],
    ["several parts", { multipart: true }, { code: "wrong-answer" }],
    [
      "several parts with a label",
      { multipart: true, headers: { "content-range": `bytes 10-99/${SIZE}` } },
      { code: "wrong-answer" },
    ],
    ["a label past the total", { contentRange: { as: "bytes 10-99/50" } }, { code: "wrong-answer" }],
    ["a label that ends before it starts", { contentRange: { as: "bytes 10-9/*" } }, { code: "wrong-answer" }],
    ["a label in another unit", { contentRange: { as: `items 10-99/${SIZE}` } }, { code: "wrong-answer" }],
    ["another total", { contentRange: { total: SIZE + 1 } }, { code: "variant-changed" }],
    ["401", { status: 401 }, { code: "url-refused", status: 401 }],
    ["403", { status: 403 }, { code: "url-refused", status: 403 }],
    ["404", { status: 404 }, { code: "url-refused", status: 404 }],
    ["410", { status: 410 }, { code: "url-refused", status: 410 }],
    ["400", { status: 400 }, { code: "wrong-answer", status: 400 }],
    ["204", { status: 204 }, { code: "wrong-answer", status: 204 }],
    ["408", { status: 408 }, { code: "transient", status: 408 }],
    ["500", { status: 500 }, { code: "transient", status: 500, retryAfterMs: undefined }],
    ["429", { status: 429, retryAfter: 7 }, { code: "transient", status: 429, retryAfterMs: 7000 }],
    ["416", { unsatisfiable: true }, { code: "range-refused", status: 416, size: SIZE }],
    ["416 without a size", { unsatisfiable: "bare" }, { code: "range-refused", size: undefined }],
    ["a reset", { reset: "headers" }, { code: "transient" }],
    ["an end", { close: "headers" }, { code: "transient" }],
  ];
  test.each(refusals)("%s", async (_title, behaviour, error) => {
    script(behaviour);
    const { signal } = new AbortController();
    await expect(open({ position: 10, end: 100, expect: { size: SIZE } }, signal)).rejects.toMatchObject(error);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(clock.pending).toEqual([]);
    await up.waitIdle();
  });

  test("a body that does not end", async () => {
    for (const behaviour of [
      { status: 500, stall: 1 },
      { page: "html", stall: 1 },
      { redirect: {}, stall: 1 },
    ] as const) {
      script(behaviour);
      await open().then(
        (opened) => opened[Symbol.asyncDispose](),
        () => {},
      );
      expect(up.requests("song").length).toBeGreaterThan(0);
      await eventually(() => expect(up.stalled()).toBe(0));
    }
  });

  test("a body that is encoded on its way", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
      );
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await expect(open({ resolution: { url } })).rejects.toMatchObject({ code: "wrong-answer" });
    server.close();
  });

  test("errors hold no part of the URL", async () => {
    for (const behaviour of [{ status: 500 }, { status: 403 }, { reset: "headers" }, { page: "html" }] as const) {
      script(behaviour);
      const error = (await open().catch((thrown: unknown) => thrown)) as Error;
      expect(`${error.message}${String(error.cause)}${error.stack}`).not.toMatch(/sig=/);
    }
  });
});

describe("bodies", () => {
  test("a surplus after the range is ignored, whether it is counted or not", async () => {
    for (const counted of ["length", "range", "raw"] as const) {
      script({ surplus: { bytes: 1000, counted } });
      assertBytes(await readAll(await open({ position: 10, end: 500 })), up.bytes("song", 10, 500));
    }
  });

  test("one that is cut short is a failure that may pass, at any byte", async () => {
    for (const at of [0, 1, 65_536, 299_999]) {
      for (const behaviour of [{ close: at }, { reset: at }]) {
        script(behaviour);
        const opened = await open();
        const read = readAll(opened);
        await expect(read).rejects.toMatchObject({ code: "transient" });
        expect(opened.endsCleanly()).toBe(false);
      }
    }
  });

  test("only a framed one proves where the resource ends", async () => {
    for (const [contentLength, clean] of [
      ["close", false],
      ["chunked", true],
    ] as const) {
      script({ ignoreRange: true, contentLength });
      const opened = await open({ position: 100 });
      assertBytes(await readAll(opened), up.bytes("song"));
      expect([opened.start, opened.ranged, opened.size, opened.endsCleanly()]).toEqual([0, false, undefined, clean]);
    }
    script({});
    const part = await open({ end: 1000 });
    await readAll(part);
    expect(part.endsCleanly()).toBe(false);
  });

  test("one that is disposed of says so, and is not to be had again", async () => {
    const opened = await open();
    await opened[Symbol.asyncDispose]();
    await expect(readAll(opened)).rejects.toMatchObject({ name: "AbortError" });
    script({ stall: 10 });
    const reading = await open();
    const body = reading.body[Symbol.asyncIterator]();
    await body.next();
    const pending = body.next();
    pending.catch(() => {});
    await reading[Symbol.asyncDispose]();
    await expect(pending).rejects.toMatchObject({ name: "AbortError" });
  });

  test("leave no listener on a signal that lives on", async () => {
    const { signal } = new AbortController();
    for (let n = 0; n < 5; n += 1) {
      await readAll(await open({}, signal));
      await (await open({}, signal))[Symbol.asyncDispose]();
      for await (const _ of (await open({}, signal)).body) break;
    }
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(clock.pending).toEqual([]);
  });
});

describe("silence", () => {
  const urgent = (): boolean => true;

  test.each([
    ["3 s while a reader waits", true, 3000],
    ["8 s otherwise", false, 8000],
  ])("before the headers: %s", async (_title, waits, ms) => {
    script({ stall: "headers" });
    const opening = open({ urgent: () => waits });
    opening.catch(() => {});
    await eventually(() => expect(up.stalled()).toBe(1));
    await clock.advance(ms - 1);
    expect(up.live()).toBe(1);
    await clock.advance(501);
    await expect(opening).rejects.toMatchObject({ code: "stalled" });
    await eventually(() => expect(up.live()).toBe(0));
    expect(clock.pending).toEqual([]);
  });

  test("each retry waits longer for the headers, but not for bytes", async () => {
    const need = new Need();
    need.retries = 2;
    script({ latency: 50, stall: 1000 });
    const opened = await open({ urgent, need });
    const body = opened.body[Symbol.asyncIterator]();
    await body.next();
    const pending = body.next();
    pending.catch(() => {});
    await settle();
    await clock.advance(2999);
    expect(up.live()).toBe(1);
    await clock.advance(501);
    await expect(pending).rejects.toMatchObject({ code: "stalled" });
  });

  test("is not what this process makes that is held up: what came meanwhile is read first", async () => {
    script({ stall: 100_000 });
    const opened = await open({ urgent });
    const body = opened.body[Symbol.asyncIterator]();
    for (let received = 0; received < 100_000; ) received += (await body.next()).value?.length ?? 0;
    const pending = body.next();
    pending.catch(() => {});
    await settle();
    up.release();
    clock.holdUp(60_000);
    expect((await pending).value?.length).toBeGreaterThan(0);
    await opened[Symbol.asyncDispose]();
  });

  test("is judged all the same after such a while", async () => {
    script({ stall: 0 });
    const opened = await open({ urgent });
    const pending = opened.body[Symbol.asyncIterator]().next();
    pending.catch(() => {});
    await settle();
    clock.holdUp(60_000);
    await clock.advance(50);
    await expect(pending).rejects.toMatchObject({ code: "stalled" });
  });

  test("is not what a reader makes that does not read", async () => {
    const opened = await open({ urgent });
    const body = opened.body[Symbol.asyncIterator]();
    let received = (await body.next()).value?.length ?? 0;
    await clock.advance(3_600_000);
    for (let next = await body.next(); next.done !== true; next = await body.next()) received += next.value.length;
    expect(received).toBe(SIZE);
  });

  test("begins to count sooner when a reader comes to wait", async () => {
    let waits = false;
    script({ stall: 1000 });
    const body = (await open({ urgent: () => waits })).body[Symbol.asyncIterator]();
    await body.next();
    const pending = body.next();
    pending.catch(() => {});
    await settle();
    await clock.advance(5000);
    expect(up.live()).toBe(1);
    waits = true;
    await clock.advance(500);
    await expect(pending).rejects.toMatchObject({ code: "stalled" });
  });

  test("a trickle is as good as silence, if it is the upstream that is slow", async () => {
    // 100 bytes a second, by this clock.
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () =>
        socket.write(
          `HTTP/1.1 206 OK\r\nContent-Length: ${SIZE}\r\nContent-Range: bytes 0-${SIZE - 1}/${SIZE}\r\n\r\n`,
        ),
      );
      sendMore = () => socket.write(Buffer.alloc(100));
    });
    let sendMore = (): boolean => false;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const slowReader = async (waitBeforeRead: boolean) => {
      const body = (await open({ urgent, resolution: { url } })).body[Symbol.asyncIterator]();
      for (let second = 0; second < 12; second += 1) {
        if (waitBeforeRead) await clock.advance(1000);
        const next = body.next();
        next.catch(() => {});
        if (!waitBeforeRead) await clock.advance(1000);
        sendMore();
        await next;
      }
      await body.return?.(undefined);
    };
    await expect(slowReader(false)).rejects.toMatchObject({ code: "stalled" });
    await slowReader(true);
    server.close();
  });
});

test("Retry-After is read as seconds or as a date", () => {
  const now = Date.parse("2026-11-23T00:00:00Z");
  expect(retryAfterMs("120", now)).toBe(120_000);
  expect(retryAfterMs(" 1 ", now)).toBe(1000);
  expect(retryAfterMs("Mon, 23 Nov 2026 00:00:30 GMT", now)).toBe(30_000);
  expect(retryAfterMs("Sun, 22 Nov 2026 00:00:30 GMT", now)).toBe(0);
  expect(retryAfterMs("soon", now)).toBeUndefined();
  expect(retryAfterMs(undefined, now)).toBeUndefined();
});
