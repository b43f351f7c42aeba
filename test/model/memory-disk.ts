/** A disk in memory, as far as the cache uses one, that can fail, and that can forget what it was not made to keep. */

/** One change of a file: bytes written at an offset. */
interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Files are given room in units of this, bytes. */
const BLOCK = 4096;
let numbers = 0;

export class MemoryFile {
  /** Of no other file. */
  readonly number = (numbers += 1);
  size = 0;
  /** Handles. */
  open = 0;
  /** All that was written, so that an earlier state can be had again. */
  writes: Write[] = [];
  #bytes: Uint8Array = new Uint8Array(0);
  /** Blocks that were written to. */
  readonly #blocks = new Set<number>();

  /** What it takes on the disk, bytes. */
  get allocated(): number {
    return this.#blocks.size * BLOCK;
  }

  write(at: number, bytes: Uint8Array): void {
    this.writes.push({ at, bytes });
    this.#apply(at, bytes);
  }

  read(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, Math.min(end, this.size));
  }

  flip(at: number): void {
    if (at < this.size) this.#bytes[at] = (this.#bytes[at] as number) ^ 0x20;
  }

  truncate(size: number): void {
    if (size >= this.size) return;
    this.#bytes.fill(0, size, this.size);
    this.size = size;
    for (const block of this.#blocks) if (block * BLOCK >= size) this.#blocks.delete(block);
  }

  /** Has only those writes that `kept` holds for; of others the length may have come through, with zeros. */
  rewind(kept: (write: number) => boolean): void {
    const { writes } = this;
    this.#bytes = new Uint8Array(0);
    this.#blocks.clear();
    this.size = 0;
    this.writes = [];
    for (const [n, { at, bytes }] of writes.entries()) if (kept(n)) this.write(at, bytes);
  }

  #apply(at: number, bytes: Uint8Array): void {
    const end = at + bytes.length;
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.size));
      this.#bytes = larger;
    }
    if (at > this.size) this.#bytes.fill(0, this.size, at);
    this.#bytes.set(bytes, at);
    for (let block = Math.floor(at / BLOCK); block * BLOCK < end; block += 1) this.#blocks.add(block);
    this.size = Math.max(this.size, end);
  }
}

export type DiskOperation = "open" | "read" | "write" | "name";

export interface DiskOptions {
  /** Called before each operation: may wait, or throw what the disk says. */
  readonly before: (operation: DiskOperation) => Promise<void> | undefined;
  /** The most bytes that one write takes. */
  readonly maxWrite: number;
}

/** The files of one run, whatever processes come and go. */
export class MemoryDisk {
  readonly files = new Map<string, MemoryFile>();
  readonly folders = new Set([""]);
  /** Operations that may have changed something. */
  changes = 0;
  options: DiskOptions = { before: () => undefined, maxWrite: Number.POSITIVE_INFINITY };
  /** What a renaming replaced or a deletion removed: it may be there again after a power loss. */
  readonly former = new Map<string, MemoryFile>();

  /** What is at or below `folder` takes, bytes. */
  allocated(folder: string): number {
    const isBelow = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
    let bytes = [...this.folders].filter(isBelow).length * BLOCK;
    for (const [path, file] of this.files) if (isBelow(path)) bytes += file.allocated;
    return bytes;
  }

  /** Files below `folder`. */
  below(folder: string): string[] {
    return [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`)).toSorted();
  }
}

/** The disk as one process sees it: when that is killed, nothing it has begun has an effect any more. */
export class DiskSession {
  /** The cache's folder. */
  readonly root: string;
  readonly #mount: string;
  readonly disk: MemoryDisk;
  handles = 0;
  #alive = true;

  constructor(disk: MemoryDisk) {
    this.disk = disk;
    const mount = `${MOUNT}${(sessions += 1)}`;
    this.root = `${mount}/v1`;
    this.#mount = mount;
    mounted.set(mount, this);
    for (const folder of ["/v1", "/v1/tracks"]) disk.folders.add(folder);
  }

  kill(): void {
    this.#alive = false;
    mounted.delete(this.#mount);
    for (const file of this.disk.files.values()) file.open = 0;
  }

  /** Settles when the operation may be done; never after a kill. */
  async begin(operation: DiskOperation): Promise<void> {
    await this.#live();
    if (operation !== "read" && operation !== "open") this.disk.changes += 1;
    const wait = this.disk.options.before(operation);
    if (wait === undefined) return;
    try {
      await wait;
    } finally {
      await this.#live();
    }
  }

  async #live(): Promise<void> {
    if (!this.#alive) await new Promise<never>(() => {});
  }
}

const MOUNT = "/in-memory/";
let sessions = 0;
const mounted = new Map<string, DiskSession>();

/** Where processes write that were killed: nothing comes of it. */
function nowhere(): DiskSession {
  const session = new DiskSession(new MemoryDisk());
  session.kill();
  return session;
}

/** The session that a path belongs to, and the path within it; undefined for files of the real disk. */
export function locate(path: unknown): { session: DiskSession; path: string } | undefined {
  if (typeof path !== "string" || !path.startsWith(MOUNT)) return undefined;
  const end = path.indexOf("/", MOUNT.length);
  const root = end < 0 ? path : path.slice(0, end);
  return { session: mounted.get(root) ?? nowhere(), path: path.slice(root.length) };
}

export function failure(code: string, path = ""): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
