import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Playback } from "../../src/player/playback.ts";
import { remoteControl } from "../../src/player/remote-control.ts";
import { type Random, seeded } from "../helpers/random.ts";
import { connect, request, type RawResponse } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { FakeDriver } from "./fake-driver.ts";

let rig: Rig;
let driver: FakeDriver;
let playback: Playback;
beforeEach(async () => {
  rig = await startRig();
  driver = new FakeDriver();
  playback = new Playback({
    driver,
    urlFor: ({ source, id }) => rig.proxy.urlFor(id, source),
    outcomeOf: () => undefined,
    factsOf: (track) => rig.proxy.factsOf(track),
  });
  rig.proxy.attachPlayer(remoteControl(playback));
});
afterEach(async () => {
  await playback.close();
  await rig.close();
});

const json = ({ body }: RawResponse): never => JSON.parse(Buffer.from(body).toString()) as never;
const ask = (path: string, options: Parameters<typeof request>[0] | object = {}): Promise<RawResponse> =>
  request({ port: rig.port, path, ...options });
const post = (verb: string, body?: unknown, headers: Record<string, string> = {}): Promise<RawResponse> => {
  const sent = body === undefined ? {} : { requestBody: JSON.stringify(body) };
  return ask(`/api/player/${verb}`, { method: "POST", headers, ...sent });
};
const queue = async (): Promise<string[]> => {
  const state: { queue: { key: string; entry: number }[] } = json(await ask("/api/player"));
  return state.queue.map(({ key, entry }) => `${entry} ${key}`);
};

async function problem(got: Promise<RawResponse>): Promise<readonly [number, string]> {
  const { status, headers, body } = await got;
  expect(headers["content-type"]).toBe("application/problem+json");
  return [status, (JSON.parse(Buffer.from(body).toString()) as { code: string }).code];
}

describe("/api/player", () => {
  test("plays what it is given, and says what it does", async () => {
    const begun = await post("play", { ids: ["one", "w/a%20b", "u/one"] });
    expect(begun.status).toBe(200);
    expect(json(begun)).toMatchObject({
      status: "loading",
      index: 0,
      queueLength: 3,
      track: { key: "u/one", entry: 1 },
    });
    expect(driver.take()).toContain("load stream/u/one");
    driver.begin();
    driver.at(5000);
    expect(json(await ask("/api/player"))).toEqual({
      status: "playing",
      index: 0,
      positionMs: 5000,
      durationMs: 200_000,
      paused: false,
      loading: false,
      volume: 100,
      shuffle: false,
      repeat: "off",
      normalize: true,
      auto: false,
      track: { entry: 1, source: "u", id: "one", key: "u/one" },
      queueLength: 3,
      queueVersion: expect.any(Number) as number,
      queue: [
        { entry: 1, source: "u", id: "one", key: "u/one" },
        { entry: 2, source: "w", id: "a b", key: "w/a%20b" },
        { entry: 3, source: "u", id: "one", key: "u/one" },
      ],
    });
    expect(json(await post("pause"))).toMatchObject({ status: "paused" });
    expect(json(await post("toggle", {}))).toMatchObject({ status: "playing" });
    expect(json(await post("seek", { positionMs: 60_000 }))).toMatchObject({ positionMs: 60_000 });
    expect(json(await post("seek", { byMs: -1000 }))).toMatchObject({ positionMs: 59_000 });
    expect(json(await post("volume", { volume: 30.5 }))).toMatchObject({ volume: 30.5 });
    expect(json(await post("volume", { volume: 1e300 }))).toMatchObject({ volume: 100 });
    expect(json(await post("repeat", { repeat: "all" }))).toMatchObject({ repeat: "all" });
    expect(json(await post("normalize", { normalize: false }))).toMatchObject({ normalize: false });
    expect(json(await post("next"))).toMatchObject({ index: 1, track: { key: "w/a%20b" } });
    expect(json(await post("previous"))).toMatchObject({ index: 0 });
    expect(json(await post("play", { entry: 3 }))).toMatchObject({ index: 2 });
    expect(json(await post("stop"))).toMatchObject({ status: "stopped" });
    expect(json(await post("shuffle", { shuffle: true }))).toMatchObject({ shuffle: true, index: 0 });
  });

  test("changes the queue, of which parts can be asked for", async () => {
    await post("queue", { ids: ["a", "b"] });
    await post("play");
    await post("queue", { ids: ["c"], at: "next" });
    await post("queue", { ids: ["d"], at: 0 });
    expect(await queue()).toEqual(["4 u/d", "1 u/a", "3 u/c", "2 u/b"]);
    await post("move", { entry: 2, to: 0 });
    await post("remove", { entries: [4, 3] });
    expect(await queue()).toEqual(["2 u/b", "1 u/a"]);
    const part: { queue: object[]; queueLength: number } = json(await ask("/api/player?offset=1&limit=5"));
    expect(part).toMatchObject({ queueLength: 2, queue: [{ entry: 1 }] });
    await post("clear");
    expect(await queue()).toEqual([]);
    const many = Array.from({ length: 10_000 }, (_, index) => `track-${index}`);
    expect((await post("queue", { ids: many })).status).toBe(200);
    expect(await queue()).toHaveLength(10_000);
  });

  test("refuses what makes no sense, and nothing has changed", async () => {
    await post("queue", { ids: ["a"] });
    const before = Buffer.from((await ask("/api/player")).body).toString();
    for (const [verb, body] of [
      ["queue", {}],
      ["queue", { ids: "a" }],
      ["queue", { ids: ["a", ""] }],
      ["queue", { ids: ["a/b/c"] }],
      ["queue", { ids: ["a"], at: -1 }],
      ["queue", { ids: ["a"], at: "front" }],
      ["queue", { ids: Array.from({ length: 20_001 }, () => "a") }],
      ["play", { ids: ["a"], entry: 1 }],
      ["play", { ids: [7] }],
      ["play", { entry: "1" }],
      ["seek", {}],
      ["seek", { positionMs: "0" }],
      ["seek", { positionMs: 1, byMs: 1 }],
      ["volume", { volume: null }],
      ["shuffle", { shuffle: "yes" }],
      ["repeat", { repeat: "twice" }],
      ["remove", { entries: 1 }],
      ["move", { entry: 1 }],
      ["pause", ["pause"]],
      ["pause", null],
    ] as const) {
      expect([verb, body, await problem(post(verb, body))]).toEqual([verb, body, [400, "bad-request"]]);
    }
    expect(await problem(post("play", { entry: 99 }))).toEqual([404, "not-found"]);
    expect(await problem(post("remove", { entries: [1, 99] }))).toEqual([404, "not-found"]);
    expect(await problem(post("constructor"))).toEqual([404, "not-found"]);
    expect(await problem(post("play/now"))).toEqual([404, "not-found"]);
    expect(await problem(ask("/api/player?limit=-1"))).toEqual([400, "bad-request"]);
    expect(Buffer.from((await ask("/api/player")).body).toString()).toBe(before);
    const other = await ask("/api/player/play");
    expect([other.status, other.headers["allow"]]).toEqual([405, "POST"]);
  });

  test("is not there without a player", async () => {
    await rig.restart();
    expect(await problem(ask("/api/player"))).toEqual([404, "not-found"]);
    expect(await problem(post("play"))).toEqual([404, "not-found"]);
    const detach = rig.proxy.attachPlayer(remoteControl(playback));
    expect((await post("pause")).status).toBe(200);
    detach();
    expect(await problem(post("pause"))).toEqual([404, "not-found"]);
  });

  test("A1: a foreign Host or Origin, or who has no token, plays nothing", async () => {
    await post("queue", { ids: ["a"] });
    const foreign: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { host: "evil.example" },
    ];
    for (const headers of foreign) {
      expect(await problem(post("play", {}, headers))).toEqual([403, "forbidden"]);
    }
    const { port } = await rig.proxy.listen({ token: "sesame" });
    const play = { port, path: "/api/player/play", method: "POST" };
    expect(await problem(request(play))).toEqual([403, "forbidden"]);
    expect(playback.state.status).toBe("stopped");
    expect((await request({ ...play, headers: { authorization: "Bearer sesame" } })).status).toBe(200);
    expect(playback.state.status).toBe("loading");
  });

  test("is told by events: each change soon, the time once a second", async () => {
    const [response] = (await once(get({ port: rig.port, path: "/api/events" }), "response")) as [IncomingMessage];
    let text = "";
    response.on("data", (piece: Buffer) => (text += piece.toString()));
    const told = (): { status: string; positionMs: number }[] =>
      [...text.matchAll(/event: player\ndata: (.*)/g)].map(([, data = ""]) => JSON.parse(data) as never);
    await post("play", { ids: ["a", "b"] });
    driver.begin();
    await eventually(() => expect(told().at(-1)).toMatchObject({ status: "playing", track: { key: "u/a" } }), {
      timeoutMs: 15_000,
    });
    const before = told().length;
    for (let ms = 200; ms <= 1000; ms += 200) driver.at(ms);
    await post("seek", { positionMs: 90_000 });
    await eventually(() => expect(told().at(-1)).toMatchObject({ positionMs: 90_000 }), { timeoutMs: 15_000 });
    expect(told().length - before).toBeLessThanOrEqual(2);
    driver.emit({ type: "settled", load: driver.loaded.load });
    driver.at(90_000);
    driver.at(90_200);
    await eventually(() => expect(told().at(-1)).toMatchObject({ positionMs: 90_200 }), { timeoutMs: 15_000 });
    expect(text).not.toContain('"queue":');
    response.destroy();
  });

  test("withstands whatever is sent", async () => {
    const random = seeded(7);
    const connection = await connect({ port: rig.port });
    for (let round = 0; round < 200; round += 1) {
      const requestBody = somethingOf(random);
      const { status, body } = await connection.exchange(
        {
          method: "POST",
          path: `/api/player/${pick(random, [...VERBS, "", "%00", "__proto__", "play?x=1"])}`,
          requestBody,
        },
        false,
      );
      expect([200, 400, 404], Buffer.from(body).toString()).toContain(status);
      expect(() => JSON.parse(Buffer.from(body).toString()) as unknown).not.toThrow();
    }
    connection.destroy();
    const state: { volume: number; index: number; positionMs: number; queue: object[] } = json(
      await ask("/api/player"),
    );
    const { volume, index, positionMs, queue: entries } = state;
    expect(volume).toBeGreaterThanOrEqual(0);
    expect(volume).toBeLessThanOrEqual(100);
    expect(positionMs).toBeGreaterThanOrEqual(0);
    expect(index).toBeLessThan(entries.length);
    expect(rig.log.filter(({ level }) => level === "error")).toEqual([]);
  });
});

const VERBS = [
  ...["play", "pause", "toggle", "stop", "next", "previous", "seek", "queue", "remove", "move", "clear", "shuffle"],
  ...["repeat", "volume", "normalize"],
] as const;
const FIELDS = [
  ...["ids", "entry", "entries", "at", "to", "positionMs", "byMs", "volume", "shuffle", "repeat", "normalize"],
  ...["__proto__", "constructor"],
] as const;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** A body: mostly JSON, mostly an object with fields that verbs know. */
function somethingOf(random: Random): string {
  const values: readonly (() => unknown)[] = [
    () => Math.floor(random() * 12) - 2,
    () =>
      pick(random, [1e308, -1e308, 0.5, 2 ** 53, null, true, false, "", "end", "next", "all", "one", "\u0000", "é"]),
    () => Array.from({ length: Math.floor(random() * 5) }, () => pick(random, ["a", "w/b", "u/%2e%2e", "..", 1, 2, 9])),
    () => ({ nested: {} }),
  ];
  const fields = Array.from({ length: Math.floor(random() * 3) }, () => {
    return `${JSON.stringify(pick(random, FIELDS))}:${JSON.stringify(pick(random, values)())}`;
  });
  const text =
    random() < 0.9 ? `{${fields.join(",")}}` : pick(random, ["", "[]", "nul", '"x"', "1e999", "\ufeff{}", "{"]);
  return random() < 0.05 ? text.slice(0, -1) : text;
}
