/** A track as eviction sees it: all its variants together. */
export interface EvictionCandidate {
  readonly key: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Epoch ms of the last reading. */
  readonly playedAt: number;
  /** Someone's wish list names it: it goes only after all that nobody wishes for. */
  readonly wished?: boolean;
}

/**
 * Which tracks must go so that `excess` bytes become free: those read longest ago first, what is wished for last, and
 * never more than needed. Those in use and those pinned are not among `candidates`.
 */
export function chooseVictims<T extends EvictionCandidate>(candidates: Iterable<T>, excess: number): T[] {
  if (excess <= 0) return [];
  const rank = ({ wished = false }: EvictionCandidate): number => (wished ? 1 : 0);
  const order = [...candidates]
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => rank(a) - rank(b) || a.playedAt - b.playedAt);
  const victims: T[] = [];
  let freed = 0;
  for (const candidate of order) {
    if (freed >= excess) break;
    victims.push(candidate);
    freed += candidate.bytes;
  }
  return victims;
}
