import { CHUNK_SIZE } from "../data-source/data-source.ts";
import { combineCrc32 } from "./crc32.ts";

/** Bytes from `start` (inclusive) to `end` (exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A stretch of stored bytes within one chunk, with its checksum. */
export interface Piece extends Span {
  readonly crc: number;
  /** True if the bytes were checked, or written, since this process began. */
  checked: boolean;
}

/** Which bytes of a variant are stored: disjoint pieces in order. Pure; knows no disk. */
export class PieceTable {
  readonly #pieces: Piece[] = [];
  #bytes = 0;

  /** Number of bytes stored. */
  get bytes(): number {
    return this.#bytes;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** Adds a piece. It must not overlap with another and must lie within one chunk. */
  add(piece: Piece): void {
    const at = this.#firstEndingAfter(piece.start);
    const next = this.#pieces[at];
    if (next !== undefined && next.start < piece.end) throw new RangeError("Pieces overlap");
    this.#pieces.splice(at, 0, piece);
    this.#bytes += piece.end - piece.start;
  }

  /** Puts a piece in the place of all that it overlaps: how a log of pieces and their mergers is replayed. */
  replace(piece: Piece): void {
    this.removeWithin(piece.start, piece.end);
    this.add(piece);
  }

  /** Removes a piece; false if it is not there (any more). */
  remove(piece: Piece): boolean {
    const at = this.#pieces.indexOf(piece);
    if (at < 0) return false;
    this.#pieces.splice(at, 1);
    this.#bytes -= piece.end - piece.start;
    return true;
  }

  /** Removes every piece that has bytes in [start, end); false if there is none. */
  removeWithin(start: number, end: number): boolean {
    const found = this.within(start, end);
    for (const piece of found) this.remove(piece);
    return found.length > 0;
  }

  /** Merges the pieces from `start` to `end` into one, if there are several, in a row, and reach from the one to the other exactly. */
  merge(start: number, end: number): Piece | undefined {
    const parts = this.within(start, end);
    const [first, ...rest] = parts;
    if (first === undefined || rest.length === 0 || this.contiguousEnd(start) < end) return undefined;
    if (first.start !== start || parts.at(-1)?.end !== end) return undefined;
    let crc = first.crc;
    for (const part of rest) crc = combineCrc32(crc, part.crc, part.end - part.start);
    const merged = { start, end, crc, checked: parts.every((part) => part.checked) };
    this.replace(merged);
    return merged;
  }

  /** The piece that holds the byte at `position`, or undefined. */
  at(position: number): Piece | undefined {
    const piece = this.#pieces[this.#firstEndingAfter(position)];
    return piece !== undefined && piece.start <= position ? piece : undefined;
  }

  /** True if chunk `index` of a resource of `size` bytes is whole. */
  hasChunk(index: number, size: number): boolean {
    const { start, end } = chunkSpan(index, size);
    return this.contiguousEnd(start) >= end;
  }

  hasAllChunks(size: number): boolean {
    return this.contiguousEnd(0) >= size;
  }

  /** The end (exclusive) of the stored bytes that follow `position` without a hole; `position` itself if it is missing. */
  contiguousEnd(position: number): number {
    let end = position;
    for (let at = this.#firstEndingAfter(position); ; at += 1) {
      const piece = this.#pieces[at];
      if (piece === undefined || piece.start > end) return end;
      end = piece.end;
    }
  }

  /** The start of the first stored byte at or after `position`, or undefined. */
  nextStart(position: number): number | undefined {
    const piece = this.#pieces[this.#firstEndingAfter(position)];
    return piece === undefined ? undefined : Math.max(piece.start, position);
  }

  /** The holes in [start, end), in order. */
  missing(start: number, end: number): Span[] {
    const holes: Span[] = [];
    let position = start;
    for (const piece of this.within(start, end)) {
      if (piece.start > position) holes.push({ start: position, end: piece.start });
      position = Math.max(position, piece.end);
    }
    if (position < end) holes.push({ start: position, end });
    return holes;
  }

  /** The stored stretches, neighbours joined. */
  spans(): Span[] {
    const spans: { start: number; end: number }[] = [];
    for (const { start, end } of this.#pieces) {
      const last = spans.at(-1);
      if (last !== undefined && last.end === start) last.end = end;
      else spans.push({ start, end });
    }
    return spans;
  }

  /** The pieces that have bytes in [start, end), in order. */
  within(start: number, end: number): Piece[] {
    const found: Piece[] = [];
    for (let at = this.#firstEndingAfter(start); ; at += 1) {
      const piece = this.#pieces[at];
      if (piece === undefined || piece.start >= end) return found;
      found.push(piece);
    }
  }

  #firstEndingAfter(position: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pieces[middle] as Piece).end > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What is left of `span` without `other`: nothing, one stretch or two. */
export function subtract(span: Span, other: Span): Span[] {
  if (other.start >= other.end || other.end <= span.start || other.start >= span.end) return [span];
  return [
    { start: span.start, end: other.start },
    { start: other.end, end: span.end },
  ].filter(({ start, end }) => start < end);
}

/** The index of the chunk that holds `position`. */
export function chunkOf(position: number): number {
  return Math.floor(position / CHUNK_SIZE);
}

/** The bytes of chunk `index` in a resource of `size` bytes (unknown: as if it went on). */
export function chunkSpan(index: number, size: number | undefined): Span {
  const start = index * CHUNK_SIZE;
  return { start, end: Math.min(start + CHUNK_SIZE, size ?? Number.POSITIVE_INFINITY) };
}
