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

/** The union of `stretches`, which are disjoint and in order, with one more; again disjoint and in order. */
export function cover(stretches: readonly Stretch[], { start, end }: Stretch): Stretch[] {
  if (start >= end) return [...stretches];
  const before = stretches.filter((one) => one.end < start);
  const after = stretches.filter((one) => one.start > end);
  const touching = stretches.slice(before.length, stretches.length - after.length);
  const union = {
    start: Math.min(start, touching[0]?.start ?? start),
    end: Math.max(end, touching.at(-1)?.end ?? end),
  };
  return [...before, union, ...after];
}
