import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const FD_DIR = "/proc/self/fd";

/**
 * What this process's open file descriptors point to: paths, `socket:[…]`, `anon_inode:[…]`.
 * Absent where the system does not tell (outside Linux).
 */
export function openFiles(): readonly string[] | undefined {
  let names: string[];
  try {
    names = readdirSync(FD_DIR);
  } catch {
    return undefined;
  }
  return names.flatMap((name) => {
    try {
      return [readlinkSync(join(FD_DIR, name))];
    } catch {
      // The descriptor that listed the directory is among the names, and closed by now.
      return [];
    }
  });
}

/** The TCP connections of this process, both ends where both are here. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap" || kind === "TCPSOCKETWRAP").length;
}

/** Tries `assertion` until it neither throws nor rejects; its value. Past the time, its last error. */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  { timeoutMs = 2000, intervalMs = 5 }: { readonly timeoutMs?: number; readonly intervalMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
      await delay(intervalMs);
    }
  }
}

export interface TmpDir {
  readonly path: string;
  remove(): Promise<void>;
}

/** A new directory for one test. */
export async function tmpDir(prefix = "afterbay-"): Promise<TmpDir> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
