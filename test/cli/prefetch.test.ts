import { describe, expect, it, vi } from "vitest";
import { cacheWorld, MB } from "./cache-world.ts";
import { type FakeOwner, problem } from "./fake-owner.ts";

const { owner, begin, finished } = cacheWorld();

const ESC = "\x1b";
const STEERING = new RegExp(`${ESC}\\[\\d*[AJ]|\r`, "g");
const PARTS = new RegExp(`${ESC}\\[\\d*[A-Z]|\r|\n|[^${ESC}\r\n]+`, "g");
const UP = new RegExp(`^${ESC}\\[(\\d+)A$`);

/** The bodies that were put for this program's own list. */
function wishes({ seen }: FakeOwner) {
  return seen
    .filter(({ method, path }) => method === "PUT" && path.startsWith("/api/prefetch"))
    .map(({ body }) => body);
}

describe("prefetch", () => {
  it("waits until all is there, and takes its list away", async () => {
    const fake = await owner();
    const { code, lines, stderr } = await finished(["prefetch", "tides", "demo/absent", "other/a%2Fb", "tides"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines).toEqual(["cached tides, 8 MiB", "cached absent, 1 MiB", "cached other/a%2Fb, 6 MiB"]);
    expect(wishes(fake)).toEqual([
      { ids: ["demo/tides", "demo/absent", "other/a%2Fb"], mode: "full" },
      { ids: [], mode: "full" },
    ]);
    expect(fake.lists.size).toBe(0);
    const names = fake.seen.filter(({ method }) => method === "PUT").map(({ path }) => path);
    expect(new Set(names).size).toBe(1);
    expect(names[0]).toMatch(new RegExp(`^/api/prefetch\\?list=cli-${process.pid}-\\w+$`));
  });

  it("takes raw ids, and tells those that fail", async () => {
    const fake = await owner({
      tracks: [
        { key: "demo/100%25%20%E5%A4%9C", size: MB, cachedBytes: 0 },
        { key: "demo/gone", size: MB, cachedBytes: 0, fails: "upstream-failed" },
      ],
    });
    const { code, lines, stderr } = await finished(["prefetch", "--head", "100% 夜", "gone", "nope"]);
    expect(code).toBe(1);
    expect(lines).toEqual(["cached 100% 夜, 1 MiB"]);
    expect(stderr.split("\n")).toEqual([
      "afterbay: gone: the source did not deliver the track (upstream-failed)",
      "afterbay: nope: the source has no such track (not-found)",
      "",
    ]);
    expect(wishes(fake)[0]).toMatchObject({ mode: "head" });
  });

  it("is lines with --json", async () => {
    await owner({ tracks: [{ key: "demo/x", size: 4 * MB, cachedBytes: 0, step: 2 * MB }] });
    const { lines } = await finished(["prefetch", "x", "nope", "--json"]);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { key: "demo/x", state: "fetching", size: 4 * MB, cachedBytes: 2 * MB },
      { key: "demo/nope", state: "failed", code: "not-found", cachedBytes: 0 },
      { key: "demo/x", state: "done", size: 4 * MB, cachedBytes: 4 * MB },
      { done: true, fetched: 1, failed: 1 },
    ]);
  });

  it.each([80, 40])("draws bars that fit %d columns, and leaves none behind", async (columns) => {
    await owner({
      tracks: [
        { key: "demo/a-rather-long-identifier-of-a-track", size: 4 * MB, cachedBytes: 0, step: 1.5 * MB },
        { key: "demo/b", size: 4 * MB, cachedBytes: 0 },
      ],
    });
    const argv = ["prefetch", "a-rather-long-identifier-of-a-track", "b"];
    const { stdout } = await finished(argv, { isTTY: true, columns, env: { NO_COLOR: "1", LANG: "C.UTF-8" } });
    const frames = stdout.replaceAll(STEERING, "").split("\n");
    expect(frames.find((line) => line.includes("█"))).toMatch(/^a-rather-lo.*… +█+[▏▎▍▌▋▊▉]? +37% +4 MiB$/);
    for (const line of frames.filter((one) => !one.startsWith("cached"))) expect(line.length).toBeLessThan(columns);
    expect(onScreen(stdout)).toEqual(["cached b, 4 MiB", "cached a-rather-long-identifier-of-a-track, 4 MiB"]);
  });

  it("fails in one line where the server goes away", async () => {
    let polls = 0;
    await owner({
      tracks: [{ key: "demo/x", size: MB, cachedBytes: 0, step: 1 }],
      override({ method, path }, response) {
        if (method !== "GET" || path !== "/api/prefetch" || polls++ < 2) return false;
        response.destroy();
        return true;
      },
    });
    expect(await finished(["prefetch", "x"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "afterbay: the server (process 4711) went away before it had answered.\n",
    });
  });

  it("fails where somebody takes a track off the list", async () => {
    const fake = await owner({
      tracks: [{ key: "demo/x", size: MB, cachedBytes: 0, step: 1 }],
      override({ method, path }) {
        if (method === "GET" && path === "/api/prefetch") fake.lists.clear();
        return false;
      },
    });
    expect(await finished(["prefetch", "x"])).toMatchObject({
      code: 1,
      stderr: "afterbay: x: it was taken off the list (cancelled)\n",
    });
  });

  it.each(["SIGINT", "SIGTERM"])("ends on %s, and takes its list away", async (signal) => {
    const fake = await owner({ tracks: [{ key: "demo/x", size: MB, cachedBytes: 0, step: 1 }] });
    const program = begin(["prefetch", "x"]);
    await vi.waitUntil(() => fake.lists.size > 0);
    program.signals.emit(signal);
    expect(await program.code).toBe(0);
    expect(fake.lists.size).toBe(0);
    expect(program.stderr.text).toBe(`afterbay: ended by ${signal} before it was done.\n`);
    expect(program.exits).toEqual([]);
    expect(program.signals.eventNames()).toEqual([]);
  });

  it("needs an ID", async () => {
    expect(await finished(["prefetch"])).toMatchObject({ code: 2, stdout: "" });
  });

  it("refuses a --source that the running server has not", async () => {
    await owner();
    const { code, stderr } = await finished(["prefetch", "x", "--source", "music=url:http://127.0.0.1:1/{id}"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^afterbay: the server that runs \(process 4711\) has no source music; it has demo, other\./,
    );
  });

  it("takes ids as those of a --source that the running server has", async () => {
    const fake = await owner();
    await finished(["prefetch", "a%2Fb", "--source", "other=url:http://127.0.0.1:1/{id}"]);
    // One part: an encoded id of that source.
    expect(wishes(fake)[0]).toMatchObject({ ids: ["other/a%2Fb"] });
  });
});

describe("cache pin", () => {
  it("pins, and waits until each is whole", async () => {
    const { tracks } = await owner();
    const { code, lines } = await finished(["cache", "pin", "yaman", "tides"]);
    expect(code).toBe(0);
    expect(lines).toEqual(["pinned yaman, all of it is here", "pinned tides, 8 MiB"]);
    expect(tracks.get("demo/tides")).toMatchObject({ pinned: true, cachedBytes: 8 * MB });
  });

  it("--no-wait leaves the rest to the server", async () => {
    const { tracks } = await owner();
    const { lines } = await finished(["cache", "pin", "tides", "--no-wait"]);
    expect(lines).toEqual(["pinned tides, the server fetches it"]);
    expect(tracks.get("demo/tides")).toMatchObject({ pinned: true, cachedBytes: 1.5 * MB });
  });

  it("takes a pin of nothing back, and keeps that of a bad hour", async () => {
    const { tracks } = await owner({
      tracks: [
        { key: "demo/never", cachedBytes: 0, fails: "not-found" },
        { key: "demo/later", cachedBytes: 0, fails: "offline" },
      ],
    });
    const { code, stdout, stderr } = await finished(["cache", "pin", "never", "later", "--json"]);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n")).toHaveLength(2);
    expect(JSON.parse(stdout)).toMatchObject({ pinned: [], failed: [{ code: "not-found" }, { code: "offline" }] });
    expect(tracks.get("demo/never")?.pinned).toBe(false);
    expect(tracks.get("demo/later")?.pinned).toBe(true);
  });

  it("goes on after one for which there is no room", async () => {
    await owner({
      override({ method, path }, response) {
        if (method !== "PUT" || path !== "/api/tracks/demo/tides/pin") return false;
        problem(response, 507, "no-space", "The pins would be larger than the cache");
        return true;
      },
    });
    const { code, stderr, lines } = await finished(["cache", "pin", "tides", "absent"]);
    expect(code).toBe(1);
    expect(stderr).toBe("afterbay: tides: The pins would be larger than the cache (no-space)\n");
    expect(lines).toEqual(["pinned absent, 1 MiB"]);
  });

  it("stays pinned where the wait is ended", async () => {
    const fake = await owner({ tracks: [{ key: "demo/x", size: MB, cachedBytes: 0, step: 1 }] });
    const program = begin(["cache", "pin", "x"]);
    await vi.waitUntil(() => fake.lists.size > 0);
    program.signals.emit("SIGINT");
    expect(await program.code).toBe(0);
    expect(fake.lists.size).toBe(0);
    expect(fake.tracks.get("demo/x")?.pinned).toBe(true);
  });
});

/** What a terminal shows in the end. */
function onScreen(text: string): string[] {
  const screen: string[] = [];
  let row = 0;
  for (const [part] of text.matchAll(PARTS)) {
    const up = UP.exec(part)?.[1];
    if (up !== undefined) row -= Number(up);
    else if (part === `${ESC}[J`) screen.length = row;
    else if (part === "\n") row += 1;
    else if (part !== "\r") screen[row] = part;
  }
  return screen;
}
