import { randomBytes } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { copyFile, link, lstat, open, rename, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure, reason } from "../problems.ts";

/** Where a hard link cannot be had, though a copy can: another file system, one without links, no permission to link. */
const NO_LINK = ["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"];

const READ_BYTES = 1024 * 1024;

export interface Placing {
  readonly source: string;
  readonly target: string;
  /** What `source` must have, bytes. */
  readonly size: number;
  /** Never a hard link: what is written into the one is not seen in the other. */
  readonly copy: boolean;
}

/**
 * Makes `target` a file with all bytes of `source`, or leaves nothing: a hard link where that can be, else a copy under
 * another name that gets its own when it is whole. Never overwrites. True if it is a link.
 */
export async function placeFile({ source, target, size, copy }: Placing, signal: AbortSignal): Promise<boolean> {
  if (await exists(target)) throw new Failure(`${target} is there already.`);
  signal.throwIfAborted();
  try {
    if (!copy && (await linked(source, target, size))) return true;
    await copied(source, target, size, signal);
    return false;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) throw error;
    if (codeOf(error) === "EEXIST") throw new Failure(`${target} is there already.`, { cause: error });
    const missing = codeOf(error) === "ENOENT" && !(await exists(source));
    const words = missing ? "its bytes went away meanwhile" : reason(error);
    throw new Failure(`cannot write ${target}: ${words}.`, { cause: error });
  }
}

/** False where links cannot be had. */
async function linked(source: string, target: string, size: number): Promise<boolean> {
  try {
    await link(source, target);
  } catch (error) {
    if (NO_LINK.includes(codeOf(error))) return false;
    throw error;
  }
  const { size: found } = await stat(target);
  if (found === size) return true;
  await unlink(target);
  throw new Failure(`the stored file has ${found} bytes in place of ${size}; try cache verify --repair.`);
}

async function copied(source: string, target: string, size: number, signal: AbortSignal): Promise<void> {
  // Beside the target: a rename works within one file system only.
  const temporary = join(dirname(target), `.afterbay-${process.pid}-${randomBytes(6).toString("hex")}.part`);
  try {
    await duplicate(source, temporary, signal);
    const { size: found } = await stat(temporary);
    if (found !== size) throw new Failure(`the stored file has ${found} bytes in place of ${size}.`);
    signal.throwIfAborted();
    await publish(temporary, target);
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

/** File systems that share blocks between files copy in no time; elsewhere the bytes are read, so that a signal counts. */
async function duplicate(source: string, temporary: string, signal: AbortSignal): Promise<void> {
  try {
    await copyFile(source, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return;
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw error;
  }
  await unlink(temporary).catch(() => {});
  const file = await open(temporary, "wx");
  try {
    await writeFile(file, createReadStream(source, { highWaterMark: READ_BYTES }), { signal });
    // A name must not outlive a power loss that its bytes do not.
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A link refuses a name that is taken, a rename does not; but not every file system has links. */
async function publish(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    if (!NO_LINK.includes(codeOf(error))) throw error;
    if (await exists(target)) throw new Failure(`${target} is there already.`);
    await rename(temporary, target);
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
      throw error instanceof Error ? error : new Error(String(error));
    },
  );
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : "";
}
