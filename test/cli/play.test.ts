import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { request, type RawResponse } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { describeWith } from "../players/programs.ts";
import { wav } from "../player/sound.ts";
import { openSource } from "../../src/resolvers/index.ts";
import { start } from "./fake-io.ts";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const PATIENCE = { timeoutMs: 25_000 };
// A busy machine takes seconds to start a program.
vi.setConfig({ testTimeout: 60_000 });

let dir: TmpDir;
/** A directory with an mpv that plays into nothing. */
let bin: string;
const running: ChildProcess[] = [];
beforeEach(async () => {
  dir = await tmpDir();
  bin = join(dir.path, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "mpv"), `#!/bin/sh\nPATH="${process.env["PATH"]}" exec mpv "$@" --ao=null\n`);
  await chmod(join(bin, "mpv"), 0o755);
  await mkdir(join(dir.path, "music"));
  for (const [name, seconds] of [
    ["a", 0.3],
    ["b", 0.3],
    ["long", 60],
  ] as const) {
    await writeFile(join(dir.path, "music", `${name}.wav`), wav(seconds, 440));
  }
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
  await dir.remove();
});

const settings = (): string[] => [
  "--source",
  `m=folder:${join(dir.path, "music")}`,
  "--cache-dir",
  join(dir.path, "cache"),
];
const env = (): NodeJS.ProcessEnv => ({ ...process.env, PATH: `${bin}:${process.env["PATH"]}` });

/** The ids that the folder's tracks have. */
async function ids(): Promise<Record<string, string>> {
  const { resolver } = await openSource(`folder:${join(dir.path, "music")}`);
  const tracks = (await resolver.list?.()) ?? [];
  await resolver.close?.();
  return Object.fromEntries(tracks.map(({ id, title = "" }) => [title, id]));
}

function run(argv: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "pipe"], env: env() });
  running.push(child);
  return child;
}

/** What a child says, as it says it. */
function heard(child: ChildProcess): { stdout: string; stderr: string; readonly code: Promise<number | null> } {
  const said = { stdout: "", stderr: "", code: once(child, "exit").then(([code]) => code as number | null) };
  child.stdout?.on("data", (piece: Buffer) => (said.stdout += piece.toString()));
  child.stderr?.on("data", (piece: Buffer) => (said.stderr += piece.toString()));
  return said;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const said = heard(child);
  return await eventually(() => {
    if (!said.stdout.includes("\n")) throw new Error(said.stderr);
    return said.stdout.split("\n")[0] ?? "";
  }, PATIENCE);
}

const jsonOf = ({ body }: RawResponse): never => JSON.parse(Buffer.from(body).toString()) as never;

describeWith(["mpv"], "afterbay play", () => {
  test("plays to the end in lines; what cannot be played is skipped, and only that", async () => {
    const { a = "", b = "" } = await ids();
    const said = heard(run(["play", a, "nope", `m/${b}`, a, ...settings()]));
    expect(await said.code).toBe(1);
    expect(said.stdout.split("\n")).toEqual(
      [a, b, a].map((id) => expect.stringMatching(`^playing ${id}, `) as string).concat(""),
    );
    expect(said.stderr).toBe("afterbay: nope: the source has no such track (not-found)\n");
  });

  test("goes on with its queue after it was killed, and where it was after it was told to end", async () => {
    const { a = "", long = "" } = await ids();
    const now = join(dir.path, "cache/player/play/now.json");
    const first = run(["play", "--repeat", "all", long, a, ...settings()]);
    expect(await firstLine(first)).toMatch(/^playing .*long/);
    await eventually(async () => expect(await readFile(now, "utf8")).toContain('"entry":1'), PATIENCE);
    first.kill("SIGKILL");
    await once(first, "exit");
    const second = run(["play", ...settings()]);
    const said = heard(second);
    await eventually(() => expect(said.stdout + said.stderr).toMatch(/^playing .*long.*\n$/), PATIENCE);
    // It plays on from there for a moment.
    await delay(1000);
    second.kill("SIGTERM");
    expect([await said.code, said.stderr]).toEqual([0, ""]);
    const { entry, positionMs } = JSON.parse(await readFile(now, "utf8")) as { entry: number; positionMs: number };
    expect(entry).toBe(1);
    expect(positionMs).toBeGreaterThan(0);
    expect(await readFile(join(dir.path, "cache/player/play/queue.json"), "utf8")).toContain('"repeat":"all"');
  });

  test("serve --player mpv plays what it is told, and knows its queue after it was killed", async () => {
    const { a = "", long = "" } = await ids();
    const serve = ["serve", "--json", "--port", "0", "--player", "mpv", ...settings()];
    const portOf = async (child: ChildProcess): Promise<number> =>
      Number(new URL((JSON.parse(await firstLine(child)) as { url: string }).url).port);
    const child = run(serve);
    const port = await portOf(child);
    const post = (verb: string, body: object): Promise<RawResponse> =>
      request({ port, path: `/api/player/${verb}`, method: "POST", requestBody: JSON.stringify(body) });
    await post("play", { ids: [long, a] });
    const state = async (at: number): Promise<object> => jsonOf(await request({ port: at, path: "/api/player" }));
    await eventually(
      async () => expect(await state(port)).toMatchObject({ status: "playing", track: { title: "long" } }),
      PATIENCE,
    );
    await post("volume", { volume: 40 });
    await eventually(async () => {
      expect(await readFile(join(dir.path, "cache/player/serve/now.json"), "utf8")).toContain('"volume":40');
    }, PATIENCE);
    child.kill("SIGKILL");
    await once(child, "exit");
    const again = run(serve);
    expect(await state(await portOf(again))).toMatchObject({ status: "stopped", index: 0, volume: 40, queueLength: 2 });
    again.kill("SIGTERM");
    const [code] = (await once(again, "exit")) as [number | null];
    expect(code).toBe(0);
  });
});

describeWith(["mpv", "script"], "afterbay play on a terminal", () => {
  /** The processes that a process has begun. */
  const childrenOf = async (pid: number): Promise<number[]> => {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text
      .split(" ")
      .map(Number)
      .filter((one) => one > 1);
  };

  test("gives the terminal back as it was, when it is told to end while mpv was killed", async () => {
    const play = `'${process.execPath}' '${program}' play yaman --cache-dir '${join(dir.path, "cache")}'`;
    const child = spawn("script", ["-qefc", `echo shell=$$; ${play}; echo code=$?; stty -a`, "/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...env(), TERM: "xterm", LANG: "C.UTF-8", SHELL: "/bin/sh" },
    });
    running.push(child);
    const said = heard(child);
    await eventually(() => expect(said.stdout).toMatch(/Raga Yaman.*Queue.*1 of 1/su), PATIENCE);
    const shell = Number(/shell=(\d+)/.exec(said.stdout)?.[1]);
    expect(shell).toBeGreaterThan(1);
    const [player = 0] = await childrenOf(shell);
    expect(player).toBeGreaterThan(1);
    const [mpv = 0] = await childrenOf(player);
    expect(mpv).toBeGreaterThan(1);
    process.kill(mpv, "SIGKILL");
    process.kill(player, "SIGTERM");
    expect(await said.code).toBe(0);
    const [, after = ""] = said.stdout.split("\x1b[?1049l");
    expect(after).toMatch(/code=0\r\n/);
    expect(after).toMatch(/[^-]icanon/);
    expect(after).toMatch(/[^-]echo /);
    expect(said.stdout).toContain("\x1b[?25h\x1b[?1049l");
  });
});

test("play says in one line what is wrong", async () => {
  const says = async (argv: readonly string[]): Promise<[number, string]> => {
    const { code, stderr } = start({ argv: ["play", ...argv] });
    return [await code, stderr.text];
  };
  expect(await says(["--repeat", "twice"])).toEqual([2, expect.stringMatching(/^afterbay: --repeat: .*\n$/)]);
  expect(await says(["--volume"])).toEqual([2, expect.stringMatching(/^afterbay: unknown option .*\n$/)]);
});
