import { afterEach, beforeEach, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawResponse, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { Turns } from "../helpers/turns.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const MANY = 10_000;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

interface Prefetch {
  lists: Record<string, { ids: string[]; mode: string }>;
  tracks: { key: string; state: string; code?: string; size?: number; cachedBytes: number }[];
}

function put(list: string, requestBody: string | Uint8Array): Promise<RawResponse> {
  return request({ port: rig.port, method: "PUT", path: `/api/prefetch?list=${list}`, requestBody });
}

const wish = (list: string, ids: readonly string[], mode = "full"): Promise<RawResponse> =>
  put(list, JSON.stringify({ ids, mode }));
const prefetch = async (): Promise<Prefetch> => parsed(await request({ port: rig.port, path: "/api/prefetch" }));
const encoded = (id: string): string =>
  encodeURIComponent(id).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
/** Until nothing is to be fetched any more. */
const done = (): Promise<void> =>
  eventually(
    async () => {
      const states = (await prefetch()).tracks.map(({ state }) => state);
      expect(states.filter((state) => state === "waiting" || state === "fetching")).toEqual([]);
    },
    { timeoutMs: 8000 },
  );
const parsed = ({ body }: RawResponse): Prefetch => JSON.parse(Buffer.from(body).toString()) as Prefetch;

test("a list of 10,000 unknown ids, replaced again and again while a track plays, holds nobody up", async () => {
  rig.up.resource("song", { size: 512 * KiB });
  const ids = Array.from({ length: MANY }, (_, n) => `unknown ${n} ü`);
  const turns = new Turns();
  for (let n = 0; n < 3; n += 1) {
    expect((await wish("next", ids)).status).toBe(200);
    assertBytes((await rig.get("song")).body, rig.up.bytes("song"));
  }
  const answer = await request({ port: rig.port, path: "/api/prefetch" });
  expect(turns.stop()).toBeLessThan(150);
  expect(parsed(answer).tracks).toHaveLength(MANY);
  expect(parsed(answer).lists["next"]?.ids[9]).toBe("u/unknown%209%20%C3%BC");
  await wish("next", []);
  expect(await prefetch()).toEqual({ lists: {}, tracks: [] });
});

test("a track on five lists is fetched once, and for as long as one of them names it", async () => {
  rig.up.resource("a", { size: MiB });
  rig.up.script("a", [{ do: { pace: 2_000_000 } }]);
  const names = ["one", "two", "three", "four", "five"];
  for (const name of names) await wish(name, ["a"], name === "three" ? "full" : "head");
  expect((await prefetch()).tracks).toHaveLength(1);
  for (const name of names.filter((one) => one !== "three")) await wish(name, []);
  await done();
  assertBytes((await rig.get("a?offline=1")).body, rig.up.bytes("a"));
  expect([rig.up.bytesSent("a"), rig.up.uniqueBytes("a")]).toEqual([MiB, MiB]);
});

test("DELETE takes one track off every list; the others stay; what is on none stays as well", async () => {
  rig.up.script("*", [{ do: { stall: "headers" } }]);
  for (const id of ["a", "b", "c"]) rig.up.resource(id, { size: MiB });
  await wish("one", ["a", "b"]);
  await wish("two", ["b"]);
  const cancel = (key: string): Promise<RawResponse> =>
    request({ port: rig.port, method: "DELETE", path: `/api/prefetch/${key}` });
  await eventually(() => expect(rig.up.live("b")).toBe(1));
  expect((await cancel("u/b")).status).toBe(204);
  expect((await cancel("u/c")).status).toBe(204);
  expect((await cancel("u")).status).toBe(400);
  expect(await prefetch()).toMatchObject({ lists: { one: { ids: ["u/a"] } }, tracks: [{ key: "u/a" }] });
  await eventually(() => expect(rig.up.live("b")).toBe(0));
  expect(rig.up.live("a")).toBe(1);
});

test("two clients that put at once keep a list each; of two puts of one list, the later stands whole", async () => {
  const lists = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const ids = Array.from({ length: 500 }, (__, at) => `u/${n}-${at}`);
      return await wish(n < 10 ? `own${n}` : "shared", ids, "head");
    }),
  );
  expect(lists.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
  const { lists: kept } = await prefetch();
  expect(Object.keys(kept).toSorted()).toEqual([...Array.from({ length: 10 }, (_, n) => `own${n}`), "shared"]);
  const [first = ""] = kept["shared"]?.ids ?? [];
  const writer = first.split("-")[0];
  expect(kept["shared"]?.ids.every((id, at) => id === `${writer}-${at}`)).toBe(true);
});

test("ids of all kinds come back as they were, whoever encodes what", async () => {
  const ids = ["é", "夜に駆ける", "a b", "100%25", "a%2Fb", "..", "'()*!", "%F0%9F%8E%B5", "x".repeat(200)];
  const keys = ids.map((id) => `u/${encoded(decodeURIComponent(id))}`);
  expect(parsed(await wish("next", ids)).lists["next"]?.ids).toEqual(keys);
  // As they were told, they can be put again.
  expect(parsed(await wish("again", keys)).lists["again"]?.ids).toEqual(keys);
});

test.each([
  ["an id that is none", ["a", "b\0c"], "ids[1]: An id has 1 to 200 characters and no control characters"],
  ["half a character", ["\ud800"], "ids[0]: "],
  ["what is encoded wrongly", ["50%"], "ids[0]: "],
  ["an empty id", ["u/"], "ids[0]: "],
  ["too long an id", ["x".repeat(201)], "ids[0]: "],
  ["a source's name that is none", ["U/x"], "ids[0]: "],
])("%s is refused with the place where it stands, and nothing changes", async (_what, ids, detail) => {
  await wish("next", ["good"]);
  const refused = await wish("next", ids);
  expect(refused.status).toBe(400);
  expect(JSON.parse(Buffer.from(refused.body).toString())).toMatchObject({
    code: "bad-request",
    detail: expect.stringContaining(detail),
  });
  expect((await prefetch()).lists["next"]?.ids).toEqual(["u/good"]);
});

test("bodies that are no lists, or too long, are refused; the lists together are bounded", async () => {
  for (const body of ["", "[]", "null", "{}", '{"ids":[1]}', '{"ids":{"0":"a"}}', '{"ids":["a"],"mode":"HEAD"}', "{"]) {
    expect([body, (await put("next", body)).status]).toEqual([body, 400]);
  }
  const huge = new Uint8Array(9 * MiB).fill(0x20);
  expect((await put("next", huge)).status).toBe(400);
  const most = Array.from({ length: 20_000 }, (_, n) => String(n));
  for (const name of ["one", "two"]) expect((await wish(name, most, "head")).status).toBe(200);
  expect((await wish("three", most.slice(0, 10_001), "head")).status).toBe(400);
  expect((await wish("two", most.slice(0, 100), "head")).status).toBe(200);
  expect((await wish("three", most.slice(0, 10_001), "head")).status).toBe(200);
});

test("chunks that are fetched ahead are told of, each once", async () => {
  rig.up.resource("a", { size: 3 * MiB + 1 });
  const told: string[] = [];
  rig.proxy.on("chunk", ({ key, index, from }) => told.push(`${key} ${index} ${from}`));
  await wish("next", ["a"]);
  await done();
  expect(told).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => `u/a ${index} upstream`));
});
