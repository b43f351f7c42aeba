import type { Clock } from "../../data-source/clock.ts";
import { abortReason } from "../../errors.ts";
import { type RawPath, textOf } from "./raw-path.ts";
import { scan, type ScannedFile, type ScanResult } from "./scan.ts";
import { TreeWatch, type WatchDirectory } from "./watch.ts";

/** Where warnings go; pino's loggers fit. */
export interface FolderLog {
  warn(fields: object, message: string): void;
}

export interface LibraryOptions {
  /** Resolved. */
  readonly root: RawPath;
  readonly clock: Clock;
  readonly log: FolderLog;
  readonly onScan: (files: readonly ScannedFile[]) => void;
  readonly watchDirectory?: WatchDirectory;
}

/** Changes come in crowds: a scan waits this long for the others, ms. */
const DEBOUNCE_MS = 200;
/** While changes keep coming, scans take at most a quarter of the time. */
const REST_FACTOR = 3;
/** A watch does not see what another machine does on a network drive. */
const MAX_AGE_WATCHED_MS = 60_000;
const MAX_AGE_UNWATCHED_MS = 2000;

/** The files of a folder, by id, kept up to date by a watch, by scans, or both. */
export class Library {
  readonly #options: LibraryOptions;
  readonly #watch: TreeWatch;
  readonly #stop = new AbortController();
  #files: ReadonlyMap<string, ScannedFile> = new Map();
  #scanning: Promise<void> | undefined;
  /** When the last scan began and how long it took, ms; by the clock's `now`. */
  #last: { readonly began: number; readonly ms: number } | undefined;
  #cancelTimer: (() => void) | undefined;
  #warned = false;

  constructor(options: LibraryOptions) {
    this.#options = options;
    this.#watch = new TreeWatch({
      onChange: () => this.#plan(),
      onFail: (code) => {
        const seconds = MAX_AGE_UNWATCHED_MS / 1000;
        options.log.warn({ code }, `Cannot watch the whole folder; looking again every ${seconds} s while it is used`);
      },
      ...(options.watchDirectory === undefined ? {} : { watchDirectory: options.watchDirectory }),
    });
  }

  /** The files as they are now, or were a little while ago. */
  async files(): Promise<ReadonlyMap<string, ScannedFile>> {
    const { clock } = this.#options;
    const maxAge = this.#watch.complete ? MAX_AGE_WATCHED_MS : MAX_AGE_UNWATCHED_MS;
    if (this.#last === undefined || clock.now() - this.#last.began > maxAge) await this.scan();
    return this.#files;
  }

  async find(id: string): Promise<ScannedFile | undefined> {
    return this.#files.get(id) ?? (await this.files()).get(id);
  }

  /** Looks through the folder; joins a scan that is running. */
  scan(): Promise<void> {
    this.#scanning ??= this.#scan().finally(() => {
      this.#scanning = undefined;
    });
    return this.#scanning;
  }

  /** Ends a running scan, whose callers get the reason. */
  async close(): Promise<void> {
    this.#stop.abort(new DOMException("The folder was closed", "AbortError"));
    this.#cancelTimer?.();
    await this.#scanning?.catch(() => {});
    this.#watch.close();
  }

  async #scan(): Promise<void> {
    const { root, clock, onScan } = this.#options;
    if (this.#stop.signal.aborted) throw abortReason(this.#stop.signal);
    const began = clock.now();
    const result = await scan({ root, signal: this.#stop.signal, onDirectory: (path) => this.#watch.add(path) });
    this.#watch.retain(result.directories);
    this.#warn(result);
    this.#last = { began, ms: clock.now() - began };
    this.#files = new Map(result.files.map((file) => [file.id, file]));
    onScan(result.files);
  }

  #plan(): void {
    if (this.#cancelTimer !== undefined || this.#stop.signal.aborted) return;
    const { clock } = this.#options;
    const rested = this.#last === undefined ? 0 : this.#last.began + this.#last.ms * (1 + REST_FACTOR) - clock.now();
    this.#cancelTimer = clock.after(Math.max(DEBOUNCE_MS, rested), () => {
      this.#cancelTimer = undefined;
      // A scan that is running may have passed the place of the change already.
      void (this.#scanning ?? Promise.resolve()).then(() => this.scan()).catch(() => {});
    });
  }

  #warn({ unreadable }: ScanResult): void {
    const [first] = unreadable;
    if (first === undefined || this.#warned) return;
    this.#warned = true;
    const fields = { folder: textOf(first.path), code: first.code, count: unreadable.length };
    this.#options.log.warn(fields, "Some of the folder cannot be read, and is left out");
  }
}
