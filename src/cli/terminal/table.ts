import { pad, truncate, widthOf } from "./width.ts";

export interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  readonly align?: "left" | "right";
  /** It may shrink to this many columns. */
  readonly min?: number;
  /** It is left out where the line is too short; the last such one goes first. */
  readonly optional?: boolean;
}

const GAP = 2;

/** Aligned lines, the titles first, none wider than `width`. */
export function table(columns: readonly Column[], width = Number.POSITIVE_INFINITY): string[] {
  const { shown, widths } = fit(columns, width);
  const rows = shown[0]?.cells.length ?? 0;
  const line = (cellOf: (column: Column) => string): string =>
    shown
      .map((column, index) => {
        const columnWidth = widths[index] ?? 0;
        return pad(truncate(cellOf(column), columnWidth), columnWidth, column.align);
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  return [
    line(({ title }) => title),
    ...Array.from({ length: rows }, (_, row) => line(({ cells }) => cells[row] ?? "")),
  ];
}

function fit(columns: readonly Column[], width: number): { shown: readonly Column[]; widths: readonly number[] } {
  let shown = columns;
  for (;;) {
    const widths = shrink(shown, width);
    const spare = shown.findLastIndex(({ optional }) => optional === true);
    if (spare === -1 || total(widths) <= width) return { shown, widths: squeeze(widths, width) };
    shown = shown.toSpliced(spare, 1);
  }
}

/** Takes from the widest of those that may shrink, down to where each must stay. */
function shrink(columns: readonly Column[], width: number): number[] {
  const widths = columns.map(({ title, cells }) =>
    cells.reduce((widest, cell) => Math.max(widest, widthOf(cell)), widthOf(title)),
  );
  while (total(widths) > width) {
    const widest = columns.reduce((found, { min = Number.POSITIVE_INFINITY }, index) => {
      const here = widths[index] ?? 0;
      return here > min && here > (widths[found] ?? 0) ? index : found;
    }, -1);
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

/** The last resort: whatever is widest gives. */
function squeeze(widths: readonly number[], width: number): number[] {
  const squeezed = [...widths];
  while (total(squeezed) > width && squeezed.some((one) => one > 1)) {
    const widest = squeezed.indexOf(Math.max(...squeezed));
    squeezed[widest] = (squeezed[widest] ?? 0) - 1;
  }
  return squeezed;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, one) => sum + one, 0) + GAP * Math.max(0, widths.length - 1);
}
