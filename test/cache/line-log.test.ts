import { existsSync } from "node:fs";
import { mkdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LineLog } from "../../src/cache/line-log.ts";
import { tmpDir, type TmpDir } from "../helpers/process.ts";

let dir: TmpDir;
let path: string;
beforeEach(async () => {
  dir = await tmpDir();
  path = join(dir.path, "log");
});
afterEach(() => dir.remove());

/** A log whose state is the given lines. */
const logOf = (state: string[] = [], slack = 1000): LineLog =>
  new LineLog(
    path,
    {
      get lineCount() {
        return state.length;
      },
      lines: () => state,
    },
    slack,
  );
const load = async (): Promise<string[]> => {
  const texts: string[] = [];
  await logOf().load((line) => texts.push(line.toString()));
  return texts;
};
const write = async (texts: readonly string[]): Promise<void> => {
  const log = logOf();
  await log.load(() => {});
  for (const text of texts) log.append(text);
  await log.flush();
};
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((line) => !line.includes("\n"));

it("gives back what was appended, in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 20 }), fc.nat(20), async (texts, at) => {
      await rm(path, { force: true });
      await write(texts.slice(0, at));
      await write(texts.slice(at));
      expect(await load()).toEqual(texts);
    }),
    { numRuns: 50 },
  );
});

it("after any cut and any flipped bits, gives back only lines that were written, and takes new ones", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 12 }),
      fc.nat(),
      fc.array(fc.tuple(fc.nat(), fc.nat(7)), { maxLength: 3 }),
      async (texts, cut, flips) => {
        await rm(path, { force: true });
        await write(texts);
        const whole = await readFile(path);
        const content = Buffer.from(whole.subarray(0, cut % (whole.length + 1)));
        for (const [at, bit] of flips) {
          if (content.length > 0) content[at % content.length] = (content[at % content.length] ?? 0) ^ (1 << bit);
        }
        await writeFile(path, content);
        const kept = await load();
        // Each line that comes back was written, and they keep their order.
        let from = 0;
        for (const line of kept) {
          from = texts.indexOf(line, from) + 1;
          expect(from).toBeGreaterThan(0);
        }
        // One that a fault did not touch is among them.
        if (flips.length === 0)
          expect(kept.length).toBeGreaterThanOrEqual(content.toString("latin1").split("\n").length - 1);
        await write(["after all that", "two"]);
        expect(await load()).toEqual([...kept, "after all that", "two"]);
      },
    ),
    { numRuns: 150 },
  );
});

it("is empty where there is no file; says so where it cannot be read", async () => {
  expect(await load()).toEqual([]);
  await mkdir(path);
  await expect(load()).rejects.toThrow("EISDIR");
});

it("keeps what could not be written, in order, and writes it when it can", async () => {
  const log = logOf();
  await mkdir(path);
  log.append("one");
  const failing = log.flush();
  log.append("two");
  await expect(failing).rejects.toThrow("EISDIR");
  await expect(log.flush()).rejects.toThrow("EISDIR");
  log.append("three");
  await rm(path, { recursive: true });
  await log.flush();
  expect(await load()).toEqual(["one", "two", "three"]);
});

it("is written anew when it is too long for its state, which loses nothing that is appended meanwhile", async () => {
  const state: string[] = [];
  const log = logOf(state, 10);
  const flushes: Promise<void>[] = [];
  for (let n = 0; n < 500; n += 1) {
    const line = `${n % 7} ${n}`;
    const known = state.findIndex((other) => other.startsWith(`${n % 7} `));
    if (known >= 0) state[known] = line;
    else state.push(line);
    log.append(line);
    if (n % 3 === 0) flushes.push(log.flush());
    if (n % 50 === 0) await flushes.at(-1);
  }
  await Promise.all(flushes);
  await log.flush();
  const last = new Map((await load()).map((line) => [line.split(" ")[0], line]));
  expect([...last.values()].toSorted()).toEqual(state.toSorted());
  expect((await readFile(path, "utf8")).split("\n").length).toBeLessThan(30);
  expect(existsSync(`${path}.new`)).toBe(false);
});

it("a file that someone removed or cut is written anew with the next line", async () => {
  const state = ["a", "b", "c"];
  const log = logOf(state);
  for (const line of state) log.append(line);
  await log.flush();
  for (const damage of [() => unlink(path), () => writeFile(path, "")]) {
    await damage();
    log.append("c");
    await log.flush();
    expect(await load()).toEqual(state);
  }
});

it("a rewriting that fails leaves the file and nothing beside it, and the lines are appended", async () => {
  const log = logOf(["a"], 2);
  await mkdir(`${path}.new`);
  for (let n = 0; n < 9; n += 1) {
    log.append("a");
    await log.flush();
  }
  expect(await load()).toHaveLength(9);
  await rm(`${path}.new`, { recursive: true });
  for (let n = 0; n < 9; n += 1) {
    log.append("a");
    await log.flush();
  }
  expect((await load()).length).toBeLessThan(9);
});

it("what is void is replaced, not added to", async () => {
  const state: string[] = [];
  const log = logOf(state);
  log.append("old");
  await log.flush();
  log.renew();
  await log.flush();
  expect(await load()).toEqual(["old"]);
  log.append("dropped: the state says it all");
  state.push("new");
  await log.flush();
  expect(await load()).toEqual(["new"]);
  log.append("more");
  await log.flush();
  expect(await load()).toEqual(["new", "more"]);
});
