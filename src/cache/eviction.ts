/** A track as eviction sees it: all its variants together. */
export interface EvictionCandidate {
  readonly key: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Epoch ms of the last reading. */
  readonly playedAt: number;
}

/**
 * Which tracks must go so that `excess` bytes become free: those read longest ago first, and never more than needed.
 * Those in use are not among `candidates`.
 */
export function chooseVictims(candidates: Iterable<EvictionCandidate>, excess: number): string[] {
  if (excess <= 0) return [];
  const oldestFirst = [...candidates].filter(({ bytes }) => bytes > 0).toSorted((a, b) => a.playedAt - b.playedAt);
  const victims: string[] = [];
  let freed = 0;
  for (const { key, bytes } of oldestFirst) {
    if (freed >= excess) break;
    victims.push(key);
    freed += bytes;
  }
  return victims;
}
