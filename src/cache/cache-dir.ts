import { createHash, randomBytes } from "node:crypto";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError } from "../errors.ts";

/** The version of the on-disk format, in the folder's name. */
const FORMAT_VERSION = 1;
/** Longest path of a Unix socket that every platform takes, bytes. */
const MAX_SOCKET_PATH = 100;
/** The socket of the owner, under the name that others know. */
const OWNER = "owner.sock";
/** The socket of each process that is, or wants to become, the owner. */
const CLAIM = /^claim-[0-9a-f]{12}\.sock$/;
/** Two that start at once settle who it is in rounds of this length, ms. */
const ROUND_MS = 20;
const MAX_ROUNDS = 50;

/** How often the owner looks whether its directory is still there, ms. */
const CHECK_MS = 2000;

/** Takes a connection that another process made to the owner. */
export type OnConnection = (socket: Socket) => void;

export interface ClaimOptions {
  readonly onConnection?: OnConnection;
  /**
   * Told again and again while another process owns what was deleted and made anew behind this one's back: nothing may
   * be written there.
   */
  readonly onLost?: () => void;
  /** How often that is looked at, ms. Default 2000. */
  readonly checkMs?: number;
}

/** A cache directory that this process owns. */
export interface CacheDir {
  /** The folder of this format's version. */
  readonly root: string;
  readonly release: () => Promise<void>;
}

/**
 * Makes `dir` ready and takes ownership of it; what a dead owner left behind is taken over. Throws a ConfigError with one
 * plain line.
 */
export async function claimCacheDir(dir: string, options: ClaimOptions = {}): Promise<CacheDir> {
  const { onConnection = (socket) => socket.destroy(), onLost, checkMs = CHECK_MS } = options;
  const path = resolve(dir);
  const root = join(path, `v${FORMAT_VERSION}`);
  await refuseNewer(path);
  await makeReady(root, path);
  let held: Claim | undefined;
  try {
    held = process.platform === "win32" ? await claimPipe(root, onConnection) : await claim(root, onConnection);
  } catch (error) {
    throw new ConfigError(`The cache directory ${path} cannot be locked (${codeOf(error)})`, { cause: error });
  }
  if (held === undefined) throw new ConfigError(`The cache directory ${path} is in use by another Afterbay`);
  return { root, release: keep(held, () => reclaim(root, onConnection), { checkMs, ...(onLost && { onLost }) }) };
}

/** Where the owner of the cache directory `dir` listens: the path of a Unix socket, or the name of a pipe on Windows. */
export function ownerSocketPath(dir: string): string {
  const root = join(resolve(dir), `v${FORMAT_VERSION}`);
  return process.platform === "win32" ? pipeName(root) : join(root, OWNER);
}

function pipeName(root: string): string {
  return `\\\\.\\pipe\\afterbay-${createHash("sha256").update(root).digest("hex").slice(0, 24)}`;
}

async function refuseNewer(path: string): Promise<void> {
  const names = await readdir(path).catch(() => []);
  const newer = names.filter((name) => /^v\d+$/.test(name) && Number(name.slice(1)) > FORMAT_VERSION);
  if (newer.length === 0) return;
  throw new ConfigError(`The cache directory ${path} was written by a newer version of Afterbay (${newer.join(", ")})`);
}

async function makeReady(root: string, path: string): Promise<void> {
  try {
    // Whoever may connect to the owner's socket may do everything.
    await mkdir(join(root, "tracks"), { recursive: true, mode: 0o700 });
    await chmod(root, 0o700);
    const probe = join(root, `.probe-${randomBytes(6).toString("hex")}`);
    await writeFile(probe, "");
    await unlink(probe);
  } catch (error) {
    // A full disk is no reason not to play.
    if (codeOf(error) === "ENOSPC") return;
    throw new ConfigError(`Cannot write to the cache directory ${path} (${codeOf(error)})`, { cause: error });
  }
}

/** What makes a process the owner. */
interface Claim {
  /** False once somebody deleted it. Rejects if that cannot be told. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Looks now and then whether the claim still stands, and makes it anew where the directory was deleted: else a second
 * process would take what this one goes on writing. Answers the function that ends it.
 */
function keep(
  first: Claim,
  again: () => Promise<Claim | undefined>,
  { checkMs, onLost }: { checkMs: number; onLost?: () => void },
): () => Promise<void> {
  let held: Claim | undefined = first;
  let checking = Promise.resolve();
  const check = async (): Promise<void> => {
    if (await held?.isHeld()) return;
    await held?.release();
    held = await again();
    if (held === undefined) onLost?.();
  };
  // Where the disk refuses, the next look comes soon enough.
  const timer = setInterval(() => {
    checking = checking.then(check).catch(() => {});
  }, checkMs).unref();
  return async () => {
    clearInterval(timer);
    await checking;
    await held?.release();
  };
}

async function reclaim(root: string, onConnection: OnConnection): Promise<Claim | undefined> {
  await mkdir(join(root, "tracks"), { recursive: true, mode: 0o700 });
  return await claim(root, onConnection);
}

/** A named pipe belongs to one process, and vanishes with it. */
async function claimPipe(root: string, onConnection: OnConnection): Promise<Claim | undefined> {
  try {
    const server = await listen(pipeName(root), onConnection);
    return { isHeld: async () => true, release: () => close(server) };
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE") return undefined;
    throw error;
  }
}

/**
 * Every process puts up a socket of its own and then looks for those of others: of two that start at once, at least one
 * sees the other, whatever a dead one has left. Undefined if the directory has an owner.
 */
async function claim(root: string, onConnection: OnConnection): Promise<Claim | undefined> {
  for (let round = 0; round < MAX_ROUNDS; ) {
    const name = `claim-${randomBytes(6).toString("hex")}.sock`;
    const server = await raise(root, name, onConnection);
    const withdraw = async (): Promise<void> => {
      await unlink(join(root, name)).catch(() => {});
      await close(server);
    };
    try {
      for (; round < MAX_ROUNDS; round += 1) {
        const rivals = await others(root, name);
        if (rivals.length === 0) return await crown(root, name, withdraw);
        if (await answers(root, OWNER)) break;
        // Nobody owns it yet: the first by name stays, the others come again.
        if (rivals.some((rival) => rival < name)) break;
        await delay(ROUND_MS);
      }
    } catch (error) {
      await withdraw();
      throw error;
    }
    await withdraw();
    if (await answers(root, OWNER)) return undefined;
    round += 1;
    await delay(ROUND_MS);
  }
  return undefined;
}

/** Listens on a new socket `name`. It has that name only when it answers, so that nobody takes it for a dead one. */
async function raise(root: string, name: string, onConnection: OnConnection): Promise<Server> {
  const server = await atShortPath(root, (dir) => listen(join(dir, `${name}.new`), onConnection));
  try {
    await rename(join(root, `${name}.new`), join(root, name));
    return server;
  } catch (error) {
    await close(server);
    throw error;
  }
}

/** Gives the only living claim the name that others know. */
async function crown(root: string, name: string, withdraw: () => Promise<void>): Promise<Claim> {
  const own = join(root, name);
  await link(own, `${own}.new`);
  await rename(`${own}.new`, join(root, OWNER));
  const { ino } = await stat(own);
  const isHeld = async (): Promise<boolean> => {
    try {
      return (await stat(join(root, OWNER))).ino === ino;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw error;
    }
  };
  return {
    isHeld,
    async release() {
      // The directory may have been deleted, made anew and claimed by another process.
      if (await isHeld().catch(() => false)) await unlink(join(root, OWNER)).catch(() => {});
      await withdraw();
    },
  };
}

/** The living claims but `own`. Dead ones are cleared away: their names are never used again. */
async function others(root: string, own: string): Promise<string[]> {
  const living: string[] = [];
  for (const name of await readdir(root)) {
    if (!CLAIM.test(name) || name === own) continue;
    if (await answers(root, name)) living.push(name);
    else await unlink(join(root, name)).catch(() => {});
  }
  return living;
}

/** True if a process listens there. Rejects if that cannot be told. */
async function answers(root: string, name: string): Promise<boolean> {
  return await atShortPath(root, async (dir) => {
    const connection = connect(join(dir, name));
    try {
      await new Promise<void>((done, fail) => {
        connection.once("connect", done);
        connection.once("error", fail);
      });
      return true;
    } catch (error) {
      if (["ECONNREFUSED", "ENOENT", "ENOTSOCK"].includes(codeOf(error))) return false;
      // It has so many connections that it takes no more, or was giving up at this moment.
      if (["EAGAIN", "ECONNRESET", "EPIPE"].includes(codeOf(error))) return true;
      throw error;
    } finally {
      connection.destroy();
    }
  });
}

/** Lets `use` reach `root` by a path that is short enough for sockets. */
async function atShortPath<T>(root: string, use: (dir: string) => Promise<T>): Promise<T> {
  const longest = join(root, `claim-${"0".repeat(12)}.sock.new`);
  if (Buffer.byteLength(longest) <= MAX_SOCKET_PATH) return await use(root);
  const dir = await mkdtemp(join(tmpdir(), "afterbay-"));
  const detour = join(dir, "root");
  try {
    await symlink(root, detour);
    return await use(detour);
  } finally {
    await unlink(detour).catch(() => {});
    await rmdir(dir).catch(() => {});
  }
}

async function listen(path: string, onConnection: OnConnection): Promise<Server> {
  const server = createServer(onConnection);
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(path, done);
  });
  return server.unref();
}

function close(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}
