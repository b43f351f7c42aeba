import type { FileHandle } from "node:fs/promises";
import { KiB } from "../../data-source/data-source.ts";

/** Tags sit together, and are read in pieces of a few bytes. */
const READ_AHEAD = 16 * KiB;
/** What a call costs on top of its bytes, so that a parser that runs in circles comes to an end. */
const CALL_COST = 64;

/**
 * Reads here and there in an open file, at most `budget` bytes of it. Whoever wrote the file decides where its parser
 * goes and how often.
 */
export class BudgetedReader {
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal;
  #budget: number;
  #ahead = new Uint8Array();
  #aheadStart = 0;

  constructor(handle: FileHandle, budget: number, signal: AbortSignal) {
    this.#handle = handle;
    this.#budget = budget;
    this.#signal = signal;
  }

  /** A copy of the bytes from `start` to `end`, which is exclusive; fewer where the file ends. */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#signal.throwIfAborted();
    this.#budget -= end - start + CALL_COST;
    if (this.#budget < 0) throw new RangeError("Too much of the file would have to be read");
    if (end - start >= READ_AHEAD) return await this.#fetch(start, end);
    if (start < this.#aheadStart || end > this.#aheadStart + this.#ahead.length) {
      this.#ahead = await this.#fetch(start, start + READ_AHEAD);
      this.#aheadStart = start;
    }
    return this.#ahead.slice(start - this.#aheadStart, end - this.#aheadStart);
  }

  async #fetch(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start);
    const { bytesRead } = await this.#handle.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  }
}

/**
 * A Blob over an open file: what `fs.openAsBlob` is over a path, which could lead elsewhere by then. Has what
 * music-metadata asks of a Blob: size, type, and slices as an ArrayBuffer.
 */
export class FileBlob extends Blob {
  override readonly size: number;
  override readonly type: string;
  readonly #reader: BudgetedReader;
  readonly #start: number;

  constructor(reader: BudgetedReader, range: { readonly start: number; readonly end: number }, type: string) {
    super([]);
    this.size = range.end - range.start;
    this.type = type;
    this.#reader = reader;
    this.#start = range.start;
  }

  override slice(start = 0, end = this.size): Blob {
    const at = (offset: number): number => this.#start + Math.min(Math.max(0, offset), this.size);
    return new FileBlob(this.#reader, { start: at(start), end: at(end) }, this.type);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.#reader.read(this.#start, this.#start + this.size);
    if (bytes.length < this.size) throw new RangeError("The file is shorter than it was");
    return bytes.buffer.byteLength === bytes.length ? bytes.buffer : bytes.slice().buffer;
  }
}
