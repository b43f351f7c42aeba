import type { World } from "./world.ts";

interface Stretch {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Where nothing was lost on the way, each byte was fetched once. */
export function checkSpending(world: World): void {
  if (world.lossy) return;
  for (const original of world.originals) {
    if (!original.isSteady || original.ignoredRange) continue;
    const stretches = original.requests.flatMap(({ start, sent }) =>
      start === undefined || sent === 0 ? [] : [{ start, end: start + sent }],
    );
    const sent = stretches.reduce((sum, { start, end }) => sum + end - start, 0);
    const unique = unionSize(stretches);
    // Where a request is cut, what has just arrived of it is lost.
    const inFlight = original.requests.filter(({ cut }) => cut).length * original.plan.piece;
    if (sent > unique + inFlight)
      world.fail(`${sent} bytes of ${original.name} were fetched, and ${unique} would have done`);
  }
}

/** Bytes in the union of `stretches`. */
function unionSize(stretches: readonly Stretch[]): number {
  let total = 0;
  let covered = 0;
  for (const { start, end } of stretches.toSorted((a, b) => a.start - b.start)) {
    total += Math.max(0, end - Math.max(start, covered));
    covered = Math.max(covered, end);
  }
  return total;
}
