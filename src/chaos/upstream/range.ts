/** A single range as a request states it (RFC 9110, section 14.1.2). Ends are exclusive here. */
export type RangeAsked =
  | { readonly kind: "bounded"; readonly start: number; readonly end: number }
  | { readonly kind: "open"; readonly start: number }
  | { readonly kind: "suffix"; readonly length: number };

export interface Stretch {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Absent for no header, and for everything a server may ignore: another unit, garbage, several ranges. */
export function parseRange(header: string | undefined): RangeAsked | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? "");
  if (!match) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? undefined : { kind: "suffix", length: Number(last) };
  const start = Number(first);
  if (last === "") return { kind: "open", start };
  return Number(last) < start ? undefined : { kind: "bounded", start, end: Number(last) + 1 };
}

/** What of a resource of `size` bytes the range names; absent if it is not satisfiable. */
export function satisfy(range: RangeAsked, size: number): Stretch | undefined {
  if (range.kind === "suffix") {
    return range.length === 0 ? undefined : { start: Math.max(0, size - range.length), end: size };
  }
  if (range.start >= size) return undefined;
  return { start: range.start, end: range.kind === "bounded" ? Math.min(range.end, size) : size };
}

/** The number of bytes in the union of `stretches`. */
export function unionSize(stretches: readonly Stretch[]): number {
  let total = 0;
  let covered = 0;
  for (const { start, end } of stretches.toSorted((a, b) => a.start - b.start)) {
    if (end > covered) {
      total += end - Math.max(start, covered);
      covered = end;
    }
  }
  return total;
}
