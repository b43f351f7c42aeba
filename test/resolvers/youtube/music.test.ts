import { describe, expect, it } from "vitest";
import type { CatalogueTrack, FindRequest } from "../../../src/data-source/resolution.ts";
import { type AfterbayError, isAfterbayError } from "../../../src/errors.ts";
import type { FakeSong } from "../../helpers/innertube/music.ts";
import { eventually } from "../../helpers/process.ts";
import { ID, startWorld, type World } from "./world.ts";

const PL = "PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf";
const ALBUM = "MPREb_4pL8gzRtw1p";

const idOf = (n: number): string => `track${String(n).padStart(6, "0")}`;
const songs = (count: number, from = 0): FakeSong[] =>
  Array.from({ length: count }, (_, n) => ({ id: idOf(from + n) }));
const idsOf = (tracks: readonly CatalogueTrack[] | undefined): string[] => (tracks ?? []).map(({ id }) => id);
const ids = (count: number, from = 0): string[] => songs(count, from).map(({ id }) => id);

function about(limit = 20, signal = new AbortController().signal): FindRequest {
  return { limit, signal };
}

const search = async ({ resolver }: World, words: string, request = about()): Promise<readonly CatalogueTrack[]> =>
  (await resolver.search?.(words, request)) ?? [];
const expand = async ({ resolver }: World, id: string, limit = 1000): Promise<readonly CatalogueTrack[]> =>
  (await resolver.expand?.(id, about(limit))) ?? [];

async function failure(promise: Promise<unknown>): Promise<AfterbayError> {
  const outcome: unknown = await promise.catch((error: unknown) => error);
  if (isAfterbayError(outcome)) return outcome;
  throw new Error("It did not fail as it should", { cause: outcome });
}

describe("search", () => {
  it("finds songs with what is told of them, by one request", async () => {
    const world = await startWorld();
    world.yt.music.search("blue train", {
      songs: [
        { id: ID, title: "Blue Train", artists: ["John Coltrane", "Lee Morgan"], album: "Blue Train", length: "10:43" },
        { id: idOf(1), title: "Long", length: "1:02:03" },
      ],
    });
    expect(await search(world, "blue train")).toEqual([
      {
        id: ID,
        title: "Blue Train",
        artist: "John Coltrane, Lee Morgan",
        album: "Blue Train",
        durationMs: 643_000,
        artwork: `https://lh3.googleusercontent.com/${ID}=w544-h544-l90-rj`,
      },
      expect.objectContaining({ id: idOf(1), artist: "The Band", durationMs: 3_723_000 }),
    ]);
    expect(world.yt.music.calls).toEqual([
      expect.objectContaining({ client: "WEB_REMIX", query: "blue train", params: "EgWKAQIIAQ%3D%3D" }),
    ]);
    expect(world.yt.strange).toEqual([]);
  });

  it("looks for videos where there is no song, and finds nothing where there is none either", async () => {
    const world = await startWorld();
    world.yt.music.search("bootleg", { songs: songs(2) }, "videos");
    expect(idsOf(await search(world, "bootleg"))).toEqual(ids(2));
    expect(await search(world, "nothing at all")).toEqual([]);
    expect(world.yt.music.asked()).toHaveLength(4);
  });

  it("goes on to further pages as far as is asked for, each track once", async () => {
    const world = await startWorld();
    world.yt.music.search("many", { songs: [...songs(30), ...songs(5), ...songs(30, 30)], page: 20 });
    expect(idsOf(await search(world, "many", about(45)))).toEqual(ids(45));
    expect(world.yt.music.asked()).toHaveLength(3);
    expect(idsOf(await search(world, "many", about(7)))).toEqual(ids(7));
    expect(world.yt.music.asked()).toHaveLength(1);
  });

  it("asks once for what several want at once, and for what was asked a moment ago", async () => {
    const world = await startWorld();
    world.yt.music.search("x", { songs: songs(3) });
    await Promise.all(Array.from({ length: 5 }, () => search(world, "x")));
    await search(world, "x");
    expect(world.yt.music.asked()).toHaveLength(1);
    world.time += 60_001;
    await search(world, "x");
    expect(world.yt.music.asked()).toHaveLength(1);
  });

  it("ends a request that nobody waits for any more, and no other's", async () => {
    const world = await startWorld();
    world.yt.music.hangs = true;
    const [one, two] = [new AbortController(), new AbortController()];
    const first = search(world, "x", about(20, one.signal)).catch((error: unknown) => error);
    const second = search(world, "x", about(20, two.signal)).catch((error: unknown) => error);
    await eventually(() => expect(world.yt.hanging).toBe(1), { timeoutMs: 10_000 });
    one.abort(new Error("one"));
    expect(await first).toEqual(new Error("one"));
    expect(world.yt.hanging).toBe(1);
    two.abort(new Error("two"));
    expect(await second).toEqual(new Error("two"));
    await eventually(() => expect(world.yt.hanging).toBe(0), { timeoutMs: 10_000 });
  });

  it("asks as the version that is configured", async () => {
    const world = await startWorld({}, "&clients=VISIONOS,YTMUSIC@1.20261101.00.00");
    await search(world, "x");
    expect(world.yt.music.calls[0]).toMatchObject({ client: "WEB_REMIX", version: "1.20261101.00.00" });
    expect(world.yt.strange).toEqual([]);
  });
});

describe("lists", () => {
  it.each(["old", "new"] as const)(
    "follows a playlist through its pages, without what is suggested (%s)",
    async (how) => {
      const world = await startWorld();
      const list = [
        ...songs(100),
        { id: "gonegonegon", gone: true },
        { id: "greygreygre", gone: "grey" as const },
        ...songs(149, 100),
      ];
      world.yt.music.playlist(PL, { songs: list, page: 100, continuations: how, plainShelf: how === "old" });
      expect(idsOf(await expand(world, `playlist:${PL}`))).toEqual(ids(249));
      expect(world.yt.music.asked()).toHaveLength(3);
      // A link to it is the same list.
      await expand(world, `https://music.youtube.com/playlist?list=${PL}`);
      expect(world.yt.music.asked()).toEqual([]);
      expect(await expand(world, `playlist:${PL}`, 150)).toHaveLength(150);
      expect(world.yt.music.asked()).toHaveLength(2);
    },
  );

  it("gives an album's tracks what is said of the album", async () => {
    const world = await startWorld();
    const list = {
      title: "The Album",
      artist: "The Artist",
      songs: [
        { id: ID, title: "One" },
        { id: idOf(1), artists: ["Guest"] },
      ],
    };
    world.yt.music.album(ALBUM, list);
    expect(await expand(world, `album:${ALBUM}`)).toEqual([
      {
        id: ID,
        title: "One",
        artist: "The Artist",
        album: "The Album",
        durationMs: 200_000,
        artwork: "https://lh3.googleusercontent.com/cover=w544-h544-l90-rj",
      },
      expect.objectContaining({ id: idOf(1), artist: "Guest", album: "The Album" }),
    ]);
    expect(world.yt.music.asked()).toEqual([`browse ${ALBUM}`]);
  });

  it("plays a radio from its own track on, each track once, also where it is had in two steps", async () => {
    for (const twoSteps of [false, true]) {
      const world = await startWorld();
      world.yt.music.twoSteps = twoSteps;
      const list = [{ id: ID, album: "A" }, ...songs(30), ...songs(60)];
      world.yt.music.radio(ID, { songs: list, page: 25 });
      expect(idsOf(await expand(world, `radio:${ID}`, 50))).toEqual([ID, ...ids(49)]);
      // Of the second page 6 are new, of the third 14.
      expect(world.yt.music.asked()).toHaveLength(twoSteps ? 5 : 4);
      const alike = await world.resolver.similar?.(`https://youtu.be/${ID}`, about(10));
      expect(idsOf(alike)).toEqual(ids(10));
    }
  });

  it("plays a mix", async () => {
    const world = await startWorld();
    world.yt.music.radio(ID, { songs: songs(3) });
    expect(await expand(world, `playlist:RDAMVM${ID}`)).toHaveLength(3);
  });

  it("leaves ids of tracks alone, and what is none", async () => {
    const { resolver, yt } = await startWorld();
    for (const id of [ID, `https://youtu.be/${ID}`, "none", "https://example.com/playlist?list=PLx", "playlist:"]) {
      expect(resolver.expand?.(id, about())).toBeUndefined();
    }
    expect(yt.music.calls).toEqual([]);
  });

  it("says that a list is no track, without asking", async () => {
    const world = await startWorld();
    for (const id of [`playlist:${PL}`, `radio:${ID}`, `https://music.youtube.com/playlist?list=${PL}`]) {
      const { code, message } = await world.failure(id);
      expect([code, message]).toEqual(["not-found", expect.stringContaining("list of tracks")]);
    }
    expect(world.asked()).toEqual([]);
  });

  it.each([
    ["a playlist that there is none of", `playlist:${PL}`, 1],
    ["one that is empty, or shown to nobody", "playlist:PLempty", 1],
    ["an album that there is none of", `album:${ALBUM}`, 1],
    ["a track without a radio", `radio:${ID}`, 1],
  ])("%s is one error, not-found", async (_what, id, requests) => {
    const world = await startWorld();
    world.yt.music.playlist("PLempty", { songs: [] });
    expect(await failure(expand(world, id))).toMatchObject({
      code: "not-found",
      message: expect.stringMatching(/;|,/),
    });
    expect(world.yt.music.calls).toHaveLength(requests);
  });

  it("comes to an end where pages lead in a circle, or to ever new ones", async () => {
    const world = await startWorld();
    world.yt.music.playlist(PL, { songs: songs(10), page: 10, circular: true });
    expect((await expand(world, `playlist:${PL}`)).length).toBeLessThanOrEqual(20);
    expect(world.yt.music.asked()).toHaveLength(2);
    world.yt.music.playlist("PLlong", { songs: songs(100), page: 1 });
    expect(await expand(world, "playlist:PLlong")).toHaveLength(12);
    expect(world.yt.music.asked()).toHaveLength(12);
  });

  it("tells of no half list: a page that fails is the answer", async () => {
    const world = await startWorld();
    world.yt.music.playlist(PL, { songs: songs(30), page: 10 });
    world.yt.music.instead = { status: 503, after: 2 };
    expect((await failure(expand(world, `playlist:${PL}`))).code).toBe("transient");
    expect(world.yt.music.calls).toHaveLength(3);
  });
});

describe("what YouTube says in place of a list", () => {
  const captcha = "<html>Our systems have detected unusual traffic: captcha</html>";
  it.each([
    ["429", { status: 429, headers: { "retry-after": "30" } }, "busy", 30_000],
    ["a captcha", { status: 200, body: captcha }, "busy", 60_000],
    ["a redirect to one", { status: 302, headers: { location: "https://www.google.com/sorry/index" } }, "busy", 60_000],
  ])("%s: no more is asked for until then; tracks play", async (_what, instead, code, wait) => {
    const world = await startWorld();
    world.yt.music.instead = instead;
    for (const id of ["one", "two", "one"]) {
      expect(await failure(search(world, id))).toMatchObject({ code, retryAfterMs: wait });
    }
    expect((await failure(expand(world, `radio:${ID}`))).code).toBe(code);
    expect(world.yt.music.calls).toHaveLength(1);
    expect((await world.resolve()).url).toContain("/videoplayback");
    world.time += wait + 1;
    world.yt.music.instead = undefined;
    await search(world, "one");
  });

  it.each([
    ["a page", { status: 200, body: "<html>Before you continue</html>" }, "web page"],
    ["no JSON", { status: 200, body: "oops" }, "not JSON"],
    ["JSON of something else", { status: 200, body: '{"contents":{"other":[1,null,{"a":[]}]}}' }, "understood"],
    ["an empty object", { status: 200, body: "{}" }, "understood"],
    ["a refusal", { status: 403 }, "refuses"],
  ])("%s: one error that says what to do, one request", async (_what, instead, words) => {
    const world = await startWorld();
    world.yt.music.instead = { headers: { "content-type": "application/json" }, ...instead };
    const error = await failure(search(world, "x"));
    expect(error).toMatchObject({ code: "upstream-failed", message: expect.stringContaining(words) });
    expect(error.message).not.toMatch(/SECRET|\n/);
    expect(world.yt.music.calls).toHaveLength(1);
  });

  it("reads what it can of rows that lack things, and survives what no row is", async () => {
    const world = await startWorld();
    const item = (more: object): object => ({ musicResponsiveListItemRenderer: more });
    const text = (...runs: unknown[]): object => ({ musicResponsiveListItemFlexColumnRenderer: { text: { runs } } });
    const deep = "[".repeat(20_000) + "]".repeat(20_000);
    const contents = [
      item({ playlistItemData: { videoId: ID } }),
      item({
        playlistItemData: { videoId: idOf(1) },
        flexColumns: [
          text({ text: "Only" }),
          text({ text: "Song" }, { text: " • " }, { text: "Someone" }, { text: " • " }, { text: "3:05" }),
        ],
      }),
      item({
        flexColumns: [text({ text: "T", navigationEndpoint: { watchEndpoint: { videoId: idOf(2) } } })],
        thumbnail: { thumbnails: "none" },
      }),
      item({ playlistItemData: { videoId: "no id at all" }, flexColumns: 5 }),
      item({ playlistItemData: null, thumbnail: { thumbnails: [{ url: "javascript:alert(1)" }] } }),
      { adSlotRenderer: {} },
      null,
      5,
      "DEEP",
    ];
    const body = JSON.stringify({
      contents: { sectionListRenderer: { contents: [{ unknownShelfRenderer: { contents } }] } },
    });
    const headers = { "content-type": "application/json" };
    world.yt.music.instead = { status: 200, body: body.replace('"DEEP"', deep), headers };
    expect(await search(world, "x")).toEqual([
      { id: ID },
      { id: idOf(1), title: "Only", artist: "Someone", durationMs: 185_000 },
      { id: idOf(2), title: "T" },
    ]);
  });
});

describe("what lists tell of a track", () => {
  it("goes into its resolution where the player's answer lacks it", async () => {
    const world = await startWorld({ title: "From the player" });
    world.yt.music.search("x", { songs: [{ id: ID, title: "From the list", album: "The Album" }] });
    expect((await world.resolve()).album).toBeUndefined();
    await search(world, "x");
    expect(await world.resolve()).toMatchObject({ title: "From the player", album: "The Album", id: ID });
  });
});
