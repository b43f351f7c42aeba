import { lstatSync } from "node:fs";
import type { Clock } from "../data-source/clock.ts";
import { CHUNK_SIZE } from "../data-source/data-source.ts";
import { blocksAdded, roundedUp } from "./blocks.ts";
import type { StoredVariant } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { crc32 } from "./crc32.ts";
import { DataFile } from "./data-file.ts";
import { LineLog } from "./line-log.ts";
import { chunkOf, chunkSpan, type Piece, PieceTable } from "./piece-table.ts";
import { titleOf } from "./variant-files.ts";

/** Lines of a map beyond twice what its pieces need, before it is written anew. */
const MAP_SLACK = 64;
/** Records of written data wait at most this long for others to be written with them, ms. With a piece's own wait: below 250. */
const MAP_DELAY_MS = 80;

interface FileVariantOptions {
  readonly clock: Clock;
  /** Told when the data file was made, or at least its folder. */
  readonly onCreated: () => void;
}

/** One variant on disk: its data file, and the map beside it. */
export class FileVariant extends PieceTable implements StoredVariant {
  /** The map's first line: whose bytes these are. */
  readonly #title: string;
  readonly #map: LineLog;
  readonly #data: DataFile;
  #size: number | undefined;
  #writing: Promise<void> = Promise.resolve();
  #titled = false;
  /** The data file was exported as a hard link: its bytes are checked at every reading. */
  #shared = false;
  /** What the data file takes on disk: as it was last looked at, and what was written since. Undefined before the first look. */
  #allocated: number | undefined;
  /** What its cover takes, bytes. */
  #artwork = 0;
  readonly #artworkPath: string;
  readonly #clock: Clock;
  /** What is in the map and could not be read: it takes its space, though it is missing for now. */
  readonly #unreadable = new PieceTable();
  /** Cancels the timer, if it runs. */
  #mapTimer: (() => void) | undefined;
  /** Why records could not be written in the background: the next write must not look as if all were well. */
  #mapError: unknown;

  constructor(path: string, name: VariantName, { clock, onCreated }: FileVariantOptions) {
    super();
    this.#clock = clock;
    this.#title = titleOf(name);
    this.#artworkPath = `${path}.art`;
    this.#data = new DataFile(`${path}.data`, {
      onLength: (length) => this.#onLength(length),
      onShared: (shared) => {
        this.#shared = shared;
      },
      onAllocated: (bytes) => {
        // Some file systems give out blocks only when they write to the disk, seconds later.
        this.#allocated = Math.max(bytes, this.bytes);
        this.recount();
      },
      onWritten: (start, end) => {
        this.#allocated = (this.#allocated ?? 0) + blocksAdded(this, { start, end });
      },
      onCreated,
      // Anything may be done to it until it is opened again.
      onClose: () => {
        for (const piece of this.pieces) piece.checked = false;
      },
    });
    this.#map = new LineLog(`${path}.map`, this, MAP_SLACK);
  }

  override get bytes(): number {
    return super.bytes + this.#unreadable.bytes;
  }

  /** Never rejects: what cannot be read is not there. */
  async load(): Promise<void> {
    const lines: string[] = [];
    await this.#map.load((text) => lines.push(text.toString())).catch(() => {});
    for (const line of lines) {
      // Files that were copied here from another variant hold its bytes, with checksums that are right.
      if (line.startsWith("=") && line !== this.#title) return this.#map.renew();
    }
    this.#titled = lines.length > 0;
    for (const line of lines) this.#replay(line);
  }

  get disk(): number | undefined {
    return this.#allocated === undefined ? undefined : this.#allocated + roundedUp(this.#map.length) + this.#artwork;
  }

  recount(): void {
    this.#artwork = (lstatSync(this.#artworkPath, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }

  async readChunk(index: number, from: number, to: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const start = index * CHUNK_SIZE + from;
    const end = index * CHUNK_SIZE + to;
    for (;;) {
      if (this.contiguousEnd(start) < end) return undefined;
      const piece = this.within(start, end).find(({ checked }) => !checked);
      // They were checked since the handle was opened, which this reading keeps open.
      if (piece === undefined) return await this.#read(start, end, into);
      const bytes = await this.#check(piece);
      if (bytes === undefined) return undefined;
      const covers = piece.start <= start && piece.end >= end;
      // A range of several pieces comes here once for each; complete tracks, the only ones exported, have none.
      piece.checked = !(this.#shared && covers);
      this.#mergeChunk(index);
      if (covers) return bytes.subarray(start - piece.start, end - piece.start);
    }
  }

  async writeChunk(index: number, from: number, bytes: Uint8Array): Promise<void> {
    if (from + bytes.length > CHUNK_SIZE) throw new RangeError("These bytes reach beyond their chunk");
    // One after the other: of two that bring the same bytes, the second finds them stored.
    const result = this.#writing.then(() => this.#store(index, from, bytes));
    this.#writing = result.catch(() => {});
    await result;
  }

  async verify(): Promise<number> {
    let bad = 0;
    for (const piece of this.pieces) piece.checked = false;
    for (const { start, end } of [...this.pieces]) {
      const bytes = await this.readChunk(chunkOf(start), start % CHUNK_SIZE, (start % CHUNK_SIZE) + end - start);
      if (bytes === undefined) bad += end - start;
    }
    return bad;
  }

  learnSize(size: number): void {
    if (this.#size === size) return;
    this.#size = size;
    if (size > 0) this.#mergeChunk(chunkOf(size - 1));
  }

  async flush(): Promise<void> {
    this.#mapTimer?.();
    this.#mapTimer = undefined;
    this.#mapError = undefined;
    try {
      await this.#map.flush();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return this.#startAfresh();
      this.#mapError = error;
      throw error;
    }
  }

  async release(): Promise<void> {
    await this.flush().catch(() => {});
    await this.#data.release();
  }

  async close(): Promise<void> {
    await this.flush().catch(() => {});
    await this.#data.close();
  }

  /** The lines that the map needs. */
  get lineCount(): number {
    return this.pieces.length === 0 ? 0 : this.pieces.length + 1;
  }

  lines(): string[] {
    return [this.#title, ...this.pieces.map(recordOf)];
  }

  #replay(line: string): void {
    const [kind, from, to, sum] = line.split(" ");
    const [start, end, crc] = [Number(from), Number(to), Number.parseInt(sum ?? "", 16)];
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start >= end) return;
    if (kind === "-") this.removeWithin(start, end);
    if (kind !== "+" || Number.isNaN(crc) || chunkOf(start) !== chunkOf(end - 1)) return;
    this.replace({ start, end, crc, checked: false });
  }

  /** The bytes of a piece; undefined, and missing from now on, if they are not those that were stored. */
  async #check(piece: Piece): Promise<Uint8Array | undefined> {
    const bytes = await this.#read(piece.start, piece.end);
    if (bytes === undefined || crc32(bytes) === piece.crc) return bytes;
    if (this.remove(piece)) this.#append(`- ${piece.start} ${piece.end}`);
    return undefined;
  }

  /** The bytes [start, end) of the file; undefined, and missing from now on, if they cannot be had. */
  async #read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#data.read(start, end, into);
    } catch {
      // An error is no proof that they are bad: the map keeps them, for another try after the next opening.
      for (const piece of this.within(start, end)) if (this.remove(piece)) this.#unreadable.replace(piece);
      return undefined;
    }
  }

  async #store(index: number, from: number, bytes: Uint8Array): Promise<void> {
    const start = index * CHUNK_SIZE + from;
    const end = start + bytes.length;
    if (this.#mapError !== undefined) await this.flush();
    // What comes again is kept where what is stored of it has gone bad.
    for (const piece of this.within(start, end)) {
      if (!piece.checked && (await this.#check(piece)) !== undefined) piece.checked = !this.#shared;
    }
    for (const hole of this.missing(start, end)) {
      const part = bytes.subarray(hole.start - start, hole.end - start);
      await this.#data.write(hole.start, part);
      const piece = { ...hole, crc: crc32(part), checked: true };
      this.add(piece);
      this.#unreadable.removeWithin(hole.start, hole.end);
      this.#append(recordOf(piece));
    }
    this.#mergeChunk(index);
  }

  #mergeChunk(index: number): void {
    const { start, end } = chunkSpan(index, this.#size);
    // One that turned out bad later would take the others with it.
    if (this.within(start, end).some(({ checked }) => !checked)) return;
    const merged = this.merge(start, end);
    if (merged !== undefined) this.#append(recordOf(merged));
  }

  #append(line: string): void {
    if (!this.#titled) this.#map.append(this.#title);
    this.#titled = true;
    this.#map.append(line);
    if (this.#mapTimer !== undefined) return;
    // A record that is lost costs its piece; a lost removal is found again by the checksum.
    this.#mapTimer = this.#clock.after(MAP_DELAY_MS, () => void this.flush().catch(() => {}));
  }

  /** The data file ends here. */
  #onLength(length: number): void {
    const last = this.pieces.at(-1);
    if (last === undefined || last.end <= length) return;
    this.removeWithin(length, last.end);
    this.#append(`- ${length} ${last.end}`);
  }

  /**
   * The folder was deleted under us: what it held is gone, and the next write makes it anew. What is being written now goes
   * to the lost file; it is found missing when the new one is opened.
   */
  #startAfresh(): Promise<void> {
    this.removeWithin(0, Number.POSITIVE_INFINITY);
    this.#unreadable.removeWithin(0, Number.POSITIVE_INFINITY);
    this.#allocated = 0;
    this.#artwork = 0;
    this.#map.renew();
    return this.#data.abandon();
  }
}

function recordOf({ start, end, crc }: Piece): string {
  return `+ ${start} ${end} ${crc.toString(16)}`;
}
