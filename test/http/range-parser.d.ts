declare module "range-parser" {
  /** Ranges with inclusive ends; -1: unsatisfiable, -2: malformed. */
  export default function rangeParser(
    size: number,
    header: string,
  ): (Array<{ start: number; end: number }> & { type: string }) | -1 | -2;
}
