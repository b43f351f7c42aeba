import { truncate, widthOf } from "../../terminal/width.ts";

/** A piece of a line: its text, and how it is painted. */
export interface Part {
  readonly text: string;
  /** Adds what takes no room. */
  readonly style?: (text: string) => string;
}

/** Scripts that are written from right to left. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
/** An invisible letter of a script from left to right. */
const LEFT_TO_RIGHT_MARK = "\u200E";

/** Parts on the left and on the right of a line, within its margins. Where both do not fit, the left ones are cut. */
export function line(
  left: readonly Part[],
  right: readonly Part[],
  { width, margin }: { readonly width: number; readonly margin: number },
): string {
  const inner = Math.max(0, width - 2 * margin);
  const rightWidth = total(right);
  const kept = cut(left, right.length === 0 ? inner : Math.max(0, inner - rightWidth - 1));
  const space = right.length === 0 ? "" : " ".repeat(Math.max(0, inner - total(kept) - rightWidth));
  const shown = [...kept, { text: space }, ...cut(right, inner)];
  if (shown.every(({ text }) => text.trim() === "")) return "";
  return " ".repeat(margin) + shown.map(({ text, style }) => (style === undefined ? text : style(text))).join("");
}

/** As many of the groups as fit side by side; the last one stays longest. */
export function fitting(groups: readonly (readonly Part[])[], width: number, gap: string): Part[] {
  let kept = [...groups];
  while (kept.length > 1 && total(kept.flat()) + gap.length * (kept.length - 1) > width) kept = kept.toSpliced(-2, 1);
  return kept.flatMap((group, index) => (index === 0 ? group : [{ text: gap }, ...group]));
}

/** A terminal that knows of both directions would take the numbers behind such a text for a part of it. */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? text + LEFT_TO_RIGHT_MARK : text;
}

/** Columns. */
export function total(parts: readonly Part[]): number {
  return parts.reduce((sum, { text }) => sum + widthOf(text), 0);
}

function cut(parts: readonly Part[], width: number): Part[] {
  let room = width;
  const kept: Part[] = [];
  for (const { text, style } of parts) {
    const fits = widthOf(text) <= room;
    const shown = fits ? text : truncate(text, room);
    if (shown !== "") kept.push({ text: shown, ...(style === undefined ? {} : { style }) });
    if (!fits) break;
    room -= widthOf(shown);
  }
  return kept;
}
