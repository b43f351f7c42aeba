/** Chunks in a row that a player got from one place. */
export interface ChunkRun {
  readonly from: "disk" | "upstream";
  readonly index: number;
  /** At least 1. */
  readonly count: number;
}

/** Runs that wait of one track, at most: several players read it at several places. */
const MAX_RUNS = 16;

/** Joins chunks that are told one by one to runs, by track. */
export class ChunkRuns {
  readonly #runs = new Map<string, ChunkRun[]>();

  get size(): number {
    return this.#runs.size;
  }

  add(key: string, from: ChunkRun["from"], index: number): void {
    const runs = this.#runs.get(key) ?? [];
    this.#runs.set(key, runs);
    const at = runs.findIndex((run) => run.from === from && index >= run.index && index <= run.index + run.count);
    const run = runs[at];
    if (run === undefined) runs.push({ from, index, count: 1 });
    else runs[at] = { ...run, count: Math.max(run.count, index - run.index + 1) };
    // It is for show: what is stored is told by the track's map.
    if (runs.length > MAX_RUNS) runs.shift();
  }

  /** The oldest run of each track, which is forgotten here. */
  take(): (ChunkRun & { readonly key: string })[] {
    return [...this.#runs].flatMap(([key, runs]) => {
      const run = runs.shift();
      if (runs.length === 0) this.#runs.delete(key);
      return run === undefined ? [] : [{ key, ...run }];
    });
  }
}
