// Imports nothing that it stands in for: that would wait for itself.
import { type DiskSession, failure, locate, MemoryFile } from "./memory-disk.ts";

/** What the cache uses of `node:fs/promises`, for paths on a {@link MemoryDisk}; every other path goes to `real`. */
export function mockPromises<T extends object>(real: T): T {
  const via =
    <Args extends readonly unknown[], Result>(name: string, own: (...args: Args) => Promise<Result>) =>
    (...args: Args): Promise<Result> => {
      const its = (real as Record<string, typeof own>)[name] as typeof own;
      return locate(args[0]) === undefined ? its(...args) : own(...args);
    };
  const mocked = {
    ...real,
    open: via("open", open),
    readFile: via("readFile", readFile),
    rename: via("rename", rename),
    unlink: via("unlink", unlink),
    mkdir: via("mkdir", mkdir),
    lstat: via("lstat", lstat),
    readdir: via("readdir", readdir),
    rmdir: via("rmdir", rmdir),
  };
  return { ...mocked, default: mocked };
}

/** The same of `node:fs`. */
export function mockSync<T extends { existsSync(path: string): boolean; lstatSync: (...args: never[]) => unknown }>(
  real: T,
): T {
  const existsSync = (path: string): boolean => {
    const place = locate(path);
    return place === undefined ? real.existsSync(path) : place.session.disk.files.has(place.path);
  };
  const lstatSync = (path: string, options: { throwIfNoEntry?: boolean } = {}): unknown => {
    const place = locate(path);
    if (place === undefined) return real.lstatSync(...([path, options] as never[]));
    // It may refuse; it takes no time.
    void place.session.disk.options.before("read");
    const stats = statsAt(place);
    if (stats === undefined && options.throwIfNoEntry !== false) throw failure("ENOENT", path);
    return stats;
  };
  const mocked = { ...real, existsSync, lstatSync };
  return { ...mocked, default: mocked };
}

function placeOf(path: string): { session: DiskSession; path: string } {
  return locate(path) as { session: DiskSession; path: string };
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

async function open(name: string, flags: string | number = "r"): Promise<MemoryHandle> {
  const { session, path } = placeOf(name);
  await session.begin(flags === "r" ? "read" : "open");
  const { files, folders } = session.disk;
  const creates = typeof flags === "number" || flags === "w" || flags === "a";
  let file = files.get(path);
  if (file === undefined) {
    if (!creates || !folders.has(parentOf(path))) throw failure("ENOENT", path);
    await session.begin("name");
    file = new MemoryFile();
    files.set(path, file);
  }
  if (flags === "w") file.rewind(() => false);
  return new MemoryHandle(session, file, flags === "a");
}

async function readFile(name: string): Promise<Buffer> {
  const { session, path } = placeOf(name);
  await session.begin("read");
  const file = session.disk.files.get(path);
  if (file === undefined) throw failure("ENOENT", path);
  return Buffer.from(file.read(0, file.size));
}

async function rename(from: string, to: string): Promise<void> {
  const { session, path } = placeOf(from);
  const target = placeOf(to).path;
  await session.begin("name");
  const { files, former } = session.disk;
  const file = files.get(path);
  if (file === undefined) throw failure("ENOENT", path);
  const replaced = files.get(target);
  if (replaced !== undefined) former.set(target, replaced);
  files.set(target, file);
  files.delete(path);
}

async function unlink(name: string): Promise<void> {
  const { session, path } = placeOf(name);
  await session.begin("name");
  const { files, former } = session.disk;
  const file = files.get(path);
  if (file === undefined) throw failure("ENOENT", path);
  former.set(path, file);
  files.delete(path);
}

async function mkdir(name: string): Promise<void> {
  const { session, path } = placeOf(name);
  await session.begin("name");
  for (let folder = path; folder !== ""; folder = parentOf(folder)) session.disk.folders.add(folder);
}

async function readdir(name: string): Promise<string[]> {
  const { session, path } = placeOf(name);
  await session.begin("read");
  const { files, folders } = session.disk;
  if (!folders.has(path)) throw failure("ENOENT", path);
  const within = [...files.keys(), ...folders].filter((one) => one !== "" && parentOf(one) === path);
  return within.map((one) => one.slice(path.length + 1)).toSorted();
}

async function rmdir(name: string): Promise<void> {
  const { session, path } = placeOf(name);
  if ((await readdir(name)).length > 0) throw failure("ENOTEMPTY", path);
  session.disk.folders.delete(path);
}

async function lstat(name: string): Promise<object> {
  const { session, path } = placeOf(name);
  await session.begin("read");
  const stats = statsAt({ session, path });
  if (stats === undefined) throw failure("ENOENT", path);
  return stats;
}

function statsAt({ session, path }: { session: DiskSession; path: string }): object | undefined {
  const { files, folders } = session.disk;
  const file = files.get(path);
  if (file !== undefined) return statsOf(file);
  if (!folders.has(path)) return undefined;
  return { size: 4096, nlink: 2, ino: 1, blocks: 8, mtimeMs: 0, ctimeMs: 0, birthtimeMs: 0, isFile: () => false };
}

function statsOf({ number, size, allocated }: MemoryFile): object {
  const times = { mtimeMs: 0, ctimeMs: 0, birthtimeMs: 0 };
  return { size, nlink: 1, ino: number, blocks: allocated / 512, ...times, isFile: () => true };
}

class MemoryHandle {
  readonly #session: DiskSession;
  readonly #file: MemoryFile;
  readonly #appends: boolean;
  #position = 0;
  #closed = false;

  constructor(session: DiskSession, file: MemoryFile, appends: boolean) {
    this.#session = session;
    this.#file = file;
    this.#appends = appends;
    file.open += 1;
    session.handles += 1;
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    await this.#begin("read");
    const bytes = this.#file.read(position, position + length);
    into.set(bytes, offset);
    return { bytesRead: bytes.length };
  }

  async write(bytes: Uint8Array, offset: number, length: number, at: number): Promise<{ bytesWritten: number }> {
    await this.#begin("write");
    const taken = Math.min(length, this.#session.disk.options.maxWrite);
    this.#file.write(at, bytes.subarray(offset, offset + taken));
    return { bytesWritten: taken };
  }

  async writeFile(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      await this.#begin("write");
      const taken = bytes.subarray(done, done + this.#session.disk.options.maxWrite);
      this.#file.write(this.#appends ? this.#file.size : this.#position, taken);
      this.#position += taken.length;
      done += taken.length;
    }
  }

  async stat(): Promise<object> {
    await this.#begin("read");
    return statsOf(this.#file);
  }

  async datasync(): Promise<void> {
    await this.#begin("write");
  }

  async close(): Promise<void> {
    if (this.#closed) throw failure("EBADF");
    this.#closed = true;
    this.#file.open -= 1;
    this.#session.handles -= 1;
  }

  async #begin(operation: "read" | "write"): Promise<void> {
    if (this.#closed) throw failure("EBADF");
    await this.#session.begin(operation);
    if (this.#closed) throw failure("EBADF");
  }
}
