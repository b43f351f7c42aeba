/** What eviction can give up: a track with all its variants, or one variant of a track that nothing leads to any more. */
export interface EvictionCandidate {
  /** Bytes on disk. */
  readonly disk: number;
  /** Epoch ms of the last playback. */
  readonly playedAt: number;
  /** A variant that is not current for any quality, while another one of its track is. */
  readonly parked?: boolean;
  /** Someone's wish list names it. */
  readonly wished?: boolean;
}

/** In which order candidates go: what nothing leads to, then those played longest ago, and what is wished for last. */
export function compareCandidates(a: EvictionCandidate, b: EvictionCandidate): number {
  return rank(a) - rank(b) || a.playedAt - b.playedAt;
}

/** Which candidates must go so that `excess` bytes become free, in order; never more than needed. */
export function chooseVictims<T extends EvictionCandidate>(candidates: Iterable<T>, excess: number): T[] {
  if (excess <= 0) return [];
  const victims: T[] = [];
  let freed = 0;
  for (const candidate of [...candidates].filter(({ disk }) => disk > 0).toSorted(compareCandidates)) {
    if (freed >= excess) break;
    victims.push(candidate);
    freed += candidate.disk;
  }
  return victims;
}

function rank({ parked = false, wished = false }: EvictionCandidate): number {
  if (parked) return 0;
  return wished ? 2 : 1;
}
