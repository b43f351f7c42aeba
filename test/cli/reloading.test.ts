import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { emptyServer, ready, start } from "./fake-io.ts";

let dir: TmpDir;
let file: string;
beforeEach(async () => {
  dir = await tmpDir();
  file = join(dir.path, "config.json");
  await configure({ "cache-size": "20M" });
});
afterEach(() => dir.remove());

const configure = (settings: unknown): Promise<void> => writeFile(file, JSON.stringify(settings));
const M = 1024 ** 2;

it("SIGHUP takes the cache's size from the config file, and nothing else", async () => {
  const program = start({ argv: ["serve", "--config", file] });
  await ready(program);
  for (const size of ["10M", "10M", "30M"]) {
    await configure({ "cache-size": size, port: 9999 });
    const before = program.stderr.lines.length;
    program.signals.emit("SIGHUP", "SIGHUP");
    await eventually(() => expect(program.stderr.lines.length).toBe(before + 1));
  }
  expect(program.sizes).toEqual([10 * M, 30 * M]);
  expect(program.started).toHaveLength(1);
  program.signals.emit("SIGTERM", "SIGTERM");
  expect(await program.code).toBe(0);
});

it("a config file that cannot be used changes nothing", async () => {
  const program = start({ argv: ["serve", "--config", file, "--log-level", "warn"] });
  await ready(program);
  for (const wrong of ["{", '{"cache-size": "much"}', '{"cash-size": 1}']) {
    await writeFile(file, wrong);
    const before = program.stderr.lines.length;
    program.signals.emit("SIGHUP", "SIGHUP");
    await eventually(() => expect(program.stderr.lines.length).toBe(before + 1));
    expect(program.stderr.lines.at(-1)).toContain("nothing has changed");
  }
  expect(program.sizes).toEqual([]);
  program.signals.emit("SIGTERM", "SIGTERM");
  expect(await program.code).toBe(0);
});

it("the command line is stronger than the file", async () => {
  const program = start({ argv: ["serve", "--config", file, "--cache-size", "5M"] });
  await ready(program);
  await configure({ "cache-size": "10M" });
  program.signals.emit("SIGHUP", "SIGHUP");
  await eventually(() => expect(program.stderr.text).toContain("read again"));
  expect(program.sizes).toEqual([]);
  program.signals.emit("SIGTERM", "SIGTERM");
  await program.code;
});

it("what is asked for while it starts is done when it has started", async () => {
  let finish = (): void => {};
  const starting = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const sizes: number[] = [];
  const program = start({
    argv: ["serve", "--config", file],
    createServer: async () => {
      await starting;
      return { ...emptyServer(async () => {}), setCacheSize: (bytes) => sizes.push(bytes) };
    },
  });
  await eventually(() => expect(program.started).toHaveLength(1));
  await configure({ "cache-size": "10M" });
  program.signals.emit("SIGHUP", "SIGHUP");
  finish();
  await eventually(() => expect(sizes).toEqual([10 * M]));
  program.signals.emit("SIGTERM", "SIGTERM");
  expect(await program.code).toBe(0);
});

it.each([
  ["without a config file", [], false],
  ["when its terminal is gone", ["--config"], true],
])("SIGHUP ends the server %s", async (_case, argv, hadTerminal) => {
  let terminal = hadTerminal;
  const program = start({
    argv: ["serve", ...argv.flatMap((flag) => [flag, file])],
    hasTerminal: () => terminal,
  });
  await ready(program);
  terminal = false;
  program.signals.emit("SIGHUP", "SIGHUP");
  expect(await program.code).toBe(0);
  expect(program.closed.times).toBe(1);
});
