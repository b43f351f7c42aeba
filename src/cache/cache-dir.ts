import { createHash } from "node:crypto";
import { mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ConfigError } from "../errors.ts";

/** The version of the on-disk format, in the folder's name. */
const FORMAT_VERSION = 1;
/** Longest path of a Unix socket that every platform takes, bytes. */
const MAX_SOCKET_PATH = 100;

/** A cache directory that this process owns. */
export interface CacheDir {
  /** The folder of this format's version. */
  readonly root: string;
  release(): Promise<void>;
}

/**
 * Makes `dir` ready and takes ownership of it: the owner listens on a socket; a socket that refuses connections was left
 * behind by a process that died. Throws a ConfigError with one plain line.
 */
export async function claimCacheDir(dir: string): Promise<CacheDir> {
  const path = resolve(dir);
  const root = join(path, `v${FORMAT_VERSION}`);
  try {
    await mkdir(join(root, "tracks"), { recursive: true });
    const probe = join(root, `.probe-${process.pid}`);
    await writeFile(probe, "");
    await unlink(probe);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    // A full disk is no reason not to play.
    if (code !== "ENOSPC")
      throw new ConfigError(`Cannot write to the cache directory ${path} (${code})`, { cause: error });
  }
  const newer = (await readdir(path)).filter((name) => /^v\d+$/.test(name) && Number(name.slice(1)) > FORMAT_VERSION);
  if (newer.length > 0) {
    throw new ConfigError(
      `The cache directory ${path} was written by a newer version of Afterbay (${newer.join(", ")})`,
    );
  }
  const lock = await listenAsOwner(socketPath(root), path);
  return {
    root,
    release: () => new Promise((done) => lock.close(() => done())),
  };
}

function socketPath(root: string): string {
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 24);
  if (process.platform === "win32") return `\\\\.\\pipe\\afterbay-${hash}`;
  const inside = join(root, "owner.sock");
  return Buffer.byteLength(inside) <= MAX_SOCKET_PATH ? inside : join(tmpdir(), `afterbay-${hash}.sock`);
}

async function listenAsOwner(socket: string, dir: string): Promise<Server> {
  for (let attempt = 0; ; attempt += 1) {
    const server = createServer((connection) => connection.destroy());
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((done) => {
      server.once("error", done);
      server.listen(socket, () => done(undefined));
    });
    if (failure === undefined) return server.unref();
    if (failure.code !== "EADDRINUSE" || attempt > 0 || (await answers(socket))) {
      const reason =
        failure.code === "EADDRINUSE" ? "is in use by another Afterbay" : `cannot be locked (${failure.code})`;
      throw new ConfigError(`The cache directory ${dir} ${reason}`, { cause: failure });
    }
    await unlink(socket).catch(() => {});
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      done(true);
    });
    connection.once("error", () => done(false));
  });
}
