import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import {
  appendFile,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  statfs,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { crc32 } from "../../src/cache/crc32.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { HurriedClock } from "../helpers/hurried-clock.ts";
import { eventually, openFiles, tmpDir, type TmpDir } from "../helpers/process.ts";
import { seeded } from "../helpers/random.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
const CHUNK = 512 * 1024;
const SIZE = 3 * MiB + 12_345;

let rig: Rig;
let dir: TmpDir;
beforeEach(async () => {
  dir = await tmpDir();
});
afterEach(() => dir.remove());

/** A rig whose cache is in `dir`, with one song. */
async function start(options: RigOptions = {}): Promise<void> {
  rig = await startRig({ cacheDir: dir.path, ...options });
  rig.up.resource("song", { size: SIZE });
}
/** Plays the song, or a part of it, and compares; how many bytes the upstream sent for that. */
async function play(startAt = 0, end = SIZE, path = "song"): Promise<number> {
  const before = rig.up.bytesSent();
  const got = await rig.get(path, { headers: { range: `bytes=${startAt}-${end - 1}` } });
  expect(got.status).toBe(206);
  assertBytes(got.body, rig.up.bytes("song", startAt, end));
  return rig.up.bytesSent() - before;
}
const tracks = (): string => join(dir.path, "v1", "tracks");
async function files(): Promise<string[]> {
  const found = await readdir(tracks(), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
/** The song's file that ends so. */
async function file(ending: "data" | "map"): Promise<string> {
  const found = (await files()).filter((name) => name.endsWith(`.${ending}`));
  expect(found).toHaveLength(1);
  return found[0] ?? "";
}
/** Deletes the cache directory, whatever is written to it meanwhile. */
const sweep = (): Promise<void> => rm(dir.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
async function flip(path: string, at: number): Promise<void> {
  const handle = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at);
  await handle.close();
}
const REFUSED = "Cannot write to the cache directory; playing on without keeping the bytes";
const warnings = (): string[] => rig.log.filter(({ level }) => level === "warn").map(({ message }) => message);

describe("D1: a disk that refuses writes", () => {
  const mount = (size = "2m"): string | undefined => {
    if (process.platform !== "linux" || process.getuid?.() !== 0)
      return "needs root on Linux, to mount a small file system";
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir.path], { stdio: "pipe" });
      return undefined;
    } catch {
      return "this system does not let a small file system be mounted";
    }
  };
  const unmount = (): void => {
    execFileSync("umount", ["-l", dir.path], { stdio: "pipe" });
  };

  test("D1: a full disk: playback goes on, one warning, and caching resumes when there is room", async (context) => {
    const obstacle = mount();
    if (obstacle !== undefined) context.skip(obstacle);
    const clock = new HurriedClock();
    try {
      const ballast = join(dir.path, "ballast");
      await writeFile(ballast, Buffer.alloc(1.5 * MiB));
      await start({ clock });
      rig.up.setResource("song", { size: MiB + 777 });
      await play(0, MiB + 777);
      await play(0, MiB + 777);
      await eventually(() => expect(new Set(warnings())).toEqual(new Set([REFUSED])));
      const partly = (await rig.json("/api/tracks/u/song")) as { cachedBytes: number };
      expect(partly.cachedBytes).toBeLessThan(MiB);

      await unlink(ballast);
      // What an earlier playback holds in memory is played from there, and is stored the next time.
      await eventually(async () => {
        clock.hurry(6000);
        await play(0, MiB + 777);
        expect(await rig.json("/api/tracks/u/song")).toMatchObject({ complete: true });
      });
      expect(await play(0, MiB + 777)).toBe(0);
      expect(new Set(warnings())).toEqual(new Set([REFUSED]));
      await rig.restart();
      expect(await play(0, MiB + 777)).toBe(0);
    } finally {
      await rig.close();
      unmount();
    }
  });

  test("D1: a twentieth of the disk is left to others, whoever takes it", async (context) => {
    const obstacle = mount("16m");
    if (obstacle !== undefined) context.skip(obstacle);
    const clock = new HurriedClock();
    const free = async (): Promise<number> => {
      const { bavail, bsize } = await statfs(dir.path);
      return bavail * bsize;
    };
    const minuteLater = async (): Promise<void> => {
      for (const ms of [3000, 61_000, 6000]) {
        await delay(10);
        clock.hurry(ms);
      }
    };
    try {
      await start({ clock });
      for (const id of ["a", "b", "c", "d", "e", "f", "g"]) {
        rig.up.resource(id, { size: 3 * MiB });
        assertBytes((await rig.get(id)).body, rig.up.bytes(id));
        await minuteLater();
      }
      await eventually(async () => expect(await free()).toBeGreaterThanOrEqual(0.05 * 16 * MiB));
      // Somebody else takes most of what is left.
      await writeFile(join(dir.path, "ballast"), Buffer.alloc(await free()));
      assertBytes((await rig.get("g", { headers: { range: "bytes=0-99" } })).body, rig.up.bytes("g", 0, 100));
      assertBytes((await rig.get("song")).body, rig.up.bytes("song"));
      await minuteLater();
      await eventually(async () => expect(await free()).toBeGreaterThanOrEqual(0.05 * 16 * MiB));
      const evicted = rig.log.filter(({ message }) => message.includes("nearly full"));
      expect(evicted.length).toBeGreaterThan(0);
      expect(evicted.map(({ fields }) => fields)).toContainEqual(expect.objectContaining({ id: "a", reason: "disk" }));
    } finally {
      await rig.close();
      unmount();
    }
  });

  test("D1: a disk that is full at the start: plays, uncached", async (context) => {
    const obstacle = mount();
    if (obstacle !== undefined) context.skip(obstacle);
    try {
      await start();
      await rig.proxy.close();
      await writeFile(join(dir.path, "ballast"), Buffer.alloc(2 * MiB)).catch(() => {});
      await rig.restart();
      await play();
      await play(MiB, 2 * MiB);
      await eventually(() => expect(warnings().length).toBeGreaterThan(0));
    } finally {
      await rig.close();
      unmount();
    }
  });

  test("D1: several players in a song that is not kept: each plays on, wherever the others have been", async () => {
    await start();
    try {
      await rm(tracks(), { recursive: true });
      await writeFile(tracks(), "a file in the folder's place");
      rig.up.script("song", [{ do: { pace: 3_000_000 } }]);
      await play(0, 10);
      const random = seeded(1);
      const players: Promise<number>[] = [];
      // Where others begin, where they have been already, and where they are.
      for (let n = 0; n < 10; n += 1) {
        const from = Math.floor(random() * SIZE);
        players.push(play(from, random() < 0.5 ? SIZE : Math.min(SIZE, from + 300_000)));
        await delay(80);
      }
      await Promise.all(players);
      expect(rig.up.maxLive("song")).toBeLessThanOrEqual(2);
    } finally {
      await rig.close();
    }
  });

  test("D1: no way to the files: playback goes on, one warning, and caching resumes when there is one", async () => {
    const clock = new HurriedClock();
    await start({ clock });
    try {
      await rm(tracks(), { recursive: true });
      await writeFile(tracks(), "a file in the folder's place");
      await play();
      await play(MiB, 2 * MiB);
      await eventually(() => expect(warnings()).toEqual([REFUSED]));
      await rm(tracks());
      await eventually(async () => {
        clock.hurry(6000);
        await play();
        expect(await rig.json("/api/tracks/u/song")).toMatchObject({ complete: true });
      });
      expect(await play()).toBe(0);
      expect(warnings()).toHaveLength(1);
    } finally {
      await rig.close();
    }
  });
});

describe("what is found at the next start", () => {
  beforeEach(() => start());
  afterEach(() => rig.close());

  /** Plays so many bytes and stops; how many are stored then. */
  async function kept(end: number): Promise<number> {
    await play(0, end);
    await rig.proxy.close();
    await rig.restart();
    const { cachedBytes } = (await rig.json("/api/tracks/u/song")) as { cachedBytes: number };
    await rig.proxy.close();
    return cachedBytes;
  }

  test("D3: a map newer than its data: what the data lacks is found and fetched again, and no more", async () => {
    await kept(2 * CHUNK);
    const data = await file("data");
    await copyFile(data, join(dir.path, "old"));
    await rig.restart();
    await play();
    await rig.proxy.close();
    await copyFile(join(dir.path, "old"), data);
    await rig.restart();
    // Of the third chunk, a part is there; its checksum is that of the whole.
    expect(await play()).toBe(SIZE - 2 * CHUNK);
    expect(await play()).toBe(0);
  });

  test("D3: data newer than its map: what the map lacks is fetched again, and no more", async () => {
    const had = await kept(2 * CHUNK);
    const map = await file("map");
    await copyFile(map, join(dir.path, "old"));
    await rig.restart();
    await play();
    await rig.proxy.close();
    await copyFile(join(dir.path, "old"), map);
    await rig.restart();
    expect(await play()).toBe(SIZE - had);
    expect(await play()).toBe(0);
  });

  test("D3: pages that never reached the disk: zeros are found and fetched again, and no more", async () => {
    await play();
    await rig.proxy.close();
    const data = await open(await file("data"), "r+");
    await data.write(Buffer.alloc(4096), 0, 4096, CHUNK + 8192);
    await data.write(Buffer.alloc(4096), 0, 4096, 4 * CHUNK);
    await data.close();
    await rig.restart();
    expect(await play()).toBe(2 * CHUNK);
    expect(await play()).toBe(0);
  });

  test("D3: an index older than the files: the song is found again, and nothing is fetched twice", async () => {
    await play();
    const requests = rig.up.requests("song").length;
    await rig.proxy.close();
    await unlink(join(dir.path, "v1", "index.log"));
    await rig.restart();
    // One request tells which version it is; it is ended as soon as that is known.
    expect(await play()).toBeLessThanOrEqual(CHUNK);
    expect(rig.up.requests("song")).toHaveLength(requests + 1);
    expect(await play()).toBe(0);
  });

  test("D4: a flipped bit reaches no client, and costs its chunk alone", async () => {
    await play();
    for (const [at, chunk] of [
      [7, 0],
      [3 * CHUNK - 1, 2],
      [SIZE - 1, 6],
    ] as const) {
      await rig.proxy.close();
      await flip(await file("data"), at);
      await rig.restart();
      // Whatever part of the chunk is asked for: it is all fetched again, or what of it was asked for.
      expect(await play(chunk * CHUNK, chunk * CHUNK + 10)).toBeLessThanOrEqual(CHUNK);
      const rest = await play();
      expect(rest).toBeLessThanOrEqual(CHUNK);
      expect(await play()).toBe(0);
    }
    rig.up.reset();
    await rig.proxy.close();
    await flip(await file("data"), CHUNK);
    await rig.restart();
    expect(await play()).toBe(CHUNK);
    expect(rig.up.requests("song").map(({ range }) => range)).toEqual([`bytes=${CHUNK}-${2 * CHUNK - 1}`]);
  });

  test("D4: a flipped bit in a chunk that is not whole costs its piece alone", async () => {
    await rig.restart({ dataSaver: true });
    rig.up.script("song", [{ do: { pace: 600_000 } }]);
    await rig.get("song", { readBytes: 200_000 });
    await eventually(() => expect(rig.up.live()).toBe(0));
    rig.up.script("song", []);
    await rig.restart();
    const { spans } = (await rig.json("/api/tracks/u/song")) as { spans: [number, number][] };
    expect(spans[0]?.[1]).toBeGreaterThanOrEqual(200_000);
    expect(spans[0]?.[1]).toBeLessThan(CHUNK);
    await rig.proxy.close();
    await flip(await file("data"), 65_536 + 5);
    await rig.restart();
    expect(await play(0, 200_000)).toBe(65_536);
  });

  test("D4: a data file that was cut costs what was cut off", async () => {
    await play();
    await rig.proxy.close();
    await truncate(await file("data"), 4 * CHUNK + 5);
    await rig.restart();
    expect(await play()).toBe(SIZE - 4 * CHUNK);
    expect(await play()).toBe(0);
  });

  test("D4: a map that was cut, or lost, or a data file that was lost: all is exact, and cached again", async () => {
    await play();
    const damages = [
      async () => truncate(await file("map"), 100),
      async () => unlink(await file("map")),
      async () => unlink(await file("data")),
      async () => writeFile(await file("map"), "nonsense\n"),
      async () => flip(join(dir.path, "v1", "index.log"), 60),
      async () => rm(tracks(), { recursive: true }),
    ];
    for (const damage of damages) {
      await rig.proxy.close();
      await damage();
      await rig.restart();
      expect(await play()).toBeLessThanOrEqual(SIZE);
      expect(await play()).toBe(0);
    }
    expect(warnings()).toEqual([]);
  });

  test("D4: foreign files are left alone, whatever they are called", async () => {
    await play(0, 10);
    const stem = "0123456789abcdef0123456789abcdef";
    const foreign = [
      [join(dir.path, "notes.txt"), "mine"],
      [join(dir.path, "v1", "README"), "mine"],
      [join(tracks(), "holiday.jpg"), "mine"],
      [join(tracks(), "01", `${stem}.mp3`), "mine"],
      [join(tracks(), "01", `${stem}.map.bak`), "mine"],
    ] as const;
    await mkdir(join(tracks(), "01"), { recursive: true });
    for (const [path, content] of foreign) await writeFile(path, content);
    await rig.restart();
    await play();
    await request({ port: rig.port, method: "DELETE", path: "/api/tracks/u/song" });
    await rig.restart();
    await play();
    for (const [path, content] of foreign) expect(await readFile(path, "utf8")).toBe(content);
  });

  test("D4: a newer format is refused in one line, and left as it is", async () => {
    await rig.proxy.close();
    await mkdir(join(dir.path, "v2"));
    await expect(rig.restart()).rejects.toThrow(/was written by a newer version of Afterbay \(v2\)$/);
    await rm(join(dir.path, "v2"), { recursive: true });
    await rig.restart();
  });
});

describe("what happens while it runs", () => {
  afterEach(() => rig.close());

  test("D5: the cache directory deleted in the middle of a song: it plays on, and is cached again", async () => {
    await start();
    rig.up.script("song", [{ do: { pace: 4 * MiB } }]);
    const playing = play();
    await delay(250);
    await sweep();
    await playing;
    rig.up.script("song", []);
    await eventually(() => expect(existsSync(tracks())).toBe(true));
    await play();
    expect(await play()).toBe(0);
    await rig.restart();
    expect(await play()).toBe(0);
  });

  test("D5: the cache directory deleted behind songs that are complete, whether their files are open or not", async () => {
    const clock = new HurriedClock();
    await start({ clock });
    await play();
    await sweep();
    await play(2 * MiB, SIZE);
    await play();
    await eventually(() => {
      clock.hurry(1000);
      expect((openFiles() ?? []).filter((name) => name.startsWith(dir.path) && !name.endsWith(".sock"))).toEqual([]);
    });
    // The files are closed now; a seek into the middle makes them anew.
    await sweep();
    await play(2 * MiB, SIZE);
    await play();
    await play();
    expect(await play()).toBe(0);
    await rig.restart();
    expect(await play()).toBe(0);
  });

  test("D6: the clock jumps: songs play on, cached ones from the cache, and ages are never negative", async () => {
    const clock = new HurriedClock();
    await start({ clock });
    const year = 365 * 86_400_000;
    for (const wall of [10 * year, -60 * year, 7 * 3_600_000, 40 * year]) {
      await play(0, 2 * CHUNK);
      clock.jump(wall);
      expect(await play(0, 2 * CHUNK)).toBe(0);
      await rig.restart();
      expect(await play(0, 2 * CHUNK)).toBe(0);
      const { lastPlayedAt } = (await rig.json("/api/tracks/u/song")) as { lastPlayedAt: string };
      expect(Number.isNaN(Date.parse(lastPlayedAt))).toBe(false);
    }
    const playing = play(0, SIZE, "w/song");
    clock.hurry(8 * 3_600_000);
    await playing;
    clock.jump(-8 * 3_600_000);
    await play(0, SIZE, "w/song");
  });

  test("D7: ids are data: they are told apart to the letter, and no name of a file comes from them", async () => {
    const ids = [
      "../x",
      "..",
      "%2e%2e",
      ".",
      "a/b",
      "a\\b",
      "aBc",
      "AbC",
      "abc",
      "x".repeat(200),
      "ü€😀",
      "a b",
      "con",
      "-rf",
      "a:b",
    ];
    const nameOf = (id: string): string => createHash("md5").update(id).digest("hex");
    await start({ resolve: (id) => rig.up.resolution(nameOf(id)) });
    for (const [n, id] of ids.entries()) rig.up.resource(nameOf(id), { size: 1000 + n });
    for (const round of [1, 2]) {
      for (const id of ids) {
        const got = await rig.get(`w/${encodeURIComponent(id).replaceAll(".", "%2E")}`);
        expect([id, got.status]).toEqual([id, 200]);
        assertBytes(got.body, rig.up.bytes(nameOf(id)));
      }
      if (round === 1) await rig.restart();
    }
    expect(rig.hook.calls().map(({ id }) => id)).toEqual(ids);
    for (const path of await files()) {
      expect(path.slice(tracks().length)).toMatch(/^\/([0-9a-f]{2})\/\1[0-9a-f]{30}\.(data|map)$/);
    }
    expect(await readdir(join(dir.path, "v1"))).toEqual(expect.arrayContaining(["index.log", "tracks"]));
    for (const bad of ["a%00b", "%0a", "x".repeat(201), "a%7Fb", "%ff", ""]) {
      expect([bad, (await rig.get(`w/${bad}`)).status]).toEqual([bad, 400]);
    }
  });

  test("D8: 100,000 tracks in the index: the first answer comes in under 1 s", async () => {
    await start();
    await play(0, 10);
    await rig.proxy.close();
    const line = (n: number): string => {
      const stem = createHash("sha256").update(String(n)).digest("hex").slice(0, 32);
      const facts = { upstreamName: `v${n}`, resolverVariant: `v${n}`, size: 4_000_000 + n, contentType: "audio/webm" };
      const meta = { title: `Song number ${n}`, artist: "An artist", album: "An album", durationMs: 200_000 };
      const rest = JSON.stringify({ variant: `v${n}`, qualities: [""], facts, complete: true, meta });
      const text = `+\t${stem}\t1000\t${1_700_000_000_000 + n}\tsettled\t${JSON.stringify(["u", `id-${n}`])}\t${rest}`;
      return `${crc32(text).toString(16).padStart(8, "0")} ${text}\n`;
    };
    const lines = Array.from({ length: 100_000 }, (_, n) => line(n)).join("");
    await appendFile(join(dir.path, "v1", "index.log"), lines);
    const cpu = process.cpuUsage();
    const began = performance.now();
    await rig.restart();
    expect(await play(0, 10)).toBe(0);
    const wall = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    const used = (user + system) / 1000;
    console.log(`D8: first answer after ${wall.toFixed(0)} ms (CPU ${used.toFixed(0)} ms)`);
    // Of the processor, where that is less: a busy machine takes its time.
    expect(Math.min(wall, used)).toBeLessThan(1000);
    // Making the log takes most of the time.
  }, 60_000);
});
