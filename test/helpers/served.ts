import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** `afterbay serve`, as built, in a process of its own. */
export interface Served {
  readonly port: number;
  /** From its start to its ready line, ms. */
  readonly startMs: number;
  /** Resident memory, bytes. Linux only. */
  rss(): number;
  /** Open file descriptors. Linux only. */
  handles(): number;
  /** Ends it; its exit code, or null where the signal ended it. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts a server on a free port. Rejects if it ends before it is ready. */
export async function startServed(argv: readonly string[]): Promise<Served> {
  const began = performance.now();
  const child = spawn(process.execPath, [program, "serve", "--json", "--port", "0", "--log-level", "error", ...argv], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(([code]) => Promise.reject(new Error(`serve ended with ${String(code)}`))),
  ]);
  const { url } = JSON.parse(String(line)) as { url: string };
  return {
    port: Number(new URL(url).port),
    startMs: performance.now() - began,
    rss: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) * 1024,
    handles: () => readdirSync(`/proc/${child.pid}/fd`).length,
    async kill(signal) {
      child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
}
