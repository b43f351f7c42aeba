import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

interface OpenFile {
  readonly handle: FileHandle;
  /** Why it can only be read. */
  readonly refusal?: Error;
}

export interface DataFileHooks {
  /** How long the file is: told when it was opened, before anything uses it, and when a reading found it too short. */
  onLength(length: number): void;
  /** Told at each opening: true if the file has another name, under which others may change it at any time. */
  onShared(shared: boolean): void;
  /** What the file takes on disk, bytes: told at each opening after its length, and when the handle is closed. */
  onAllocated(bytes: number): void;
  /** These bytes were written, `end` exclusive: told before the next of {@link onAllocated}. */
  onWritten(start: number, end: number): void;
  /** The file was made, or at least its folder. */
  onCreated(): void;
  /** No handle keeps others from replacing the file from now on. */
  onClose(): void;
}

/** A file that is open or being opened, and how many operations use it. */
interface Opening {
  readonly file: Promise<OpenFile>;
  users: number;
  /** To be closed as soon as nobody uses it. */
  idle: boolean;
}

/** Of `blocks` in what stat answers, bytes. */
const UNIT = 512;
/** Waits while all file descriptors of the process are taken, ms. */
const HANDLE_WAITS = [20, 60, 200];
/** An empty folder may be deleted between its making and that of the file in it. */
const CREATE_TRIES = 3;

/**
 * The sparse file that holds a variant's bytes, each at its own offset. Its handle is opened when needed, shared by what
 * runs at the same time, and never closed under a running operation.
 */
export class DataFile {
  readonly #path: string;
  readonly #hooks: DataFileHooks;
  #current: Opening | undefined;
  /** The last that was begun: what those before it saw is out of date. */
  #latest: Opening | undefined;
  #closed = false;

  constructor(path: string, hooks: DataFileHooks) {
    this.#path = path;
    this.#hooks = hooks;
  }

  /** The bytes [start, end), in `into` if they fit; undefined if the file does not reach that far. Rejects if it cannot be read. */
  async read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const length = end - start;
    // A buffer of its own: one cut from the shared pool would keep the pool alive while a slow client drains it.
    const buffer =
      into !== undefined && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
    try {
      return await this.#use(async ({ handle }) => {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await handle.read(buffer, done, buffer.length - done, start + done);
          if (bytesRead === 0) {
            this.#hooks.onLength((await handle.stat()).size);
            return undefined;
          }
          done += bytesRead;
        }
        return buffer;
      });
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      this.#hooks.onLength(0);
      this.#hooks.onAllocated(0);
      return undefined;
    }
  }

  /** Writes bytes at `start`. Makes the file, and its folder, where there is none. */
  async write(start: number, bytes: Uint8Array): Promise<void> {
    const write = async ({ handle, refusal }: OpenFile): Promise<void> => {
      if (refusal !== undefined) {
        // The next time it may be different.
        void this.release();
        throw refusal;
      }
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, start + done);
        done += bytesWritten;
      }
      this.#hooks.onWritten(start, start + bytes.length);
    };
    try {
      await this.#use(write);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      await this.#create();
      await this.#use(write);
    }
  }

  /** Closes the handle, once nobody uses it. What begins before that keeps it. */
  async release(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    current.idle = true;
    if (current.users === 0) await this.#close(current);
  }

  /** As {@link release}, for good: what is still under way, or begins later, keeps no handle. */
  close(): Promise<void> {
    this.#closed = true;
    return this.release();
  }

  /** As {@link release}, but whatever begins from now on opens the file anew. */
  abandon(): Promise<void> {
    const released = this.release();
    this.#current = undefined;
    this.#latest = undefined;
    return released;
  }

  async #use<T>(act: (file: OpenFile) => Promise<T>): Promise<T> {
    const opening = (this.#current ??= this.#begin());
    opening.users += 1;
    opening.idle = this.#closed;
    try {
      return await act(await opening.file);
    } finally {
      opening.users -= 1;
      if (opening.users === 0 && opening.idle) await this.#close(opening);
    }
  }

  #begin(): Opening {
    const opening = { file: this.#open(), users: 0, idle: false };
    this.#latest = opening;
    opening.file.catch(() => {
      if (this.#current === opening) this.#current = undefined;
    });
    return opening;
  }

  async #open(): Promise<OpenFile> {
    const file = await this.#openAnyhow();
    try {
      const { size, nlink, blocks } = await file.handle.stat();
      this.#hooks.onShared(nlink > 1);
      this.#hooks.onLength(size);
      this.#hooks.onAllocated(blocks * UNIT);
    } catch (error) {
      await file.handle.close();
      throw error;
    }
    return file;
  }

  async #openAnyhow(): Promise<OpenFile> {
    try {
      // Neither creates nor truncates.
      return { handle: await openPatiently(this.#path, "r+") };
    } catch (error) {
      if (!(error instanceof Error) || !hasCode(error, "EACCES", "EPERM", "EROFS")) throw error;
      return { handle: await openPatiently(this.#path, "r"), refusal: error };
    }
  }

  async #create(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await mkdir(dirname(this.#path), { recursive: true });
        try {
          const handle = await openPatiently(this.#path, constants.O_RDWR | constants.O_CREAT);
          return await handle.close();
        } finally {
          // The folder takes space also where the file is refused.
          this.#hooks.onCreated();
        }
      } catch (error) {
        if (!hasCode(error, "ENOENT") || tries === CREATE_TRIES) throw error;
      }
    }
  }

  async #close(opening: Opening): Promise<void> {
    if (this.#current === opening) {
      this.#current = undefined;
      this.#hooks.onClose();
    }
    try {
      const { handle } = await opening.file;
      const stats = await handle.stat().catch(() => undefined);
      if (stats !== undefined && this.#latest === opening) this.#hooks.onAllocated(stats.blocks * UNIT);
      await handle.close();
    } catch {
      // Nothing is lost by a close that fails: checksums tell what was.
    }
  }
}

async function openPatiently(path: string, flags: string | number): Promise<FileHandle> {
  for (const wait of HANDLE_WAITS) {
    try {
      return await open(path, flags);
    } catch (error) {
      if (!hasCode(error, "EMFILE", "ENFILE")) throw error;
      await delay(wait);
    }
  }
  return await open(path, flags);
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? "");
}
