import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { sep } from "node:path";
import { abortReason } from "../../errors.ts";
import { audioType, isHidden } from "./media-types.ts";
import { codeOf, isWithin } from "./open-inside.ts";
import { below, bytesOf, RAW, type RawPath, relativeTo } from "./raw-path.ts";

/** An audio file as a scan found it. */
export interface ScannedFile {
  /** 128 bits of a hash of the path's bytes, relative to the root, in hexadecimal: another path, another track. */
  readonly id: string;
  /** Absolute; the way to it that names it. May lead over links inside the root. */
  readonly path: RawPath;
  /** Bytes. */
  readonly size: number;
  /** Epoch milliseconds, with fractions. */
  readonly mtimeMs: number;
  readonly contentType: string;
}

export interface ScanOptions {
  /** Resolved. */
  readonly root: RawPath;
  readonly signal: AbortSignal;
  /** Told of every folder before it is read, so that no change between reading and watching is missed. */
  readonly onDirectory: (path: RawPath) => void;
}

export interface ScanResult {
  /** In the order of their paths' bytes. */
  readonly files: readonly ScannedFile[];
  /** Resolved paths. */
  readonly directories: ReadonlySet<RawPath>;
  readonly unreadable: readonly { readonly path: RawPath; readonly code: string }[];
}

/**
 * Looks under way at once. Each takes microseconds where the system remembers the file; fewer would leave libuv's threads
 * to fall asleep and be woken for every single one, which costs several times as much. More would keep playback's reads,
 * which wait in the same queue, for longer where a cold disk has to be asked.
 */
const WIDTH = 16;

/** What vanished between being listed and being looked at, or was no folder: nothing to report. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"]);

/**
 * Finds the audio files below `root`: regular files only, each once, by its own path where that can name it, else by the
 * first link to it. Links are followed where they lead to inside of `root`; what lies outside is left out. Unreadable
 * folders are skipped. Rejects only with the signal's reason.
 */
export async function scan(options: ScanOptions): Promise<ScanResult> {
  return await new Scan(options).run();
}

/** A folder or link on the way: `path` names what is found below, `real` is where it is. */
interface Spot {
  readonly path: RawPath;
  readonly real: RawPath;
}

type Job = () => Promise<void>;

class Scan {
  readonly #options: ScanOptions;
  /** By resolved path. */
  readonly #files = new Map<RawPath, ScannedFile>();
  readonly #directories = new Set<RawPath>();
  readonly #unreadable: { path: RawPath; code: string }[] = [];
  #links: RawPath[] = [];
  readonly #jobs: Job[] = [];

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  async run(): Promise<ScanResult> {
    const { root } = this.#options;
    await this.#finish(() => this.#readDirectory({ path: root, real: root }));
    // Links wait until all that has a path of its own is found: then they add only what has none.
    while (this.#links.length > 0) {
      const links = this.#links.toSorted();
      this.#links = [];
      for (const link of links) await this.#finish(() => this.#follow(link));
    }
    return {
      files: [...this.#files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
      directories: this.#directories,
      unreadable: this.#unreadable,
    };
  }

  /** Runs a job and all that it adds; the last added come first, which keeps few waiting. */
  async #finish(first: Job): Promise<void> {
    this.#jobs.push(first);
    const running = new Set<Promise<void>>();
    do {
      for (let job = this.#jobs.pop(); job !== undefined; job = running.size < WIDTH ? this.#jobs.pop() : undefined) {
        const work = job().finally(() => running.delete(work));
        running.add(work);
      }
      await Promise.race(running);
    } while (running.size + this.#jobs.length > 0);
  }

  async #readDirectory({ path, real }: Spot): Promise<void> {
    if (this.#directories.has(real)) return;
    this.#directories.add(real);
    this.#options.onDirectory(real);
    const names = await this.#attempt(real, () => readdir(bytesOf(real), RAW));
    for (const name of names ?? []) {
      if (isHidden(name)) continue;
      this.#jobs.push(() => this.#look({ path: below(path, name), real: below(real, name) }));
    }
  }

  /** Asks each name what it is: not every file system's listing tells. */
  async #look({ path, real }: Spot): Promise<void> {
    const stats = await this.#attempt(real, () => lstat(bytesOf(real)));
    if (stats?.isSymbolicLink() === true) this.#links.push(path);
    else if (stats?.isDirectory() === true) await this.#readDirectory({ path, real });
    else if (stats !== undefined) this.#add({ path, real }, stats);
  }

  async #follow(path: RawPath): Promise<void> {
    // A link that leads nowhere, in circles or out of reach is no folder that could not be read.
    const real = await realpath(bytesOf(path), RAW).catch(() => undefined);
    if (real === undefined || !isWithin(this.#options.root, real)) return;
    const stats = await this.#attempt(real, () => stat(bytesOf(real)));
    if (stats?.isDirectory() === true) await this.#readDirectory({ path, real });
    else if (stats !== undefined) this.#add({ path, real }, stats);
  }

  #add({ path, real }: Spot, stats: Stats): void {
    const contentType = audioType(path);
    if (contentType === undefined || !stats.isFile() || this.#files.has(real)) return;
    const id = idOf(this.#options.root, path);
    this.#files.set(real, { id, path, size: stats.size, mtimeMs: stats.mtimeMs, contentType });
  }

  async #attempt<T>(path: RawPath, act: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.#options;
    if (signal.aborted) throw abortReason(signal);
    try {
      return await act();
    } catch (error) {
      const code = codeOf(error) ?? "unknown error";
      if (!GONE.has(code)) this.#unreadable.push({ path, code });
      return undefined;
    }
  }
}

function idOf(root: RawPath, path: RawPath): string {
  const name = relativeTo(root, path).replaceAll(sep, "/");
  return createHash("sha256").update(bytesOf(name)).digest("hex").slice(0, 32);
}
