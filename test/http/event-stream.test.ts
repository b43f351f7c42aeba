import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EventFeed } from "../../src/http/event-feed.ts";
import { EventStream } from "../../src/http/event-stream.ts";
import { sendProblem } from "../../src/http/problem.ts";
import { ManualClock } from "../data-source/fakes.ts";
import { eventually } from "../helpers/process.ts";
import { MEASURED } from "../helpers/measured.ts";

let clock: ManualClock;
let stream: EventStream;
let server: Server;
beforeEach(async () => {
  clock = new ManualClock();
  stream = new EventStream(clock);
  server = createServer((request, response) => {
    try {
      stream.connect(request, response);
    } catch (error) {
      sendProblem(response, error);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  stream.close();
  server.closeAllConnections();
  server.close();
});

interface Message {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
}

/** A client that reads what comes as events. */
class Listener {
  text = "";
  readonly response: IncomingMessage;
  ended = false;
  closed = false;

  constructor(response: IncomingMessage) {
    this.response = response;
    response.on("error", () => {});
    response.on("end", () => (this.ended = true));
    response.on("close", () => (this.closed = true));
  }

  static async open(headers: Record<string, string> = {}, method = "GET"): Promise<Listener> {
    const { port } = server.address() as AddressInfo;
    const outgoing = get({ port, host: "127.0.0.1", headers, method, agent: false });
    outgoing.on("error", () => {});
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return new Listener(response);
  }

  /** Begins to read. */
  reading(): this {
    this.response.on("data", (bytes: Buffer) => (this.text += bytes.toString()));
    return this;
  }

  get messages(): Message[] {
    return this.text
      .split("\n\n")
      .slice(0, -1)
      .map(
        (block) =>
          Object.fromEntries(block.split("\n").map((line) => line.split(/: ?([^\n]*)/).slice(0, 2))) as Message,
      );
  }

  /** Those that a browser would tell of. */
  get told(): Message[] {
    return this.messages.filter(({ data }) => data !== undefined);
  }

  get lastId(): string {
    return this.messages.findLast(({ id }) => id !== undefined)?.id ?? "";
  }

  async until(count: number): Promise<Message[]> {
    return await eventually(() => {
      expect(this.told).toHaveLength(count);
      return this.told;
    });
  }
}

test("events come with a number, a name and one line of JSON each; how to come back is said first", async () => {
  const one = (await Listener.open()).reading();
  expect(one.response.statusCode).toBe(200);
  expect(one.response.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
  });
  stream.publish("session", { key: "s/a\nb", text: "\r\u2028" });
  stream.publish("evict", { bytes: 1 });
  const [first, second] = await one.until(2);
  expect(one.text).toMatch(
    /^retry: 2000\nid: [0-9a-f]{8}-0\n\nid: [0-9a-f]{8}-1\nevent: session\ndata: \{[^\n]*\}\n\nid: /,
  );
  expect(JSON.parse(first?.data ?? "")).toEqual({ key: "s/a\nb", text: "\r\u2028" });
  expect(second).toMatchObject({ event: "evict", data: '{"bytes":1}' });
});

test("a comment every 15 s, as long as someone listens", async () => {
  const one = (await Listener.open()).reading();
  await clock.advance(14_999);
  await Listener.open();
  expect(one.text).not.toContain(":\n\n");
  await clock.advance(1);
  await eventually(() => expect(one.text).toContain("\n\n:\n\n"));
  await clock.advance(30_000);
  await eventually(() => expect(one.text.split("\n\n:").length).toBe(4));
});

test("who comes back gets what it missed; after too much, or after a restart, a reset", async () => {
  const one = (await Listener.open()).reading();
  for (let n = 1; n <= 5; n += 1) stream.publish("evict", { n });
  await one.until(5);
  const epoch = one.lastId.split("-")[0] ?? "";
  const back = async (id: string): Promise<Message[]> => {
    const again = (await Listener.open({ "last-event-id": id })).reading();
    await eventually(() => expect(again.text).toContain("\n\n"));
    stream.publish("evict", { last: true });
    await eventually(() => expect(again.text).toContain("last"));
    again.response.destroy();
    return again.told.slice(0, -1);
  };
  expect((await back(`${epoch}-3`)).map(({ data }) => data)).toEqual(['{"n":4}', '{"n":5}']);
  expect(await back(`${epoch}-6`)).toEqual([]);
  for (const id of [`00000000-3`, `${epoch}-99`, `${epoch}--1`, `${epoch}-`, "", "x".repeat(5000), `${epoch}-1e999`]) {
    expect(await back(id)).toEqual([expect.objectContaining({ event: "reset", data: "{}" })]);
  }
  for (let n = 0; n < 600; n += 1) stream.publish("evict", { n });
  expect(await back(`${epoch}-5`)).toMatchObject([{ event: "reset" }]);
  for (let n = 0; n < 100; n += 1) stream.publish("evict", { n, text: "x".repeat(10_000) });
  await eventually(() => expect(one.text.length).toBeGreaterThan(1_000_000));
  const near = Number(one.lastId.split("-")[1]) - 50;
  expect(await back(`${epoch}-${near}`)).toMatchObject([{ event: "reset" }]);
});

test("nothing is kept before the first listener, nor a minute after the last one", async () => {
  stream.publish("evict", {});
  expect(stream.isListening).toBe(false);
  const one = (await Listener.open()).reading();
  stream.publish("evict", { n: 1 });
  await one.until(1);
  one.response.destroy();
  await eventually(() => expect(stream.clients).toBe(0));
  stream.publish("evict", { n: 2 });
  await clock.advance(59_000);
  const again = (await Listener.open({ "last-event-id": one.lastId })).reading();
  expect(await again.until(1)).toMatchObject([{ event: "evict", data: '{"n":2}' }]);
  again.response.destroy();
  await eventually(() => expect(stream.clients).toBe(0));
  await clock.advance(60_000);
  expect(stream.isListening).toBe(false);
  expect(clock.pending).toEqual([]);
  expect(await (await Listener.open({ "last-event-id": again.lastId })).reading().until(1)).toMatchObject([
    { event: "reset" },
  ]);
});

test("the 33rd listener is told to come later, until one leaves; HEAD takes no place", async () => {
  const all = await Promise.all(Array.from({ length: 32 }, () => Listener.open()));
  const refused = await Listener.open();
  expect([refused.response.statusCode, refused.response.headers["retry-after"]]).toEqual([503, "5"]);
  refused.reading();
  await eventually(() => expect(refused.text).toContain('"code":"busy"'));
  all[0]?.response.destroy();
  await eventually(() => expect(stream.clients).toBe(31));
  expect((await Listener.open({}, "HEAD")).response.statusCode).toBe(200);
  expect((await Listener.open()).response.statusCode).toBe(200);
});

test("a listener that does not read is dropped, and costs the others nothing", MEASURED, async () => {
  const stalled = await Listener.open();
  stalled.response.pause();
  const one = (await Listener.open()).reading();
  const text = "x".repeat(50_000);
  const heap = process.memoryUsage().external;
  for (let n = 0; n < 400 && stream.clients === 2; n += 1) {
    stream.publish("evict", { n, text });
    await new Promise(setImmediate);
  }
  expect(stream.clients).toBe(1);
  expect(process.memoryUsage().external - heap).toBeLessThan(24 * 1024 ** 2);
  stream.publish("evict", { last: true });
  await eventually(() => expect(one.text).toContain('"last":true'));
  stalled.response.resume();
  await eventually(() => expect(stalled.closed).toBe(true));
  expect(stalled.ended).toBe(false);
});

test("an end in order for all", async () => {
  const one = (await Listener.open()).reading();
  const other = (await Listener.open()).reading();
  stream.publish("evict", {});
  stream.close();
  await eventually(() => expect([one.ended, other.ended]).toEqual([true, true]));
  expect([one.response.complete, one.told.length]).toEqual([true, 1]);
  expect(clock.pending).toEqual([]);
});

test("chunks and changes of one track are told together, at most 20 a second of each", async () => {
  const feed = new EventFeed(stream, clock, (key) => ({ described: key }));
  feed.chunk({ key: "s/early", from: "disk", index: 0 });
  const one = (await Listener.open()).reading();
  for (let index = 0; index < 1000; index += 1) {
    feed.chunk({ key: "s/a", from: "upstream", index });
    feed.track({ key: "s/a", change: "stored" });
    if (index % 10 === 0) feed.chunk({ key: "s/b", from: "disk", index: index / 10 });
  }
  feed.chunk({ key: "s/a", from: "disk", index: 7 });
  feed.track({ key: "s/a", change: "complete" });
  feed.tell("evict", { key: "s/c" });
  await clock.advance(49);
  expect(await one.until(1)).toMatchObject([{ event: "evict" }]);
  await clock.advance(1);
  const told = (from: number): [string | undefined, unknown][] =>
    one.told.slice(from).map(({ event, data }) => [event, JSON.parse(data ?? "")]);
  await one.until(4);
  expect(told(1)).toEqual([
    ["chunk", { key: "s/a", from: "upstream", index: 0, count: 1000 }],
    ["chunk", { key: "s/b", from: "disk", index: 0, count: 100 }],
    ["track", { key: "s/a", change: "stored", described: "s/a" }],
  ]);
  await clock.advance(50);
  await one.until(6);
  expect(told(4)).toEqual([
    ["chunk", { key: "s/a", from: "disk", index: 7, count: 1 }],
    ["track", { key: "s/a", change: "complete", described: "s/a" }],
  ]);
  // A second of a very fast track.
  for (let n = 0; n < 1000; n += 1) {
    feed.chunk({ key: "s/a", from: "disk", index: n * 3 });
    feed.track({ key: "s/a", change: "stored" });
    await clock.advance(1);
  }
  await clock.advance(50 * 20);
  const fast = one.told.slice(6);
  expect(fast.filter(({ event }) => event === "track").length).toBeLessThanOrEqual(21);
  expect(fast.filter(({ event }) => event === "chunk").length).toBeLessThanOrEqual(41);
  feed.close();
  expect(clock.pending).toEqual([]);
});
