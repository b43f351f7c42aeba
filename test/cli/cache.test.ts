import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { start, type World } from "./fake-io.ts";
import { type FakeOptions, type FakeOwner, fakeOwner, type FakeTrack } from "./fake-owner.ts";

let directory = "";
let owners: FakeOwner[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "afterbay-cache-"));
  owners = [];
});
afterEach(async () => {
  for (const owner of owners) await owner.close();
  rmSync(directory, { recursive: true, force: true });
});

const MB = 1024 ** 2;
const tracks: readonly FakeTrack[] = [
  {
    key: "demo/yaman",
    title: "Yaman",
    artist: "The Ensemble",
    size: 4 * MB,
    cachedBytes: 4 * MB,
    pinned: true,
    lastPlayedAt: new Date(Date.now() - 3 * 3_600_000).toISOString(),
  },
  { key: "demo/tides", title: "Tides", size: 8 * MB, cachedBytes: 1.5 * MB, chunks: "##=-............", inUse: true },
  { key: "other/a%2Fb", title: "夜に駆ける", artist: "ＹＯＡＳＯＢＩ", size: 6 * MB, cachedBytes: MB },
  { key: "demo/absent", title: "Absent", size: MB, cachedBytes: 0 },
];

async function owned(options: FakeOptions = { tracks }): Promise<FakeOwner> {
  const owner = await fakeOwner(directory, options);
  owners.push(owner);
  return owner;
}

async function finished(argv: readonly string[], world: Omit<World, "argv"> = {}) {
  const program = start({ cwd: directory, ...world, argv: [...argv, "--cache-dir", directory] });
  const code = await program.code;
  return { code, stdout: program.stdout.text, stderr: program.stderr.text, owned: program.owned };
}

describe("cache ls", () => {
  it("lists what is kept, the last played first", async () => {
    await owned();
    const { code, stdout, stderr } = await finished(["cache", "ls"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      "ID           TRACK                         SIZE  CACHED  FLAGS            PLAYED",
      "yaman        The Ensemble – Yaman         4 MiB    100%  pinned complete  3 h ago",
      "tides        Tides                        8 MiB     18%",
      "other/a%2Fb  ＹＯＡＳＯＢＩ – 夜に駆ける  6 MiB     16%",
      "3 tracks, 6.5 MiB of 2 GiB",
      "",
    ]);
  });
});
