import { describe, expect, it } from "vitest";
import { widthOf } from "../../src/cli/terminal/width.ts";
import { cacheWorld, MB, someTracks } from "./cache-world.ts";
import { problem } from "./fake-owner.ts";

const { world, owner, finished } = cacheWorld();
const at = (columns: number) => ({ isTTY: true, columns, env: { NO_COLOR: "1" } });

describe("cache ls", () => {
  it("lists what is kept, the last played first", async () => {
    await owner();
    const { code, lines, stderr } = await finished(["cache", "ls"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines).toEqual([
      "ID           TRACK                         SIZE  CACHED  FLAGS            PLAYED",
      "yaman        The Ensemble – Yaman         4 MiB    100%  pinned complete  3 h ago",
      "tides        Tides                        8 MiB     18%",
      "other/a%2Fb  ＹＯＡＳＯＢＩ – 夜に駆ける  6 MiB     16%",
      "3 tracks, 6.5 MiB of 2 GiB",
    ]);
  });

  it("fits 80 and 40 columns", async () => {
    await owner();
    const wide = await finished(["cache", "ls"], at(80));
    expect(wide.lines).toEqual([
      "ID           TRACK                        SIZE  CACHED  FLAGS            PLAYED",
      "yaman        The Ensemble – Yaman        4 MiB    100%  pinned complete  3 h ago",
      "tides        Tides                       8 MiB     18%",
      "other/a%2Fb  ＹＯＡＳＯＢＩ – 夜に駆け…  6 MiB     16%",
      "3 tracks, 6.5 MiB of 2 GiB",
    ]);
    const narrow = await finished(["cache", "ls"], at(40));
    expect(narrow.lines).toEqual([
      "ID           TRACK          SIZE  CACHED",
      "yaman        The Ensembl…  4 MiB    100%",
      "tides        Tides         8 MiB     18%",
      "other/a%2Fb  ＹＯＡＳＯ…   6 MiB     16%",
      "3 tracks, 6.5 MiB of 2 GiB",
    ]);
    for (const line of [...wide.lines, ...narrow.lines]) expect(widthOf(line)).toBeLessThanOrEqual(80);
    for (const line of narrow.lines) expect(widthOf(line)).toBeLessThanOrEqual(40);
  });

  it("colours nothing where NO_COLOR is set, or the output is no terminal", async () => {
    await owner();
    const ls = ["cache", "ls"];
    expect((await finished(ls, { isTTY: true })).stdout).toContain("\x1b[");
    expect((await finished(ls, at(80))).stdout).not.toContain("\x1b");
    expect((await finished(ls)).stdout).not.toContain("\x1b");
    expect((await finished(ls, { isTTY: true, env: { TERM: "dumb" } })).stdout).not.toContain("\x1b");
  });

  it("lets no title steer the terminal", async () => {
    await owner({ tracks: [{ key: "demo/x", title: "a\x1b[2Jb\r\n\u202Ec", size: MB, cachedBytes: MB }] });
    const { stdout } = await finished(["cache", "ls"]);
    expect(stdout).toContain("a [2Jb c");
    for (const steering of ["\x1b", "\r", "\u202E"]) expect(stdout).not.toContain(steering);
  });

  it("is one document with --json", async () => {
    await owner();
    const { stdout } = await finished(["cache", "ls", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      cacheDir: world.cacheDir,
      bytes: 6.5 * MB,
      budget: 2048 * MB,
      tracks: [{ key: "demo/yaman", complete: true }, { key: "demo/tides" }, { key: "other/a%2Fb" }],
    });
  });

  it("says where nothing is", async () => {
    await owner({ tracks: [] });
    expect((await finished(["cache", "ls"])).stdout).toBe(`Nothing is kept in ${world.cacheDir}\n`);
  });
});

describe("cache show", () => {
  it("draws the map of a track, with offsets", async () => {
    await owner();
    const { lines } = await finished(["cache", "show", "tides"]);
    expect(lines).toEqual([
      "key       demo/tides",
      "title     Tides",
      "size      8 MiB (8388608 bytes)",
      "cached    1572864 bytes, 18%",
      "complete  no",
      "pinned    no",
      "",
      "      0  ##=-............",
      "# on disk   = partly   - on its way   . absent",
    ]);
  });

  it("wraps it to the terminal", async () => {
    await owner({ tracks: [{ key: "demo/mix", size: 50 * MB, cachedBytes: 30 * MB }] });
    const { lines } = await finished(["cache", "show", "mix"], at(40));
    expect(lines.slice(-7)).toEqual([
      "",
      `       0  ${"█".repeat(24)}`,
      `12582912  ${"█".repeat(24)}`,
      `25165824  ${"█".repeat(12)}${"·".repeat(12)}`,
      `37748736  ${"·".repeat(24)}`,
      `50331648  ${"·".repeat(4)}`,
      "█ on disk   · absent",
    ]);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(40);
  });

  it("is the track with --json", async () => {
    await owner();
    const { stdout } = await finished(["cache", "show", "demo/yaman", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ key: "demo/yaman", complete: true, chunks: "########" });
  });

  it("fails in one line for what is not there", async () => {
    await owner();
    expect(await finished(["cache", "show", "nope"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "afterbay: nope: There is no such track (not-found)\n",
    });
  });

  it.each(["a/b/c", "AC/DC", "", "x".repeat(201), "a\x01b"])("refuses %j as an ID", async (id) => {
    await owner();
    const { code, stdout, stderr } = await finished(["cache", "show", "--", id]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^afterbay: [^\n]+\n$/);
  });
});

describe("cache rm, unpin and clear", () => {
  it("say what goes now, and what when it is free", async () => {
    const { seen } = await owner();
    const { code, lines } = await finished(["cache", "rm", "yaman", "tides", "other/a%2Fb", "yaman"]);
    expect(code).toBe(0);
    expect(lines).toEqual([
      "removed yaman, 4 MiB",
      "tides is in use: its 1.5 MiB go when it is free",
      "removed other/a%2Fb, 1 MiB",
    ]);
    expect(seen.filter(({ method }) => method === "DELETE").map(({ path }) => path)).toEqual([
      "/api/tracks/demo/yaman",
      "/api/tracks/demo/tides",
      "/api/tracks/other/a%2Fb",
    ]);
  });

  it("go on after one that fails", async () => {
    await owner();
    const { code, stdout, stderr } = await finished(["cache", "rm", "nope", "yaman", "--json"]);
    expect(code).toBe(1);
    expect(stderr).toBe("afterbay: nope: There is no such track (not-found)\n");
    expect(JSON.parse(stdout)).toEqual({
      removed: [{ key: "demo/yaman", bytes: 4 * MB, inUse: false }],
      failed: [{ name: "nope", code: "not-found", detail: "There is no such track" }],
    });
  });

  it("let go of pins", async () => {
    const { tracks } = await owner();
    expect((await finished(["cache", "unpin", "yaman"])).stdout).toBe("unpinned yaman\n");
    expect(tracks.get("demo/yaman")?.pinned).toBe(false);
  });

  it("forget everything, without a question", async () => {
    await owner({ tracks: someTracks.filter(({ inUse }) => inUse !== true) });
    expect((await finished(["cache", "clear"])).stdout).toBe("removed 2 tracks, 5 MiB\n");
    await owner();
    expect((await finished(["cache", "clear"])).stdout).toBe(
      "removed 3 tracks, 5 MiB; 1.5 MiB in use will go when free\n",
    );
  });
});

describe("cache path", () => {
  it("asks nobody", async () => {
    const { stdout, owned } = await finished(["cache", "path"]);
    expect(stdout).toBe(`${world.cacheDir}\n`);
    expect(owned).toEqual([]);
    expect(JSON.parse((await finished(["cache", "path", "--json"])).stdout)).toEqual({ cacheDir: world.cacheDir });
  });
});

describe("cache evict", () => {
  const answer = {
    before: 12 * MB,
    after: 8 * MB,
    victims: [{ key: "demo/tides", bytes: 4 * MB, playedAt: new Date(Date.now() - 50 * 3_600_000).toISOString() }],
    spared: [{ key: "demo/yaman", why: "pinned" }],
  };
  const evicting = () =>
    owner({
      override({ path }, response) {
        if (path !== "/control/evict") return false;
        response.end(JSON.stringify(answer));
        return true;
      },
    });

  it("tells what would go, and what is spared", async () => {
    const { seen } = await evicting();
    const { code, lines } = await finished(["cache", "evict", "--dry-run", "--to", "6M"]);
    expect(code).toBe(0);
    expect(lines).toEqual([
      "would go  tides  4 MiB  played 2 d ago",
      "stays     yaman         pinned",
      "1 track would go: 12 MiB → 8 MiB",
    ]);
    expect(seen.at(-1)?.body).toEqual({ to: 6 * MB, dryRun: true });
  });

  it("fails where not enough can go", async () => {
    await evicting();
    const { code, stdout, stderr } = await finished(["cache", "evict", "--to", "6M", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual(answer);
    expect(stderr).toBe("afterbay: 8 MiB are still kept: what is left is pinned or in use.\n");
  });

  it("needs a size", async () => {
    expect(await finished(["cache", "evict"])).toMatchObject({ code: 2, stdout: "" });
    expect(await finished(["cache", "evict", "--to", "much"])).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("cache verify", () => {
  const lines = [
    { key: "demo/yaman", ok: true, badBytes: 0 },
    { key: "demo/tides", ok: false, badBytes: 65_536 },
  ];
  const verifying = (answers: readonly object[]) =>
    owner({
      override({ path }, response) {
        if (path !== "/control/verify") return false;
        response.end(answers.map((line) => `${JSON.stringify(line)}\n`).join(""));
        return true;
      },
    });

  it("fails where damage is left", async () => {
    const { seen } = await verifying([...lines, { done: true, checked: 2, bad: 1 }]);
    expect(await finished(["cache", "verify"])).toMatchObject({
      code: 1,
      lines: ["damaged tides, 64 KiB were bad", "2 tracks checked, 1 damaged"],
      stderr: "afterbay: 1 track damaged: cache verify --repair fetches the damaged bytes again.\n",
    });
    expect(seen.at(-1)?.body).toEqual({ repair: false });
  });

  it("is lines with --json", async () => {
    const all = [lines[0], { ...lines[1], repaired: true }, { done: true, checked: 2, bad: 1 }];
    await verifying(all as object[]);
    const { code, lines: told } = await finished(["cache", "verify", "--repair", "--json"]);
    expect(code).toBe(0);
    expect(told.map((line) => JSON.parse(line))).toEqual(all);
  });

  it("fails where the server stops in the middle", async () => {
    await verifying(lines);
    expect(await finished(["cache", "verify", "--repair"])).toMatchObject({
      code: 1,
      stderr: "afterbay: the server ended before everything was checked.\n",
    });
  });
});

describe("what the owner refuses", () => {
  it("is one line, whatever it says", async () => {
    await owner({
      override({ method }, response) {
        if (method !== "DELETE") return false;
        problem(response, 507, "no-space", "no\nroom \x1b[31m");
        return true;
      },
    });
    expect(await finished(["cache", "unpin", "yaman"])).toMatchObject({
      code: 1,
      stderr: "afterbay: yaman: no room  [31m (no-space)\n",
    });
  });

  it("is told apart from an owner of another version", async () => {
    await owner({
      override({ path }, response) {
        if (path === "/control/about") return false;
        response.end('{"tracks":[{"key":1}]}');
        return true;
      },
    });
    const { code, stderr } = await finished(["cache", "ls"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^afterbay: .*another version\?\n$/);
  });
});
