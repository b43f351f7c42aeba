import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly stderr: Promise<string>;
  /** The first line of stdout. */
  readonly line: Promise<string>;
}

export interface Serving extends Running {
  readonly url: string;
  readonly port: number;
}

/** Starts the built program in `directory`, which is its home, too. */
export function start(directory: string, argv: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [program, ...argv], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, XDG_DATA_HOME: join(directory, "data"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit").then(([code]: unknown[]) => code);
  const stderr = text(child.stderr);
  const lines = createInterface(child.stdout);
  const line = Promise.race([once(lines, "line").then(([first]) => String(first)), stderr]);
  return { child, exited, stderr, line };
}

/** The same with `--json`, once it is ready. */
export async function serving(
  directory: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Serving> {
  const running = start(directory, [...argv, "--json"], env);
  const { url } = JSON.parse(await running.line) as { url: string };
  return { ...running, url, port: Number(new URL(url).port) };
}

/** Ends it; its exit code, and the milliseconds that took. */
export async function stop({ child, exited }: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<[unknown, number]> {
  const asked = performance.now();
  child.kill(signal);
  return [await exited, performance.now() - asked];
}
