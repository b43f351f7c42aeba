import { access, constants, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../data-source/clock.ts";
import type { Artwork, CatalogueTrack } from "../../data-source/resolution.ts";
import { AfterbayError } from "../../errors.ts";
import { readArtwork } from "./artwork.ts";
import { type FolderLog, Library } from "./library.ts";
import { FolderFiles, type LocalFiles } from "./local-files.ts";
import { namesFrom } from "./names.ts";
import { codeOf } from "./open-inside.ts";
import { plainText, RAW, type RawPath } from "./raw-path.ts";
import type { ScannedFile } from "./scan.ts";
import { TagReader } from "./tag-reader.ts";
import type { Tags } from "./tags.ts";
import type { WatchDirectory } from "./watch.ts";

export { folderDataSource } from "./data-source.ts";
export { type FolderLog } from "./library.ts";
export { type LocalFile, type LocalFiles } from "./local-files.ts";

export interface FolderOptions {
  readonly clock?: Clock;
  /** Told once that folders cannot be read, and once that not all can be watched. Default: nobody. */
  readonly log?: FolderLog;
  /** How a folder is watched. Default: by `fs.watch`. */
  readonly watchDirectory?: WatchDirectory;
}

/** The audio files below one folder. */
export interface FolderSource {
  /**
   * The tracks in the order of their paths. Ids are 32 hexadecimal digits made from the path within the folder: the same
   * after a restart, another after a rename. Tags are read in the background and fill in later listings; until then, and
   * where there are none, a track is named by its path.
   */
  list(): Promise<readonly CatalogueTrack[]>;
  readonly local: LocalFiles;
  /**
   * The cover: embedded, else `cover`, `folder` or `front` (jpg, png, webp, gif) beside the file, at most 10 MiB; undefined
   * without one. Throws `not-found` for an unknown id.
   */
  artwork(id: string): Promise<Artwork | undefined>;
  /** Ends the watch, scans, tag reading and every open file. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * The `folder:DIR` source: audio files under DIR, played from where they are. Nothing outside DIR is ever served: links
 * are followed inside it only. A leading `~` is the home directory, since shells leave it alone behind a colon.
 *
 * Rejects with an Error of one line if DIR is missing, no folder, or may not be read. The first scan runs in the
 * background; what needs it waits for it.
 */
export async function createFolder(dir: string, options: FolderOptions = {}): Promise<FolderSource> {
  const root = await resolveRoot(dir);
  return new Folder(root, options);
}

async function resolveRoot(dir: string): Promise<RawPath> {
  const path = /^~(?:\/|$)/.test(dir) ? join(homedir(), dir.slice(1)) : dir;
  const shown = plainText(path);
  try {
    const root = await realpath(path, RAW);
    if (!(await stat(path)).isDirectory()) throw new Error(`${shown} is not a folder`);
    await access(path, constants.R_OK | constants.X_OK);
    return root;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    if (code === "ENOENT") throw new Error(`The folder ${shown} does not exist`, { cause: error });
    if (code === "ENOTDIR") throw new Error(`${shown} is not a folder`, { cause: error });
    throw new Error(`The folder ${shown} cannot be read (${code})`, { cause: error });
  }
}

/** A track, and the tags that it was described by. */
interface Described {
  readonly track: CatalogueTrack;
  readonly tags: Tags | undefined;
}

class Folder implements FolderSource {
  readonly local: FolderFiles;
  readonly #root: RawPath;
  readonly #library: Library;
  readonly #tags: TagReader;
  readonly #stop = new AbortController();
  /** Made anew when files or tags have changed, of what is still right of the tracks as they were described last. */
  #listing: readonly CatalogueTrack[] | undefined;
  #described: ReadonlyMap<string, Described> = new Map();
  /** Covers are read one at a time: each may take 10 MiB. */
  #lastArtwork: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(root: RawPath, { clock = systemClock, log = { warn() {} }, watchDirectory }: FolderOptions) {
    this.#root = root;
    this.#tags = new TagReader({ root, clock, onRead: () => this.#forgetListing() });
    this.#library = new Library({
      root,
      clock,
      log,
      onScan: (files) => {
        this.#forgetListing();
        this.#tags.follow(files);
      },
      ...(watchDirectory === undefined ? {} : { watchDirectory }),
    });
    this.local = new FolderFiles(root, (id) => this.#library.find(id));
    // Fails only when the folder is closed.
    this.#library.scan().catch(() => {});
  }

  async list(): Promise<readonly CatalogueTrack[]> {
    const files = await this.#library.files();
    if (this.#listing === undefined) {
      this.#described = new Map(Array.from(files.values(), (file) => [file.id, this.#describe(file)]));
      this.#listing = Array.from(this.#described.values(), ({ track }) => track);
    }
    return this.#listing;
  }

  async artwork(id: string): Promise<Artwork | undefined> {
    const file = await this.#library.find(id);
    if (file === undefined) throw new AfterbayError("not-found", "The folder has no such track");
    const mine = this.#lastArtwork.then(() => readArtwork(this.#root, file, this.#stop.signal));
    this.#lastArtwork = mine.catch(() => {});
    return await mine;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stop.abort(new DOMException("The folder was closed", "AbortError"));
    // The library first: its scans give the tag reader work.
    await this.#library.close();
    await Promise.all([this.#tags.close(), this.local.close(), this.#lastArtwork]);
  }

  #forgetListing(): void {
    this.#listing = undefined;
  }

  #describe(file: ScannedFile): Described {
    const { id, size, contentType } = file;
    const tags = this.#tags.tags(file);
    const known = this.#described.get(id);
    if (known?.tags === tags && known?.track.size === size) return known;
    return { tags, track: { id, ...this.#names(file, tags), size, contentType } };
  }

  /** Folders name artist and album only where the file itself names nothing: mixed, they would contradict each other. */
  #names(file: ScannedFile, tags: Tags = {}): Tags {
    const fallback = namesFrom(this.#root, file.path);
    const namesItself = (tags.title ?? tags.artist ?? tags.album) !== undefined;
    return namesItself ? { title: fallback.title, ...tags } : { ...fallback, ...tags };
  }
}
