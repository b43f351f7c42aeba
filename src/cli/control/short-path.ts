import { mkdtemp, rmdir, symlink, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** Longest path of a Unix socket that every platform takes, bytes. A longer one may be cut without a word. */
const MAX_SOCKET_PATH = 100;

export interface ShortPath {
  readonly path: string;
  release(): Promise<void>;
}

/** A path to the same socket that is short enough to connect to. */
export async function shortPath(socketPath: string): Promise<ShortPath> {
  if (process.platform === "win32" || Buffer.byteLength(socketPath) <= MAX_SOCKET_PATH) {
    return { path: socketPath, release: async () => {} };
  }
  const folder = await mkdtemp(join(tmpdir(), "afterbay-"));
  const detour = join(folder, "root");
  const release = async (): Promise<void> => {
    await unlink(detour).catch(() => {});
    await rmdir(folder).catch(() => {});
  };
  try {
    await symlink(dirname(socketPath), detour);
    return { path: join(detour, basename(socketPath)), release };
  } catch (error) {
    await release();
    throw error;
  }
}
