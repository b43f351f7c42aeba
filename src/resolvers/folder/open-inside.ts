import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, lstat, open, readlink, realpath } from "node:fs/promises";
import { sep } from "node:path";
import { AfterbayError } from "../../errors.ts";
import { bytesOf, RAW, type RawPath } from "./raw-path.ts";

/** A regular file, open for reading, with what it was like when it was opened. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly stats: BigIntStats;
}

/**
 * NOFOLLOW: the path was resolved already, so that a link at its end is one that was put there since.
 * NONBLOCK: a FIFO put there would keep the open waiting for a writer.
 */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EISDIR", "ENAMETOOLONG"]);
const FORBIDDEN: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

/** True if `path` is `root` or below it. Both are resolved. */
export function isWithin(root: RawPath, path: RawPath): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/**
 * Opens the regular file that `path` leads to, if it lies inside `root`, which is resolved. Whoever can write there may
 * swap files for links while this runs: what was opened is judged once more by where it is.
 *
 * Throws `not-found` if it is no longer there, lies outside, or is something else than a file; `unplayable` if it may not
 * be read; else `transient`.
 */
export async function openInside(root: RawPath, path: RawPath): Promise<OpenedFile> {
  try {
    const real = await realpath(bytesOf(path), RAW);
    if (!isWithin(root, real)) throw gone();
    const seen = await lstat(bytesOf(real), { bigint: true });
    // Opening a device can do things.
    if (!seen.isFile()) throw gone();
    const handle = await open(bytesOf(real), FLAGS);
    try {
      const stats = await handle.stat({ bigint: true });
      if (!stats.isFile() || !(await liesWithin(root, real, handle, stats, seen))) throw gone();
      return { handle, stats };
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    throw fileError(error);
  }
}

/** Linux tells where an open file is; elsewhere it must be the file that was seen, and its path still lead to itself. */
async function liesWithin(
  root: RawPath,
  real: RawPath,
  handle: FileHandle,
  stats: BigIntStats,
  seen: BigIntStats,
): Promise<boolean> {
  const place = await readlink(`/proc/self/fd/${handle.fd}`, RAW).catch(() => undefined);
  if (place !== undefined) return isWithin(root, place);
  return stats.dev === seen.dev && stats.ino === seen.ino && (await realpath(bytesOf(real), RAW)) === real;
}

/** True if the open file still is what it was when it was opened, as far as its size and modification time tell. */
export async function isUnchanged({ handle, stats }: OpenedFile): Promise<boolean> {
  const now = await handle.stat({ bigint: true });
  return now.size === stats.size && now.mtimeNs === stats.mtimeNs;
}

/** What a failed system call on a file means to whoever wants to hear it. */
export function fileError(error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined || error instanceof AfterbayError) return error;
  if (GONE.has(code)) return gone(error);
  return FORBIDDEN.has(code)
    ? new AfterbayError("unplayable", `The file may not be read (${code})`, { cause: error })
    : new AfterbayError("transient", `The file cannot be read (${code})`, { cause: error });
}

/** `ENOENT` and the like. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function gone(cause?: unknown): AfterbayError {
  return new AfterbayError("not-found", "The file is no longer there", { cause });
}
