import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, it } from "vitest";
import { crc32 } from "../../src/cache/crc32.ts";
import type { IndexEntry } from "../../src/cache/index-entry.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";

let dir: TmpDir;
let path: string;
let errors: unknown[];
beforeEach(async () => {
  dir = await tmpDir();
  path = join(dir.path, "index.log");
  errors = [];
});
afterEach(() => dir.remove());

const stem = (n: number): string => createHash("sha256").update(String(n)).digest("hex").slice(0, 32);
const entry = (n: number, changes: Partial<IndexEntry> = {}): IndexEntry => ({
  source: "youtube",
  id: `dQw4w9WgX${n}`,
  variant: `251-17123456${n}`,
  qualities: [""],
  facts: {
    upstreamName: `251-17123456${n}`,
    resolverVariant: `251-17123456${n}`,
    validator: { origin: "https://rr3---sn-4g5e6nsz.googlevideo.com", lastModified: "Mon, 23 Nov 2026 01:00:00 GMT" },
    size: 4_194_304 + n,
    contentType: "audio/webm",
  },
  meta: {
    title: `A song of an ordinary length, number ${n}`,
    artist: "An artist with a name",
    album: "The album that it is from",
    durationMs: 212_000 + n,
    artwork: `https://i.ytimg.com/vi/dQw4w9WgX${n}/hqdefault.jpg`,
    loudnessDb: -7.2,
  },
  bytes: 4_194_304 + n,
  complete: true,
  playedAt: 1_790_000_000_000 + n,
  ...changes,
});
/** A line as the index writes it, of fields that may be anything. */
const record = (name: string, fields: unknown): string => {
  const { source, id, bytes, playedAt, open: isOpen, ...rest } = { ...(fields as IndexEntry) };
  const json = typeof fields === "object" && fields !== null && !Array.isArray(fields) ? rest : fields;
  return `+\t${name}\t${bytes}\t${playedAt}\t${isOpen ? "open" : "settled"}\t${JSON.stringify([source, id])}\t${JSON.stringify(json)}`;
};
const line = (text: string): string => `${crc32(text).toString(16).padStart(8, "0")} ${text}\n`;
const open = async (): Promise<TrackIndex> => {
  const index = new TrackIndex(path, (error) => errors.push(error));
  await index.load();
  return index;
};
const lines = async (): Promise<number> => (await readFile(path, "utf8")).split("\n").length - 1;

it("finds what was put, by its name and by its track", async () => {
  const index = await open();
  const { id } = entry(1);
  index.put(stem(1), entry(1));
  index.put(stem(2), entry(2));
  index.put(stem(3), entry(3, { id, variant: "another" }));
  await index.flush();
  const again = await open();
  expect([...again.entries()]).toEqual([1, 2, 3].map((n) => [stem(n), index.get(stem(n))]));
  expect(again.ofTrack({ source: "youtube", id }).map(([name]) => name)).toEqual([stem(1), stem(3)]);
  expect(again.ofTrack({ source: "youtub", id: `e${id}` })).toEqual([]);
  expect(again.bytes).toBe(3 * 4_194_304 + 6);
  expect(errors).toEqual([]);
});

it("takes the last line of a variant, and forgets what was removed", async () => {
  const index = await open();
  for (const bytes of [5, 7, 6]) index.put(stem(1), entry(1, { bytes }));
  index.put(stem(2), entry(2));
  index.remove(stem(2));
  index.remove(stem(2));
  index.remove(stem(9));
  index.note(stem(1), entry(1, { bytes: 8 }));
  index.note(stem(9), entry(9));
  expect(index.bytes).toBe(8);
  await index.flush();
  const again = await open();
  expect(again.bytes).toBe(6);
  expect([...again.entries()]).toHaveLength(1);
  expect(again.ofTrack(entry(2))).toEqual([]);
  // What was counted in memory only is no line.
  expect(await lines()).toBe(5);
});

it("writes by itself, soon", async () => {
  const index = await open();
  index.put(stem(1), entry(1));
  await eventually(async () => expect((await open()).bytes).toBe(entry(1).bytes), { timeoutMs: 600 });
});

it("does not grow without bound while it runs", async () => {
  const index = await open();
  for (let n = 0; n < 9000; n += 1) {
    index.put(stem(n % 5), entry(n % 5, { playedAt: n }));
    if (n % 100 === 0) await index.flush();
  }
  await index.flush();
  expect(await lines()).toBeLessThan(1200);
  expect(existsSync(`${path}.new`)).toBe(false);
  const again = await open();
  expect([...again.entries()].map(([, { playedAt }]) => playedAt)).toEqual([8995, 8996, 8997, 8998, 8999]);
});

it("keeps what it needs of a log that is mostly out of date", async () => {
  const index = await open();
  for (let n = 0; n < 300; n += 1) index.put(stem(n % 30), entry(n % 30, { id: `ü${n % 3}`, bytes: n }));
  await index.flush();
  const again = await open();
  expect([...again.entries()]).toEqual([...index.entries()]);
  expect([...again.usage()]).toEqual([...index.usage()]);
  expect([...again.lines()]).toEqual([...index.lines()]);
});

it("skips lines that are junk, torn, or of another shape, whatever their checksum says", async () => {
  const good = entry(1);
  const odd: unknown[] = [
    null,
    1,
    "x",
    [],
    {},
    { ...good, source: 1 },
    { ...good, id: null },
    { ...good, variant: undefined },
    { ...good, qualities: "low" },
    { ...good, qualities: [1] },
    { ...good, facts: null },
    { ...good, facts: [] },
    { ...good, facts: { size: -1 } },
    { ...good, facts: { size: 1.5 } },
    { ...good, facts: { validator: {} } },
    { ...good, facts: { contentType: {} } },
    { ...good, bytes: "many" },
    { ...good, bytes: -1 },
    { ...good, bytes: 2 ** 60 },
    { ...good, complete: "yes" },
    { ...good, playedAt: 1e300 },
    { ...good, playedAt: "now" },
    { ...good, id: undefined },
  ];
  await writeFile(
    path,
    [
      ...odd.map((value, n) => line(record(stem(100 + n), value))),
      line("+"),
      line("-"),
      line("+\t../../../../etc/passwd...........\t1\t1\tsettled\t[]\t{}"),
      line(`+\t${stem(50)}`),
      line(`+\t${stem(50)}\t1\t1\tsettled\t["s","i"]\t{"variant":`),
      line(`+\t${stem(50)}\t1\t1\tsettled\t["s"\t{}`),
      line(`-\t${stem(50)}\tand more`),
      line("something from a later version"),
      "junk without a checksum\n\n\0\n",
      line(record(stem(1), good)),
      line(record(stem(2), entry(2))).replace("ordinary", "extraordinary"),
      line(record(stem(3), { ...entry(3), meta: { durationMs: null } })),
      line(record(stem(4), entry(4))).slice(0, -20),
    ].join(""),
  );
  const index = await open();
  const { meta: _meta, ...bare } = entry(3);
  expect([...index.entries()]).toEqual([
    [stem(1), good],
    [stem(3), bare],
  ]);
  expect(index.bytes).toBe(good.bytes + bare.bytes);
  index.put(stem(5), entry(5));
  await index.flush();
  expect([...(await open()).entries()]).toHaveLength(3);
});

it("a log that cannot be read is told, and is no reason not to start", async () => {
  await mkdir(path);
  const index = await open();
  expect(errors).toHaveLength(1);
  index.put(stem(1), entry(1));
  index.put(stem(2), entry(2));
  await expect(index.flush()).rejects.toThrow("EISDIR");
  index.put(stem(3), entry(3));
  await delay(300);
  index.put(stem(3), entry(3));
  await delay(300);
  // Once, not with every line.
  expect(errors).toHaveLength(2);
  await rm(path, { recursive: true });
  await index.flush();
  expect([...(await open()).entries()]).toHaveLength(3);
});

it("a log or a folder that was deleted is made anew, with everything", async () => {
  const index = await open();
  index.put(stem(1), entry(1));
  await index.flush();
  await unlink(path);
  index.put(stem(2), entry(2));
  await index.flush();
  expect([...(await open()).entries()]).toHaveLength(2);
  await dir.remove();
  index.put(stem(3), entry(3));
  await index.flush();
  expect([...(await open()).entries()]).toHaveLength(3);
});

it("D8: 100,000 tracks are read in under 1 s, and hold less than 1 KiB each", async () => {
  const count = 100_000;
  for (let n = 0; n < count; n += 10_000) {
    const batch = Array.from({ length: 10_000 }, (_, at) => line(record(stem(n + at), entry(n + at))));
    await appendFile(path, batch.join(""));
  }
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const index = await open();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  // Of the processor, where that is less: a busy machine takes its time.
  const ms = Math.min(wall, (user + system) / 1000);
  // Memory outside the heap is given back a little later.
  collect();
  await delay(50);
  collect();
  const after = process.memoryUsage();
  const each = (after.heapUsed + after.external - before.heapUsed - before.external) / count;
  expect([...index.entries()]).toHaveLength(count);
  console.log(
    `index of ${count} tracks (${(await stat(path)).size} bytes): ${wall.toFixed(0)} ms (CPU ${((user + system) / 1000).toFixed(0)} ms), ${each.toFixed(0)} bytes of memory a track`,
  );
  expect(ms).toBeLessThan(1000);
  expect(each).toBeLessThan(1024);
  // Most of it is making the log.
}, 60_000);

it.skipIf(process.getuid?.() === 0)("a log that may not be read is told", async () => {
  await writeFile(path, line(record(stem(1), entry(1))));
  await chmod(path, 0);
  await open();
  expect(errors).toHaveLength(1);
});
