import { describe, expect, it } from "vitest";
import { cacheWorld, MB } from "./cache-world.ts";
import { type FakeOptions, problem } from "./fake-owner.ts";

const { owner, finished } = cacheWorld();

const found = [
  { key: "demo/one", title: "One\u001b[31mSong", artist: "Her", album: "LP", durationMs: 185_000, complete: true },
  { key: "other/a%2Fb", title: "Two", complete: false },
];

/** An owner that answers searches so. */
function searching(answer: object): FakeOptions {
  return {
    override({ path }, response) {
      if (!path.startsWith("/api/search")) return false;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
      return true;
    },
  };
}

describe("search", () => {
  it("shows what was found, as it can be played, and nothing that steers the terminal", async () => {
    const fake = await owner(searching({ tracks: found }));
    const { code, lines, stderr } = await finished(["search", "some", "words", "--limit", "5"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ["ID", "TITLE", "ARTIST", "LENGTH", "ALBUM", "CACHED"],
      ["one", expect.stringMatching(/^One.*Song$/), "Her", "3:05", "LP", "yes"],
      ["other/a%2Fb", "Two"],
    ]);
    expect(lines.join("")).not.toContain("\u001b[31m");
    expect(fake.seen.map(({ path }) => path)).toContain("/api/search?q=some+words&limit=5");
  });

  it("asks the source that is named", async () => {
    const fake = await owner(searching({ tracks: [] }));
    const { code, lines } = await finished(["search", "x", "--source", "other"]);
    expect([code, lines]).toEqual([0, ["Nothing was found; try fewer or other words"]]);
    expect(fake.seen.at(-1)?.path).toBe("/api/search?q=x&limit=20&source=other");
  });

  it("says what there is where the named source is none", async () => {
    await owner();
    const { code, stderr } = await finished(["search", "x", "--source", "nope"]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^afterbay: There is no source nope; .* has demo, other\.\n$/),
    ]);
  });

  it("is JSON with --json, and tells of a source that failed", async () => {
    await owner(searching({ tracks: found, failed: [{ source: "other", code: "busy", detail: "wait" }] }));
    const { code, lines, stderr } = await finished(["search", "x", "--json"]);
    expect(JSON.parse(lines.join(""))).toEqual({
      tracks: found,
      failed: [{ source: "other", code: "busy", detail: "wait" }],
    });
    expect([code, stderr]).toEqual([1, "afterbay: other: wait (busy)\n"]);
  });

  it("says in one line why it cannot", async () => {
    await owner({
      override({ path }, response) {
        if (!path.startsWith("/api/search")) return false;
        problem(response, 503, "busy", "YouTube limits requests: wait");
        return true;
      },
    });
    expect(await finished(["search", "x"])).toMatchObject({
      code: 1,
      stderr: "afterbay: YouTube limits requests: wait\n",
    });
  });

  it.each([
    ["no words", ["search", " "]],
    ["a limit that is none", ["search", "x", "--limit", "0"]],
    ["too large a limit", ["search", "x", "--limit", "101"]],
  ])("%s is misuse", async (_what, argv) => {
    const fake = await owner();
    const { code, stderr } = await finished(argv);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^afterbay: [^\n]+\n$/)]);
    expect(fake.seen.filter(({ path }) => path.includes("search"))).toEqual([]);
  });
});

describe("lists and links as ids", () => {
  /** An owner that knows one playlist and one link. */
  const knowing: FakeOptions = {
    tracks: [
      { key: "demo/a", size: MB, cachedBytes: 0 },
      { key: "other/b", size: MB, cachedBytes: 0 },
    ],
    override({ path, body }, response) {
      if (path !== "/api/expand") return false;
      const [id = ""] = (body as { ids: string[] }).ids;
      if (id === "demo/playlist%3Anone") {
        problem(response, 404, "not-found", "There is no such list");
        return true;
      }
      const tracks =
        { "demo/playlist%3Ax": ["demo/a", "other/b"], "https://youtu.be/y": ["other/b"] }[id] ??
        (body as { ids: string[] }).ids;
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ tracks: tracks.map((key) => ({ key })) }));
      return true;
    },
  };

  it("stand for their tracks, each once, and one that fails is a line", async () => {
    const fake = await owner(knowing);
    const argv = ["prefetch", "playlist:none", "https://youtu.be/y", "a", "playlist:x", "--json"];
    const { code, lines, stderr } = await finished(argv);
    expect([code, stderr]).toEqual([1, "afterbay: playlist:none: There is no such list (not-found)\n"]);
    expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ done: true, fetched: 2, failed: 1 });
    const [wished] = fake.seen.filter(({ path }) => path.startsWith("/api/prefetch")).map(({ body }) => body);
    expect(wished).toMatchObject({ ids: ["other/b", "demo/a"] });
  });

  it("a link belongs to the source that is named", async () => {
    const fake = await owner(knowing);
    await finished(["prefetch", "--source", "other", "https://youtu.be/y"]);
    const [asked] = fake.seen.filter(({ path }) => path === "/api/expand").map(({ body }) => body);
    expect(asked).toEqual({ ids: ["other/https%3A%2F%2Fyoutu.be%2Fy"] });
  });

  it("can be pinned, and a link be shown", async () => {
    const fake = await owner(knowing);
    expect((await finished(["cache", "pin", "playlist:x"])).code).toBe(0);
    expect([...fake.tracks.values()].map(({ key, pinned }) => [key, pinned])).toEqual([
      ["demo/a", true],
      ["other/b", true],
    ]);
    await finished(["cache", "show", "other/https://youtu.be/y?a=%2F"]);
    expect(fake.seen.at(-1)?.path).toBe("/api/tracks/other/https%3A%2F%2Fyoutu.be%2Fy%3Fa%3D%252F");
    expect(await finished(["cache", "show", `https://youtu.be/${"y".repeat(200)}`])).toMatchObject({ code: 2 });
  });
});
