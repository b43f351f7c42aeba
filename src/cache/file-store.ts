import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CHUNK_SIZE } from "../data-source/data-source.ts";
import type { ChunkStore, StoredVariant, VariantName } from "./chunk-store.ts";
import { crc32 } from "./crc32.ts";
import { LineLog } from "./line-log.ts";
import { chunkOf, chunkSpan, type Piece, PieceTable, type Span } from "./piece-table.ts";

/** Lines of a map beyond what its pieces need, before it is written anew. */
const MAP_SLACK = 64;
/** Records of written data wait at most this long for others to be written with them, ms. */
const MAP_DELAY_MS = 100;

/** The name of a variant's files, without ending: 32 hexadecimal digits. Nothing of a request becomes a path. */
export function stemOf({ source, id, variant }: VariantName): string {
  return createHash("sha256")
    .update(JSON.stringify([source, id, variant]))
    .digest("hex")
    .slice(0, 32);
}

/** Where the files of the variant `stem` are, without ending. */
export function variantPath(root: string, stem: string): string {
  return join(root, "tracks", stem.slice(0, 2), stem);
}

/**
 * Chunks on disk: one sparse file per variant (`.data`), in which every byte has its own offset, and a map beside it
 * (`.map`) that says which bytes are there. The format is described in `docs/on-disk-format.md`.
 */
export class FileChunkStore implements ChunkStore {
  readonly #root: string;

  /** `root` is the folder of this format's version. */
  constructor(root: string) {
    this.#root = root;
  }

  async open(name: VariantName): Promise<StoredVariant> {
    const variant = new FileVariant(variantPath(this.#root, stemOf(name)), name);
    await variant.load();
    return variant;
  }

  async delete(name: VariantName): Promise<void> {
    const path = variantPath(this.#root, stemOf(name));
    // The map goes first: data without a map is nothing, a map without data would be wrong.
    for (const file of [`${path}.map`, `${path}.data`]) {
      await unlink(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
      });
    }
  }
}

class FileVariant implements StoredVariant {
  readonly #path: string;
  readonly #name: VariantName;
  readonly #map: LineLog;
  readonly #table = new PieceTable();
  #lines = 0;
  #size: number | undefined;
  #handle: Promise<FileHandle> | undefined;
  /** Operations that hold the handle. */
  #users = 0;
  #releasing = false;
  #mapTimer: NodeJS.Timeout | undefined;
  /** Why records could not be written in the background: the next write must not look as if all were well. */
  #mapError: unknown;

  constructor(path: string, name: VariantName) {
    this.#path = path;
    this.#name = name;
    this.#map = new LineLog(`${path}.map`);
  }

  async load(): Promise<void> {
    const lines = await this.#map.load();
    this.#lines = lines.length;
    for (const line of lines) {
      const [kind, start, end, crc] = line.split(" ");
      const span = { start: Number(start), end: Number(end) };
      if (!Number.isSafeInteger(span.start) || !Number.isSafeInteger(span.end) || span.start >= span.end) continue;
      if (chunkOf(span.start) !== chunkOf(span.end - 1) || span.start < 0) continue;
      if (kind === "+") this.#table.replace({ ...span, crc: Number.parseInt(crc ?? "", 16), checked: false });
      if (kind === "-") for (const piece of [...this.#within(span)]) this.#table.remove(piece);
    }
  }

  get bytes(): number {
    return this.#table.bytes;
  }

  hasChunk(index: number, size: number): boolean {
    const { start, end } = chunkSpan(index, size);
    return this.#table.contiguousEnd(start) >= end;
  }

  hasAllChunks(size: number): boolean {
    return this.#table.contiguousEnd(0) >= size;
  }

  missing(start: number, end: number): Span[] {
    return this.#table.missing(start, end);
  }

  spans(): Span[] {
    return this.#table.spans();
  }

  contiguousEnd(position: number): number {
    return this.#table.contiguousEnd(position);
  }

  nextStart(position: number): number | undefined {
    return this.#table.nextStart(position);
  }

  async readChunk(index: number, from: number, to: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const start = index * CHUNK_SIZE + from;
    const end = index * CHUNK_SIZE + to;
    for (let position = start; position < end; ) {
      const piece = this.#table.at(position);
      if (piece === undefined) return undefined;
      position = piece.end;
      if (piece.checked) continue;
      const bytes = await this.#read(piece.start, piece.end);
      if (bytes === undefined || crc32(bytes) !== piece.crc) {
        this.#drop(piece);
        return undefined;
      }
      piece.checked = true;
      if (piece.start <= start && piece.end >= end) return bytes.subarray(start - piece.start, end - piece.start);
    }
    const bytes = await this.#read(start, end, into);
    if (bytes !== undefined) return bytes;
    // The file is shorter than its map: someone cut it.
    for (const piece of [...this.#within({ start, end })]) this.#drop(piece);
    return undefined;
  }

  async writeChunk(index: number, from: number, bytes: Uint8Array): Promise<void> {
    const start = index * CHUNK_SIZE + from;
    const end = start + bytes.length;
    if (this.#table.missing(start, end).length === 0) return;
    if (this.#mapError !== undefined) await this.flush();
    await this.#withHandle(async (handle) => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, start + done);
        done += bytesWritten;
      }
    });
    // Looked up again: another writer may have stored part of it meanwhile.
    for (const hole of this.#table.missing(start, end)) {
      const crc = crc32(bytes.subarray(hole.start - start, hole.end - start));
      this.#record({ ...hole, crc, checked: true });
    }
    this.#mergeChunk(index);
  }

  learnSize(size: number): void {
    if (this.#size === size) return;
    this.#size = size;
    if (size > 0) this.#mergeChunk(chunkOf(size - 1));
  }

  async flush(): Promise<void> {
    clearTimeout(this.#mapTimer);
    this.#mapTimer = undefined;
    this.#mapError = undefined;
    try {
      if (this.#lines > 2 * this.#table.pieces.length + MAP_SLACK) await this.#rewriteMap();
      else await this.#map.flush();
    } catch (error) {
      this.#mapError = error;
      if ((error as NodeJS.ErrnoException).code === "ENOENT") await this.#startAfresh();
      throw error;
    }
  }

  async release(): Promise<void> {
    await this.flush().catch(() => {});
    this.#releasing = true;
    if (this.#users === 0) await this.#close();
  }

  #record(piece: Piece): void {
    this.#table.add(piece);
    this.#append(`+ ${piece.start} ${piece.end} ${piece.crc.toString(16)}`);
  }

  #mergeChunk(index: number): void {
    const { start, end } = chunkSpan(index, this.#size);
    const merged = this.#table.merge(start, end);
    if (merged !== undefined) this.#append(`+ ${start} ${end} ${merged.crc.toString(16)}`);
  }

  #drop(piece: Piece): void {
    this.#table.remove(piece);
    this.#append(`- ${piece.start} ${piece.end}`);
  }

  #append(line: string): void {
    if (this.#lines === 0) {
      this.#map.append(`= ${JSON.stringify([this.#name.source, this.#name.id, this.#name.variant])}`);
      this.#lines += 1;
    }
    this.#map.append(line);
    this.#lines += 1;
    if (this.#mapTimer !== undefined) return;
    // A record that is lost costs its piece; a lost removal is found again by the checksum.
    this.#mapTimer = setTimeout(() => void this.flush().catch(() => {}), MAP_DELAY_MS);
    this.#mapTimer.unref();
  }

  /** The folder was deleted under us: what it held is gone, and the next write makes it anew. */
  async #startAfresh(): Promise<void> {
    for (const piece of [...this.#table.pieces]) this.#table.remove(piece);
    this.#lines = 0;
    this.#mapError = undefined;
    await this.#map.forget();
    await this.#close();
  }

  async #rewriteMap(): Promise<void> {
    const lines = [
      `= ${JSON.stringify([this.#name.source, this.#name.id, this.#name.variant])}`,
      ...this.#table.pieces.map(({ start, end, crc }) => `+ ${start} ${end} ${crc.toString(16)}`),
    ];
    this.#lines = lines.length;
    await this.#map.rewrite(lines);
  }

  *#within({ start, end }: Span): Generator<Piece> {
    for (const piece of this.#table.pieces) if (piece.start < end && piece.end > start) yield piece;
  }

  /** The bytes [start, end) of the file; undefined if it is not that long. */
  async #read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const length = end - start;
    // A buffer of its own: one cut from the shared pool would keep the pool alive while a slow client drains it.
    const buffer =
      into !== undefined && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
    return await this.#withHandle(async (handle) => {
      for (let done = 0; done < buffer.length; ) {
        const { bytesRead } = await handle.read(buffer, done, buffer.length - done, start + done);
        if (bytesRead === 0) return undefined;
        done += bytesRead;
      }
      return buffer;
      // What cannot be read is not there: it is fetched again.
    }).catch(() => undefined);
  }

  async #withHandle<T>(use: (handle: FileHandle) => Promise<T>): Promise<T> {
    this.#users += 1;
    this.#releasing = false;
    try {
      this.#handle ??= this.#open();
      const handle = await this.#handle.catch((error: unknown) => {
        this.#handle = undefined;
        throw error;
      });
      return await use(handle);
    } finally {
      this.#users -= 1;
      if (this.#users === 0 && this.#releasing) await this.#close();
    }
  }

  async #open(): Promise<FileHandle> {
    const path = `${this.#path}.data`;
    // "r+" does not create, "w+" truncates; "a+" ignores positions on Linux.
    try {
      return await open(path, "r+");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      return await open(path, "wx+").catch(() => open(path, "r+"));
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.then(
      (opened) => opened.close(),
      () => {},
    );
  }
}
