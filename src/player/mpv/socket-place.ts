import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../errors.ts";

/** Where the socket of one mpv process is. */
export interface SocketPlace {
  readonly path: string;
  remove(): Promise<void>;
}

/** Longest path of a Unix socket that every platform takes, bytes. */
const MAX_SOCKET_PATH = 100;

/**
 * A place that only this user can reach: whoever can write to the socket can make mpv run programs. On Windows a named
 * pipe that nobody can guess, which is untested.
 */
export async function socketPlace(env: NodeJS.ProcessEnv): Promise<SocketPlace> {
  if (process.platform === "win32") {
    const path = `\\\\.\\pipe\\afterbay-mpv-${randomBytes(12).toString("hex")}`;
    return { path, remove: async () => {} };
  }
  const directory = await privateDirectory([env["XDG_RUNTIME_DIR"], tmpdir(), "/tmp"]);
  return {
    path: join(directory, "mpv"),
    remove: () => rm(directory, { recursive: true, force: true }).catch(() => {}),
  };
}

async function privateDirectory(parents: readonly (string | undefined)[]): Promise<string> {
  let failure: unknown;
  for (const parent of parents) {
    if (parent === undefined || parent === "" || Buffer.byteLength(parent) > MAX_SOCKET_PATH - 24) continue;
    try {
      // mkdtemp makes it with mode 0700.
      return await mkdtemp(join(parent, "afterbay-mpv-"));
    } catch (error) {
      failure = error;
    }
  }
  throw new ConfigError("No directory can be made for mpv's socket", { cause: failure });
}
