import type { FileHandle } from "node:fs/promises";
import { abortable, linkedController } from "../../data-source/aborting.ts";
import { KiB } from "../../data-source/data-source.ts";
import { abortReason, AfterbayError } from "../../errors.ts";
import { fileError, isUnchanged, type OpenedFile, openInside } from "./open-inside.ts";
import type { RawPath } from "./raw-path.ts";

/** Bytes handed out at a time. */
const READ_SIZE = 64 * KiB;

/** An open local file: one version of a track, whole. */
export interface LocalFile extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  readonly contentType: string;
  /** Names the exact bytes, by size and modification time: equal variant, equal bytes. */
  readonly variant: string;
  /**
   * Bytes from `start` (inclusive) to `end` (exclusive, at most the size), at most 64 KiB at a time, each in a buffer of
   * its own. Pulled: nothing is read ahead. To be called once; the file is closed when the bytes end, fail, or are left.
   *
   * Throws `variant-changed` before it yields a byte of another version than the one that was opened.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** Closes the file. Needed where `read` was never begun (its `finally` is skipped then); harmless later and twice. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tracks that are files of this machine. */
export interface LocalFiles {
  /**
   * Opens a track. An abort of `signal` ends a pending open or read with its reason and closes the file.
   * Throws `not-found` for an unknown id and for a file that has vanished, `unplayable` for one that may not be read.
   */
  open(id: string, options: { readonly signal: AbortSignal }): Promise<LocalFile>;
}

/** Where the track of an id is. */
export interface Place {
  readonly path: RawPath;
  readonly contentType: string;
}

/** The files below one folder. */
export class FolderFiles implements LocalFiles {
  readonly #root: RawPath;
  readonly #find: (id: string) => Promise<Place | undefined>;
  readonly #controllers = new Set<AbortController>();
  readonly #files = new Set<OpenLocalFile>();
  #closed = false;

  /** `root` is resolved. */
  constructor(root: RawPath, find: (id: string) => Promise<Place | undefined>) {
    this.#root = root;
    this.#find = find;
  }

  async open(id: string, { signal }: { readonly signal: AbortSignal }): Promise<LocalFile> {
    if (this.#closed) throw folderClosed();
    const { controller, unlink } = linkedController(signal);
    this.#controllers.add(controller);
    const free = (): void => {
      unlink();
      this.#controllers.delete(controller);
    };
    const locating = this.#locate(id, controller.signal);
    try {
      const { contentType, opened } = await abortable(locating, controller.signal);
      const file = new OpenLocalFile(opened, contentType, controller.signal, () => {
        free();
        this.#files.delete(file);
      });
      this.#files.add(file);
      return file;
    } catch (error) {
      free();
      // Opened after all, when nobody waited any more who would close it.
      locating.then(
        ({ opened }) => opened.handle.close(),
        () => {},
      );
      throw error;
    }
  }

  /** Ends every open and read, and settles when the files are closed. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const controller of this.#controllers) controller.abort(folderClosed());
    await Promise.all([...this.#files].map((file) => file[Symbol.asyncDispose]()));
  }

  async #locate(id: string, signal: AbortSignal): Promise<{ contentType: string; opened: OpenedFile }> {
    if (signal.aborted) throw abortReason(signal);
    const place = await this.#find(id);
    if (place === undefined) throw new AfterbayError("not-found", "The folder has no such track");
    return { contentType: place.contentType, opened: await openInside(this.#root, place.path) };
  }
}

function folderClosed(): DOMException {
  return new DOMException("The folder was closed", "AbortError");
}

class OpenLocalFile implements LocalFile {
  readonly size: number;
  readonly contentType: string;
  readonly variant: string;
  readonly #opened: OpenedFile;
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal;
  readonly #onClose: () => void;
  readonly #abort = (): void => void this.#close();
  #closed: Promise<void> | undefined;

  constructor(opened: OpenedFile, contentType: string, signal: AbortSignal, onClose: () => void) {
    const { size, mtimeNs } = opened.stats;
    this.size = Number(size);
    this.contentType = contentType;
    this.variant = `${size.toString(36)}-${mtimeNs.toString(36)}`;
    this.#opened = opened;
    this.#handle = opened.handle;
    this.#signal = signal;
    this.#onClose = onClose;
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    try {
      const last = Math.min(end, this.size);
      for (let position = start; position < last; ) {
        const bytes = await this.#piece(position, Math.min(READ_SIZE, last - position));
        position += bytes.length;
        yield bytes;
      }
    } finally {
      await this.#close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #piece(position: number, length: number): Promise<Uint8Array> {
    if (this.#signal.aborted) throw abortReason(this.#signal);
    if (this.#closed !== undefined) throw new DOMException("The file was disposed of", "AbortError");
    return await abortable(this.#checkedRead(position, length), this.#signal);
  }

  /** The times are looked at after the bytes: a write moves them before it moves bytes. */
  async #checkedRead(position: number, length: number): Promise<Uint8Array> {
    try {
      const buffer = Buffer.allocUnsafeSlow(length);
      const { bytesRead } = await this.#handle.read(buffer, 0, length, position);
      if (bytesRead === 0 || !(await isUnchanged(this.#opened))) {
        throw new AfterbayError("variant-changed", "The file has changed while it was read");
      }
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw fileError(error);
    }
  }

  #close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#signal.removeEventListener("abort", this.#abort);
      this.#onClose();
      // Node closes a handle when the read in hand is over. An error while closing what was only read changes nothing.
      await this.#handle.close().catch(() => {});
    })();
    return this.#closed;
  }
}
