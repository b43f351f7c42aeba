import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Playback } from "../../src/player/playback.ts";
import { PlaybackMemory } from "../../src/player/playback-memory.ts";
import { ManualClock, settle } from "../data-source/fakes.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { FakeDriver } from "./fake-driver.ts";

const tracks = (...ids: string[]) => ids.map((id) => ({ source: "s", id }));
let dir: TmpDir;
let directory: string;
let clock: ManualClock;
beforeEach(async () => {
  dir = await tmpDir();
  directory = join(dir.path, "player");
  clock = new ManualClock();
});
afterEach(() => dir.remove());

async function opened(options: { onError?: (error: unknown) => void } = {}) {
  const memory = await PlaybackMemory.open({ directory, clock, ...options });
  const driver = new FakeDriver();
  const playback = new Playback({
    driver,
    clock,
    random: () => 0.7,
    urlFor: ({ id }) => `http://proxy/${id}`,
    outcomeOf: () => undefined,
    ...(memory.remembered === undefined ? {} : { remembered: memory.remembered }),
  });
  memory.follow(playback);
  return { memory, playback, driver };
}

/** Lets time pass, and what is written by then be begun. */
async function pass(ms: number): Promise<void> {
  await settle();
  await clock.advance(ms);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await settle();
}

const read = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(directory, name), "utf8")) as Record<string, unknown>;

test("queue, position, modes and volume survive the end of the process, at any moment", async () => {
  const { playback, driver } = await opened();
  playback.add(tracks("a", "b", "c", "d"));
  playback.setShuffle(true);
  playback.setRepeat("all");
  playback.setVolume(35);
  playback.setNormalize(false);
  playback.play();
  driver.begin();
  await pass(300);
  driver.at(61_234);
  await pass(5000);
  await eventually(async () => expect(await read("now.json")).toMatchObject({ positionMs: 61_234 }));
  // Nobody closes anything.
  const again = await opened();
  expect(again.playback.queue.toJSON()).toEqual(playback.queue.toJSON());
  expect(again.playback.state).toMatchObject({
    status: "stopped",
    positionMs: 61_234,
    volume: 35,
    repeat: "all",
    shuffle: true,
    normalize: false,
  });
});

test("each change is written soon, many as one; a position alone seldom, and without the queue", async () => {
  const { playback, driver } = await opened();
  playback.add(tracks("a", "b"));
  await pass(249);
  await expect(stat(join(directory, "queue.json"))).rejects.toThrow("ENOENT");
  await pass(1);
  await eventually(async () => expect((await read("queue.json"))["format"]).toBe(1));
  playback.play();
  driver.begin();
  await pass(300);
  await eventually(async () => expect((await read("queue.json"))["queue"]).toMatchObject({ position: 0 }));
  const before = (await stat(join(directory, "queue.json"))).ino;
  for (let second = 1; second <= 12; second += 1) {
    driver.at(second * 1000);
    await pass(1000);
  }
  await eventually(async () => expect((await read("now.json"))["positionMs"]).toBeGreaterThanOrEqual(5000));
  expect((await stat(join(directory, "queue.json"))).ino).toBe(before);
  expect((await stat(join(directory, "now.json"))).mode & 0o777).toBe(0o600);
  await eventually(async () => expect((await readdir(directory)).toSorted()).toEqual(["now.json", "queue.json"]));
});

test("what is not written yet is written at the end", async () => {
  const { memory, playback } = await opened();
  playback.add(tracks("a"));
  await memory.close();
  expect((await opened()).playback.state.queue).toMatchObject([{ id: "a" }]);
});

test("a position of another track is not taken for this one's", async () => {
  const { memory, playback, driver } = await opened();
  playback.add(tracks("a", "b"));
  playback.play();
  driver.begin();
  driver.at(50_000);
  await memory.close();
  const now = await read("now.json");
  await writeFile(join(directory, "now.json"), JSON.stringify({ ...now, entry: 2 }));
  expect((await opened()).playback.state.positionMs).toBe(0);
});

const valid = { format: 1, entry: 1, positionMs: 5, volume: 50, normalize: true };
test.each([
  ["now.json", "no JSON", "{"],
  ["now.json", "a newer format", JSON.stringify({ ...valid, format: 2 })],
  ["now.json", "a volume beyond bounds", JSON.stringify({ ...valid, volume: 1e9 })],
  ["now.json", "a position in no track", JSON.stringify({ ...valid, positionMs: -1 })],
  ["now.json", "a list", "[]"],
  ["queue.json", "nothing", ""],
  ["queue.json", "a foreign id", '{"format":1,"queue":{"entries":[[1,"s","a\\u0000b"]],"position":0,"repeat":"off"}}'],
  ["queue.json", "a prototype", '{"format":1,"__proto__":{"queue":{}}}'],
])("%s with %s is put aside, and all begins anew", async (name, _, text) => {
  await mkdir(directory);
  await writeFile(join(directory, name), text);
  const { memory, playback } = await opened();
  expect(memory.remembered).toBeUndefined();
  expect(await readFile(join(directory, `${name}.aside`), "utf8")).toBe(text);
  playback.add(tracks("a"));
  await memory.close();
  expect((await opened()).playback.state.queue).toHaveLength(1);
});

test("one bad file does not spoil the other", async () => {
  const { memory, playback } = await opened();
  playback.add(tracks("a"));
  playback.setVolume(20);
  await memory.close();
  await writeFile(join(directory, "queue.json"), "{");
  expect((await opened()).playback.state).toMatchObject({ queue: [], volume: 20 });
});

test("a pipe or a directory in the place of a file hangs nothing", async () => {
  await mkdir(join(directory, "now.json"), { recursive: true });
  execFileSync("mkfifo", [join(directory, "queue.json")]);
  const { memory, playback } = await opened();
  playback.add(tracks("a"));
  await memory.close();
  expect((await opened()).playback.state.queue).toHaveLength(1);
});

test("what cannot be written is told, and written once it can", async () => {
  const errors: unknown[] = [];
  await writeFile(directory, "in the way");
  const { playback } = await opened({ onError: (error) => errors.push(error) });
  playback.add(tracks("a"));
  await pass(300);
  await eventually(() => expect(errors).toHaveLength(1));
  await rm(directory);
  playback.setVolume(10);
  await pass(300);
  await eventually(async () => expect(await read("now.json")).toMatchObject({ volume: 10 }));
  expect((await opened()).playback.state.queue).toHaveLength(1);
});
