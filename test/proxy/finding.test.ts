import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deferred } from "../../src/data-source/aborting.ts";
import type { Resolver } from "../../src/data-source/resolution.ts";
import { AfterbayError } from "../../src/errors.ts";
import { AutoQueue } from "../../src/player/auto-queue.ts";
import { Playback } from "../../src/player/playback.ts";
import { proxySimilar } from "../../src/player/proxy-similar.ts";
import { remoteControl } from "../../src/player/remote-control.ts";
import { RemoteProxy } from "../../src/player/remote-proxy.ts";
import { createYouTube } from "../../src/resolvers/youtube/youtube.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type FakeYouTube, startFakeYouTube } from "../helpers/innertube/fake.ts";
import type { FakeSong } from "../helpers/innertube/music.ts";
import type { FakeFormat } from "../helpers/innertube/video.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { FakeDriver } from "../player/fake-driver.ts";

const ID = "dQw4w9WgXcQ";
const PL = "PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf";
const LINKS = [
  `https://music.youtube.com/watch?v=${ID}&si=abc`,
  `https://youtu.be/${ID}`,
  `https://www.youtube.com/shorts/${ID}`,
  `https://www.youtube.com/watch?v=${ID}&list=${PL}`,
];
const FORMATS: readonly FakeFormat[] = [{ itag: 251, size: 100_000, lmt: "1700000000000251" }];

let yt: FakeYouTube;
let rig: Rig;
/** What the source `shelf` does when it is searched. */
let shelf: Partial<Resolver>;
beforeEach(async () => {
  yt = await startFakeYouTube();
  yt.video(ID, { formats: FORMATS });
  shelf = {};
  const resolver: Resolver = {
    resolve: () => Promise.reject(new AfterbayError("not-found", "Nothing here")),
    list: async () => [
      { id: "a", title: "Été à Paris", artist: "Zoé", album: "Blue" },
      { id: "b", title: "Blue Paris", artist: "Bob" },
      { id: "c", title: "Other" },
    ],
    ...Object.fromEntries(["search", "similar"].map((name) => [name, undefined])),
  };
  const own: Resolver = new Proxy(resolver, {
    get: (target, name) => Reflect.get(shelf, name) ?? (Reflect.get(target, name) as unknown),
  });
  const youtube = await createYouTube(`base=${yt.origin}`);
  // Busy machines take their time to load youtubei.js.
  rig = await startRig({
    sources: [
      { key: "shelf", resolver: own },
      { key: "music", resolver: youtube },
    ],
    firstByteMs: 15_000,
  });
});
afterEach(async () => {
  await rig.close();
  await yt.close();
});

interface Answer {
  readonly status: number;
  readonly body: {
    readonly tracks: readonly Record<string, unknown>[];
    readonly lists: Record<string, { ids: string[] }>;
    readonly [field: string]: unknown;
  };
  readonly headers: Readonly<Record<string, string>>;
}

async function ask(path: string, body?: unknown, options: RequestInit = {}): Promise<Answer> {
  const payload = body === undefined ? {} : { body: JSON.stringify(body) };
  const got = await fetch(`http://127.0.0.1:${rig.port}${path}`, { ...payload, ...options });
  const text = await got.text();
  const headers = Object.fromEntries(got.headers);
  return { status: got.status, headers, body: JSON.parse(text === "" ? "{}" : text) };
}

const put = (ids: readonly string[], list = "l"): Promise<Answer> =>
  ask(`/api/prefetch?list=${list}`, { ids, mode: "head" }, { method: "PUT" });
const idsIn = ({ body }: Answer): unknown[] => body.tracks.map(({ id }) => id);
const songs = (count: number): FakeSong[] =>
  Array.from({ length: count }, (_, n) => ({ id: `track${String(n).padStart(6, "0")}` }));

describe("one track has one name", () => {
  test("whatever link it is played by, it is cached once, and every address of it is the same track's", async () => {
    const first = await rig.get(`music/${encodeURIComponent(LINKS[0] ?? "")}`);
    assertBytes(first.body, yt.bytes(ID, 251));
    await eventually(async () => expect((await ask(`/api/tracks/music/${ID}`)).body).toMatchObject({ complete: true }));
    for (const name of [ID, ...LINKS].map(encodeURIComponent)) {
      const got = await rig.get(`music/${name}`);
      expect(got.headers["cache-status"]).toBe("afterbay; hit");
      assertBytes(got.body, yt.bytes(ID, 251));
      expect((await ask(`/api/tracks/music/${name}`)).body).toMatchObject({
        id: ID,
        key: `music/${ID}`,
        complete: true,
      });
      expect((await ask(`/api/tracks/music/${name}/pin`, undefined, { method: "PUT" })).body).toMatchObject({ id: ID });
    }
    expect(yt.calls).toHaveLength(1);
    expect(idsIn(await ask("/api/tracks")).filter((id) => id === ID)).toHaveLength(1);
    expect((await ask(`/api/sessions?key=music/${encodeURIComponent(LINKS[1] ?? "")}`)).body["sessions"]).not.toEqual(
      [],
    );
    const link = encodeURIComponent(LINKS[2] ?? "");
    expect((await ask(`/api/tracks/music/${link}`, undefined, { method: "DELETE" })).status).toBe(204);
    expect((await rig.get(`music/${ID}?offline=1`)).status).toBe(504);
  });

  test("a wish list takes links as they are, for the source that knows them, and names each track once", async () => {
    const { body } = await put([ID, `music/${ID}`, `music/${encodeURIComponent(LINKS[0] ?? "")}`, ...LINKS]);
    expect(body.lists["l"]?.ids).toEqual([`shelf/${ID}`, `music/${ID}`]);
    // What no source knows is an id of the default one, which says that there is none; the others are fetched.
    await put(["https://example.com/song", LINKS[1] ?? ""]);
    await eventually(async () => {
      const { tracks } = (await ask("/api/prefetch")).body;
      expect(tracks.map(({ key, state, code }) => [key, state, code])).toEqual([
        ["shelf/https%3A%2F%2Fexample.com%2Fsong", "failed", "not-found"],
        [`music/${ID}`, "done", undefined],
      ]);
    });
    expect((await put(["https://youtu.be/" + "x".repeat(200)])).body).toMatchObject({ code: "bad-request" });
  });

  test("the library knows it by one name, too", async () => {
    expect(rig.proxy.urlFor(LINKS[0] ?? "", "music")).toBe(rig.proxy.urlFor(ID, "music"));
    expect(await rig.proxy.prefetch(LINKS, { source: "music" })).toEqual(LINKS.map((id) => ({ id, state: "cached" })));
    expect(yt.calls).toHaveLength(1);
  });
});

describe("playlists on wish lists", () => {
  test("stand for their tracks, in their place", async () => {
    yt.music.playlist(PL, { songs: songs(3) });
    const { body } = await put([
      "shelf/a",
      `music/playlist:${PL}`,
      `https://music.youtube.com/playlist?list=${PL}`,
      LINKS[0] ?? "",
    ]);
    expect(body.lists["l"]?.ids).toEqual(["shelf/a", ...songs(3).map(({ id }) => `music/${id}`), `music/${ID}`]);
    expect(yt.music.asked()).toEqual([`browse VL${PL}`]);
  });

  test("that cannot be had leave the list as it was, and one error says why", async () => {
    await put(["shelf/a"]);
    yt.music.instead = { status: 429, headers: { "retry-after": "40" } };
    const refused = await put([`music/playlist:${PL}`, "shelf/b"]);
    expect([refused.status, refused.headers["retry-after"], refused.body["code"]]).toEqual([503, "40", "busy"]);
    expect(refused.body["detail"]).toContain("429");
    await put([`music/playlist:${PL}x`]);
    expect(yt.music.calls).toHaveLength(1);
    expect((await ask("/api/prefetch")).body.lists["l"]?.ids).toEqual(["shelf/a"]);
  });

  test("of two replacements that overtake each other, the later one counts", async () => {
    yt.music.playlist(PL, { songs: songs(1) });
    const gate = deferred();
    yt.music.gate = gate.promise;
    const slow = put([`music/playlist:${PL}`]);
    await eventually(() => expect(yt.music.calls).toHaveLength(1), { timeoutMs: 10_000 });
    await put(["shelf/b"]);
    await put(["shelf/c"], "other");
    gate.resolve();
    expect((await slow).status).toBe(200);
    const { lists } = (await ask("/api/prefetch")).body;
    expect([lists["l"]?.ids, lists["other"]?.ids]).toEqual([["shelf/b"], ["shelf/c"]]);
  });

  test("one whose client leaves changes nothing, and asks for nothing more", async () => {
    yt.music.hangs = true;
    const gone = new AbortController();
    const left = ask("/api/prefetch?list=l", { ids: [`music/radio:${ID}`] }, { method: "PUT", signal: gone.signal });
    left.catch(() => {});
    await eventually(() => expect(yt.hanging).toBe(1), { timeoutMs: 10_000 });
    gone.abort();
    await expect(left).rejects.toThrow();
    await eventually(() => expect(yt.hanging).toBe(0), { timeoutMs: 10_000 });
    expect((await ask("/api/prefetch")).body.lists).toEqual({});
    expect(rig.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("at most twenty are taken at once", async () => {
    yt.music.playlist(PL, { songs: songs(1) });
    const { status, body } = await put(Array.from({ length: 21 }, () => `music/playlist:${PL}`));
    expect([status, body["detail"]]).toEqual([400, expect.stringContaining("At most 20")]);
  });
});

describe("GET /api/search", () => {
  test("answers tracks of all sources that can search, as everywhere in the API", async () => {
    yt.music.search("blue", { songs: [{ id: ID, title: "Blue", artists: ["Her"], album: "LP", length: "3:05" }] });
    const { status, body } = await ask("/api/search?q=%20blue%20&source=");
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(["tracks"]);
    expect(body.tracks.map(({ key }) => key)).toEqual(["shelf/b", "shelf/a", `music/${ID}`]);
    expect(body.tracks[2]).toEqual({
      source: "music",
      id: ID,
      key: `music/${ID}`,
      title: "Blue",
      artist: "Her",
      album: "LP",
      durationMs: 185_000,
      artwork: `/api/tracks/music/${ID}/artwork`,
      cachedBytes: 0,
      complete: false,
      pinned: false,
      chunkSize: 524_288,
      chunks: "",
      spans: [],
    });
    // What was told is known from then on.
    expect((await ask(`/api/tracks/music/${ID}`)).body).toMatchObject({ title: "Blue", album: "LP", cachedBytes: 0 });
    expect((await ask("/api/tracks/music/track000000")).status).toBe(404);
  });

  test.each([
    ["paris", ["a", "b"]],
    ["ETE zoe", ["a"]],
    ["paris blue", ["b", "a"]],
    ["paris blue bob", ["b"]],
    ["nothing", []],
  ])("finds %s in a source that lists its tracks", async (words, found) => {
    expect(idsIn(await ask(`/api/search?source=shelf&q=${encodeURIComponent(words)}`))).toEqual(found);
    expect(yt.music.calls).toEqual([]);
  });

  test("asks a source as often as is needed, and takes of its answer what tracks are", async () => {
    shelf.search = async (words, { limit }) =>
      [
        { id: words, title: String(limit) },
        null,
        { title: "no id" },
        { id: "x\u0000" },
        { id: "2" },
        { id: "3" },
      ] as never;
    expect(idsIn(await ask("/api/search?q=w&source=shelf&limit=2"))).toEqual(["w", "2"]);
  });

  test.each([
    "q=",
    "q=%20%20",
    "",
    `q=${"x".repeat(201)}`,
    "q=a%00b",
    "q=x&limit=0",
    "q=x&limit=101",
    "q=x&limit=y",
    "q=x&source=none",
  ])("?%s is a bad request, and asks nobody", async (query) => {
    const { status, body } = await ask(`/api/search?${query}`);
    expect([status, body["code"]]).toEqual([400, "bad-request"]);
    expect(yt.music.calls).toEqual([]);
  });

  test("tells of a source that fails beside the others, and fails where all do", async () => {
    yt.music.instead = { status: 200, body: "<html>Before you continue</html>" };
    const { status, body } = await ask("/api/search?q=blue");
    expect([status, body.tracks.length]).toEqual([200, 2]);
    expect(body["failed"]).toEqual([
      { source: "music", code: "upstream-failed", detail: expect.stringContaining("web page") },
    ]);
    const alone = await ask("/api/search?q=blue&source=music");
    expect([alone.status, alone.body["code"]]).toEqual([502, "upstream-failed"]);
    yt.music.instead = { status: 503 };
    const down = await ask("/api/search?q=blue&source=music");
    expect([down.status, down.body["code"], down.body["detail"]]).toEqual([
      502,
      "upstream-failed",
      "YouTube failed (503)",
    ]);
    expect(yt.music.calls).toHaveLength(3);
  });

  test("is not for pages of others", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await ask("/api/search?q=x", undefined, { headers })).status).toBe(403);
    expect((await ask(`/api/tracks/music/${ID}/similar`, undefined, { headers })).status).toBe(403);
    expect(yt.music.calls).toEqual([]);
  });
});

describe("the player in the room", () => {
  test("plays links and playlists, and goes on with what is similar where that is wanted", async () => {
    const playback = new Playback({
      driver: new FakeDriver(),
      urlFor: ({ source, id }) => rig.proxy.urlFor(id, source),
      outcomeOf: () => undefined,
    });
    const auto = new AutoQueue(playback, { similar: proxySimilar(rig.proxy) });
    const post = (verb: string, body: object): Promise<Answer> => ask(`/api/player/${verb}`, body, { method: "POST" });
    const queue = async (): Promise<unknown[]> =>
      ((await ask("/api/player")).body["queue"] as { id: string; title?: string }[]).map(
        ({ id, title }) => title ?? id,
      );
    try {
      rig.proxy.attachPlayer(remoteControl(playback));
      expect((await post("auto", { auto: true })).status).toBe(404);
      rig.proxy.attachPlayer(remoteControl(playback, auto));
      yt.music.playlist(PL, { songs: [{ id: "track000000", title: "Zero" }] });
      yt.music.radio(ID, {
        songs: [{ id: ID }, { id: "track000000", title: "Zero" }, { id: "track000001", title: "One" }],
      });
      await post("play", { ids: [`music/playlist:${PL}`, LINKS[0]] });
      expect(await queue()).toEqual(["Zero", ID]);
      expect((await post("play", { ids: ["music/playlist:PLnone"] })).body["code"]).toBe("not-found");
      expect(yt.music.asked()).toEqual([`browse VL${PL}`, "browse VLPLnone"]);
      expect((await post("auto", { auto: true })).body["auto"]).toBe(true);
      await eventually(async () => expect(await queue()).toEqual(["Zero", ID, "One"]));
      expect(yt.music.asked()).toEqual([`next RDAMVM${ID}`]);
    } finally {
      auto.close();
      await playback.close();
    }
  });
});

describe("what ids stand for, and what is like a track", () => {
  test("POST /api/expand answers the tracks of lists, and each other id as it is", async () => {
    yt.music.playlist(PL, { songs: [{ id: ID, title: "Named" }] });
    const { body } = await ask("/api/expand", { ids: ["a", `music/playlist:${PL}`, "other"] }, { method: "POST" });
    expect(body.tracks).toMatchObject([
      { key: "shelf/a", title: "Été à Paris" },
      { key: `music/${ID}`, title: "Named" },
      { key: "shelf/other" },
    ]);
    expect((await ask("/api/expand", {}, { method: "POST" })).body["code"]).toBe("bad-request");
    expect((await ask("/api/expand", { ids: ["music/playlist:PLnone"] }, { method: "POST" })).status).toBe(404);
  });

  test("similar tracks come without the track, where its source knows them", async () => {
    yt.music.radio(ID, { songs: [{ id: ID }, ...songs(30)] });
    expect(idsIn(await ask(`/api/tracks/music/${ID}/similar?limit=3`))).toEqual(songs(3).map(({ id }) => id));
    const { status, body } = await ask("/api/tracks/shelf/a/similar");
    expect([status, body["code"]]).toEqual([400, "bad-request"]);
  });

  test("players learn what to play on, in this process and from another", async () => {
    yt.music.radio(ID, { songs: [{ id: ID }, ...songs(40)] });
    const remote = new RemoteProxy({ url: `http://127.0.0.1:${rig.port}`, list: "test" });
    const { signal } = new AbortController();
    const expected = songs(25).map(({ id }) => ({ source: "music", id }));
    expect(await remote.similar({ source: "music", id: ID }, signal)).toEqual(expected);
    expect(await proxySimilar(rig.proxy)({ source: "music", id: ID }, signal)).toMatchObject(expected);
    await expect(remote.similar({ source: "shelf", id: "a" }, signal)).rejects.toThrow("400");
    await expect(remote.similar({ source: "music", id: ID }, AbortSignal.abort(new Error("off")))).rejects.toThrow(
      "off",
    );
  });

  test("the library finds the same", async () => {
    yt.music.radio(ID, { songs: [{ id: ID }, { id: "track000000", title: "Next" }] });
    const { proxy } = rig;
    expect(await proxy.search("paris", { limit: 1, source: "shelf" })).toMatchObject([{ source: "shelf", id: "a" }]);
    expect(await proxy.expand([`music/radio:${ID}`])).toHaveLength(2);
    expect(await proxy.similar(ID, { source: "music" })).toMatchObject([
      { source: "music", id: "track000000", title: "Next" },
    ]);
    expect(proxy.factsOf({ source: "music", id: "track000000" })).toMatchObject({ title: "Next" });
    await expect(proxy.expand(["a/b/c"])).rejects.toMatchObject({ code: "bad-request" });
    await expect(proxy.similar("a")).rejects.toMatchObject({ code: "bad-request" });
    await expect(proxy.search("x", { signal: AbortSignal.abort(new Error("gone")) })).rejects.toThrow("gone");
  });
});
