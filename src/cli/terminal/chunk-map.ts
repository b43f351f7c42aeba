import type { Screen } from "./screen.ts";
import { widthOf } from "./width.ts";

/** How chunks are drawn where a terminal can; elsewhere the API's own characters stand. */
const BLOCKS: Readonly<Record<string, string>> = { "#": "█", "=": "▒", "-": "▸", ".": "·" };
const MEANINGS = [
  ["#", "on disk"],
  ["=", "partly"],
  ["-", "on its way"],
  [".", "absent"],
] as const;
const DEFAULT_WIDTH = 80;

/** A track's map, wrapped, with the offset of its first byte before each line, and what its characters mean. */
export function chunkMap(chunks: string, chunkSize: number, screen: Screen): string[] {
  const draw = (chunk: string): string => (screen.unicode ? (BLOCKS[chunk] ?? chunk) : chunk);
  const width = screen.width ?? DEFAULT_WIDTH;
  const labelWidth = String(chunks.length * chunkSize).length;
  const room = Math.max(1, width - labelWidth - 2);
  // Offsets that are multiples of a round number are easier to follow.
  const perLine = room >= 8 ? room - (room % 8) : room;
  const lines: string[] = [];
  for (let first = 0; first < chunks.length; first += perLine) {
    const cells = Array.from(chunks.slice(first, first + perLine), draw).join("");
    lines.push(`${screen.dim(String(first * chunkSize).padStart(labelWidth))}  ${cells}`);
  }
  const legend = MEANINGS.filter(([chunk]) => chunks.includes(chunk)).map(
    ([chunk, words]) => `${draw(chunk)} ${words}`,
  );
  return [...lines, ...wrapped(legend, width).map(screen.dim)];
}

function wrapped(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const line = lines.at(-1);
    if (line !== undefined && widthOf(line) + 3 + widthOf(part) <= width) lines[lines.length - 1] = `${line}   ${part}`;
    else lines.push(part);
  }
  return lines;
}
