import type { PieceTable, Span } from "./piece-table.ts";

/** What nearly all file systems give files in units of, bytes. Where it is another, {@link https://man7.org/linux/man-pages/man2/stat.2.html st_blocks} knows better. */
export const BLOCK = 4096;

/** The bytes of the blocks that `bytes` bytes in a row take. */
export function roundedUp(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

/** The bytes of the blocks that storing `hole` adds to a sparse file of `stored` pieces, none of which are in the hole. */
export function blocksAdded(stored: PieceTable, hole: Span): number {
  const from = Math.floor(hole.start / BLOCK) * BLOCK;
  const to = roundedUp(hole.end);
  const sharesFirst = from < hole.start && stored.within(from, hole.start).length > 0;
  const sharesLast = to > hole.end && stored.within(hole.end, to).length > 0;
  const taken = (sharesFirst ? 1 : 0) + (sharesLast && !(sharesFirst && to - from === BLOCK) ? 1 : 0);
  return to - from - taken * BLOCK;
}
