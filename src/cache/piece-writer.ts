import type { Clock } from "../data-source/clock.ts";
import { CHUNK_SIZE, KiB } from "../data-source/data-source.ts";
import type { StoredVariant } from "./chunk-store.ts";

/** Pieces end at multiples of this, bytes. */
const PIECE_SIZE = 64 * KiB;
/** A piece that is not full yet is written after this long, ms. */
const FLUSH_MS = 150;

/**
 * Collects bytes that arrive in a row into pieces of at most 64 KiB and stores them one after the other. A write that
 * fails is told to `onError` and loses its piece, nothing else.
 */
export class PieceWriter {
  readonly #stored: StoredVariant;
  readonly #clock: Pick<Clock, "after">;
  readonly #onStored: (bytes: number) => void;
  readonly #onError: (error: unknown) => void;
  #start = 0;
  #parts: Uint8Array[] = [];
  #length = 0;
  /** Cancels the timer, if it runs. */
  #timer: (() => void) | undefined;
  #chain: Promise<void> = Promise.resolve();
  #pendingBytes = 0;

  constructor(
    stored: StoredVariant,
    clock: Pick<Clock, "after">,
    onStored: (bytes: number) => void,
    onError: (error: unknown) => void,
  ) {
    this.#stored = stored;
    this.#clock = clock;
    this.#onStored = onStored;
    this.#onError = onError;
  }

  /** Bytes handed over and not stored yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes bytes that follow those of the last call, or begin elsewhere after a {@link cut}. */
  push(position: number, bytes: Uint8Array): void {
    if (this.#length > 0 && this.#start + this.#length !== position) this.cut();
    let at = position;
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#length === 0) this.#start = at;
      const room = PIECE_SIZE - (at % PIECE_SIZE);
      const part = rest.length > room ? rest.subarray(0, room) : rest;
      this.#parts.push(part);
      this.#length += part.length;
      this.#pendingBytes += part.length;
      at += part.length;
      rest = rest.subarray(part.length);
      if (at % PIECE_SIZE === 0) this.cut();
    }
    if (this.#length > 0 && this.#timer === undefined) {
      this.#timer = this.#clock.after(FLUSH_MS, () => this.cut());
    }
  }

  /** Writes what is collected, though the piece is not full. */
  cut(): void {
    this.#timer?.();
    this.#timer = undefined;
    if (this.#length === 0) return;
    const start = this.#start;
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#length = 0;
    this.#chain = this.#chain.then(() => this.#write(start, bytes));
  }

  /** Settles when everything handed over was stored or given up. */
  async finish(): Promise<void> {
    this.cut();
    await this.#chain;
    await this.#stored.flush().catch(this.#onError);
  }

  async #write(start: number, bytes: Uint8Array): Promise<void> {
    const before = this.#stored.bytes;
    try {
      await this.#stored.writeChunk(Math.floor(start / CHUNK_SIZE), start % CHUNK_SIZE, bytes);
    } catch (error) {
      this.#onError(error);
    }
    this.#pendingBytes -= bytes.length;
    this.#onStored(this.#stored.bytes - before);
  }
}
