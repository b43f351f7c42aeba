import type { Known } from "../track-book.ts";

/** What is known of one cell's bytes: `#` all on disk, `=` some of them, `-` arriving, `.` none. */
export type Cell = "#" | "=" | "-" | ".";

/** A track's bytes from its beginning to its end, in so many cells. */
export function byteMap({ size, complete, spans = [], chunks = "", chunkSize = 1 }: Known, width: number): Cell[] {
  if (complete === true) return Array.from({ length: width }, () => "#");
  if (size === undefined || size === 0) return Array.from({ length: width }, () => ".");
  return Array.from({ length: width }, (_, cell) => {
    const start = Math.floor((cell * size) / width);
    const end = Math.max(start + 1, Math.floor(((cell + 1) * size) / width));
    const there = spans.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(to, end) - Math.max(from, start)), 0);
    if (there >= end - start) return "#";
    const [first, last] = [Math.floor(start / chunkSize), Math.ceil(end / chunkSize)];
    if (chunks.slice(first, last).includes("-")) return "-";
    return there > 0 ? "=" : ".";
  });
}
