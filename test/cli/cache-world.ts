import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { start, type World } from "./fake-io.ts";
import { type FakeOptions, type FakeOwner, fakeOwner, type FakeTrack } from "./fake-owner.ts";

export const MB = 1024 ** 2;

export const someTracks: readonly FakeTrack[] = [
  {
    key: "demo/yaman",
    title: "Yaman",
    artist: "The Ensemble",
    size: 4 * MB,
    cachedBytes: 4 * MB,
    pinned: true,
    contentType: "audio/wav",
    durationMs: 185_000,
    lastPlayedAt: new Date(Date.now() - 3 * 3_600_000).toISOString(),
  },
  { key: "demo/tides", title: "Tides", size: 8 * MB, cachedBytes: 1.5 * MB, chunks: "##=-............", inUse: true },
  { key: "other/a%2Fb", title: "夜に駆ける", artist: "ＹＯＡＳＯＢＩ", size: 6 * MB, cachedBytes: MB },
  { key: "demo/absent", title: "Absent", size: MB, cachedBytes: 0 },
];

/** A directory for each test of a file, with fake owners of it and programs that run in it. */
export function cacheWorld() {
  const world = { directory: "", cacheDir: "" };
  const owners: FakeOwner[] = [];
  beforeEach(() => {
    world.directory = mkdtempSync(join(tmpdir(), "afterbay-cache-"));
    world.cacheDir = join(world.directory, "cache");
  });
  afterEach(async () => {
    for (const one of owners.splice(0)) await one.close();
    rmSync(world.directory, { recursive: true, force: true });
  });

  async function owner(options: FakeOptions = {}): Promise<FakeOwner> {
    const made = await fakeOwner(world.cacheDir, { tracks: someTracks, ...options });
    owners.push(made);
    return made;
  }

  function begin(argv: readonly string[], others: Omit<World, "argv"> = {}) {
    return start({ cwd: world.directory, ...others, argv: [...argv, "--cache-dir", world.cacheDir] });
  }

  async function finished(argv: readonly string[], others: Omit<World, "argv"> = {}) {
    const program = begin(argv, others);
    const code = await program.code;
    const { stdout, stderr, owned, signals } = program;
    if (signals.eventNames().length > 0) throw new Error("signals are still listened to");
    return { code, stdout: stdout.text, lines: stdout.lines, stderr: stderr.text, owned };
  }

  return { world, owner, begin, finished };
}
