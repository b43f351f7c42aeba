import { type Clock, sleep } from "../../data-source/clock.ts";
import { isUnchanged, openInside } from "./open-inside.ts";
import type { RawPath } from "./raw-path.ts";
import type { ScannedFile } from "./scan.ts";
import { readTags, type Tags } from "./tags.ts";

export interface TagReaderOptions {
  /** Resolved. */
  readonly root: RawPath;
  readonly clock: Clock;
  /** Tags became known. */
  readonly onRead: () => void;
}

/** Files that are read at once. */
const WIDTH = 2;

interface Known extends Pick<ScannedFile, "size" | "mtimeMs"> {
  readonly tags: Tags;
}

/**
 * Reads tags in the background, and remembers them in memory by path, size and modification time. Each reader rests as
 * long as it has worked, so that the event loop and the disk have time for playback.
 */
export class TagReader {
  readonly #options: TagReaderOptions;
  readonly #stop = new AbortController();
  #known = new Map<RawPath, Known>();
  #wanted: ScannedFile[] = [];
  readonly #working = new Set<Promise<void>>();

  constructor(options: TagReaderOptions) {
    this.#options = options;
  }

  /** What is known; undefined for a file that was not read yet. */
  tags({ path, size, mtimeMs }: ScannedFile): Tags | undefined {
    const known = this.#known.get(path);
    return known?.size === size && known.mtimeMs === mtimeMs ? known.tags : undefined;
  }

  /** Reads what is not known of these files, in their order. What is not among them is forgotten. */
  follow(files: readonly ScannedFile[]): void {
    const known = new Map<RawPath, Known>();
    for (const { path } of files) {
      const entry = this.#known.get(path);
      if (entry !== undefined) known.set(path, entry);
    }
    this.#known = known;
    // From the end, which is where an array gives cheaply.
    this.#wanted = files.filter((file) => this.tags(file) === undefined).toReversed();
    while (this.#working.size < Math.min(WIDTH, this.#wanted.length)) this.#start();
  }

  async close(): Promise<void> {
    this.#stop.abort(new DOMException("The folder was closed", "AbortError"));
    await Promise.all(this.#working);
  }

  #start(): void {
    const work = this.#work()
      .catch(() => {})
      .finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  async #work(): Promise<void> {
    const { clock } = this.#options;
    for (let file = this.#wanted.pop(); file !== undefined; file = this.#wanted.pop()) {
      const began = clock.now();
      await this.#read(file);
      await sleep(clock, Math.max(1, clock.now() - began), this.#stop.signal);
    }
  }

  async #read(file: ScannedFile): Promise<void> {
    const { signal } = this.#stop;
    // Gone, or changed meanwhile: the next scan says so.
    const opened = await openInside(this.#options.root, file.path).catch(() => undefined);
    if (opened === undefined) return;
    try {
      const tags = await readTags(opened, file.contentType, signal);
      if (Number(opened.stats.size) !== file.size || !(await isUnchanged(opened))) return;
      this.#known.set(file.path, { size: file.size, mtimeMs: file.mtimeMs, tags });
      this.#options.onRead();
    } finally {
      await opened.handle.close();
    }
  }
}
