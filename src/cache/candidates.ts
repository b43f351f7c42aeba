import type { TrackKey } from "../data-source/data-source.ts";
import { compareCandidates, type EvictionCandidate } from "./eviction.ts";
import type { Usage } from "./index-row.ts";
import type { TrackIndex } from "./track-index.ts";

/** Why a track stays although space is needed. */
export type Spared = "pinned" | "in use";

/** A track, or a parked variant of one, as eviction sees it. */
export interface Candidate extends EvictionCandidate, TrackKey {
  readonly stems: readonly string[];
  readonly spared?: Spared;
}

export interface CandidatesOptions {
  readonly index: TrackIndex;
  readonly isInUse: (stem: string) => boolean;
  readonly isPinned: (key: TrackKey) => boolean;
  readonly isWished: (key: TrackKey) => boolean;
}

/** What could be evicted, and what is spared. */
export class Candidates {
  readonly #options: CandidatesOptions;

  constructor(options: CandidatesOptions) {
    this.#options = options;
  }

  *all(): Generator<Candidate> {
    for (const usages of this.#options.index.usageByTrack()) yield* this.#candidates(usages);
  }

  /**
   * Those that go next, in order, but for variants of `except`. To find them about `count` tracks are looked at, and more
   * only while none of those may go. Empty only if none at all may go.
   */
  next(count: number, except: ReadonlySet<string>): Candidate[] {
    const { index } = this.#options;
    const parked = [...index.several()].flatMap((usages) => this.#candidates(usages)).filter((one) => one.parked);
    for (let looked = count; ; looked *= 8) {
      const oldest = index.oldest(looked).flatMap((usages) => this.#candidates(usages));
      const whole = oldest.filter((one) => one.parked !== true);
      const all = looked >= index.trackCount;
      // Others that nobody wishes for may be younger.
      const due = all ? whole : whole.filter((one) => one.wished !== true);
      const free = [...parked, ...due].filter(
        ({ disk, spared, stems }) => disk > 0 && spared === undefined && !stems.some((stem) => except.has(stem)),
      );
      if (all || free.length > 0) return free.toSorted(compareCandidates);
    }
  }

  /** A candidate as it is now; undefined if it is gone or another one. */
  again({ source, id, stems }: Candidate): Candidate | undefined {
    const usages = this.#options.index.usageOf({ source, id });
    return this.#candidates(usages).find((one) => one.stems.join() === stems.join());
  }

  #candidates(usages: readonly Usage[]): Candidate[] {
    const [first] = usages;
    if (first === undefined) return [];
    const [source = "", id = ""] = JSON.parse(first.track) as string[];
    const key = { source, id };
    const parked = this.#parked(usages);
    const current = usages.filter((usage) => !parked.includes(usage));
    const alone = parked.map((usage) => ({ ...this.#candidate(key, [usage]), parked: true }));
    const pinned = this.#options.isPinned(key);
    const whole = this.#candidate(key, current);
    return [...alone, { ...whole, wished: this.#options.isWished(key), ...(pinned ? { spared: "pinned" } : {}) }];
  }

  #candidate(key: TrackKey, usages: readonly Usage[]): Candidate {
    const stems = usages.map(({ stem }) => stem);
    return {
      ...key,
      stems,
      disk: usages.reduce((sum, { disk }) => sum + disk, 0),
      playedAt: Math.max(...usages.map(({ playedAt }) => playedAt)),
      ...(stems.some(this.#options.isInUse) ? { spared: "in use" as const } : {}),
    };
  }

  /** Those that are not current, of a track that has one that is. */
  #parked(usages: readonly Usage[]): readonly Usage[] {
    if (usages.length < 2) return [];
    const parked = usages.filter(({ stem }) => this.#options.index.get(stem)?.qualities.length === 0);
    return parked.length < usages.length ? parked : [];
  }
}
