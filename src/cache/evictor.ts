import { statfs } from "node:fs/promises";
import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { chooseVictims, type EvictionCandidate } from "./eviction.ts";
import type { TrackIndex } from "./track-index.ts";

const GiB = 1024 ** 3;
/** Free space that is left to others: this share of the disk, at most this many bytes. */
const MIN_FREE_SHARE = 0.05;
const MIN_FREE_MAX = 1 * GiB;
/** How often the disk's free space is looked at while bytes are stored, ms. */
const DISK_CHECK_MS = 5000;

/** Why a track stays although space is needed. */
export type Spared = "pinned" | "in use";

/** What goes, and what would if it could. */
export interface EvictionReport {
  /** Bytes on disk before and after. */
  readonly before: number;
  readonly after: number;
  readonly victims: readonly (TrackKey & { readonly bytes: number; readonly playedAt: number })[];
  readonly spared: readonly (TrackKey & { readonly why: Spared })[];
}

export interface EvictorOptions {
  readonly index: TrackIndex;
  readonly clock: Clock;
  /** The folder whose disk must not fill up; absent: only the budget counts. */
  readonly root?: string;
  /** Bytes on disk. */
  readonly budget: number;
  readonly isInUse: (stem: string) => boolean;
  readonly remove: (stem: string) => Promise<void>;
  readonly isPinned: (key: TrackKey) => boolean;
  readonly isWished: (key: TrackKey) => boolean;
  readonly onEvicted: (track: TrackKey & { readonly bytes: number }, reason: "budget" | "disk" | "asked") => void;
  /** Told of what could not be deleted. */
  readonly onError: (error: unknown) => void;
}

interface Candidate extends EvictionCandidate, TrackKey {
  readonly stems: readonly string[];
  readonly spared?: Spared;
}

/** Keeps what is stored within the budget, and the disk from filling up. Tracks in use or pinned stay. */
export class Evictor {
  readonly #options: EvictorOptions;
  #budget: number;
  #running: Promise<void> | undefined;
  #diskCheckedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#budget = options.budget;
  }

  /** Bytes on disk; lowering it evicts at once what is free. */
  get budget(): number {
    return this.#budget;
  }

  set budget(bytes: number) {
    this.#budget = bytes;
    this.check();
  }

  /** Evicts in the background if the budget is exceeded, or where it is time to look at the disk: now, if that is `full`. */
  check({ full = false } = {}): void {
    const { clock, index, onError } = this.#options;
    if (this.#closed) return;
    const now = clock.now();
    const checksDisk = full || now - this.#diskCheckedAt >= DISK_CHECK_MS;
    if (index.bytes <= this.#budget && !checksDisk) return;
    this.#diskCheckedAt = now;
    this.#running ??= this.#run()
      .catch(onError)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Evicts no more; settles when what was begun has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** True if `bytes` more can be stored by giving up only tracks that nobody wishes for (all but pinned, if `forced`). */
  hasRoom(bytes: number, forced: boolean): boolean {
    const { index } = this.#options;
    let room = this.#budget - index.bytes;
    if (room >= bytes) return true;
    for (const candidate of this.#candidates().values()) {
      if (candidate.spared !== undefined || (candidate.wished === true && !forced)) continue;
      room += candidate.bytes;
      if (room >= bytes) return true;
    }
    return false;
  }

  /** Evicts down to `to` bytes, or says what would go. */
  async evictTo(to: number, { dryRun }: { dryRun: boolean }): Promise<EvictionReport> {
    const before = this.#options.index.bytes;
    const all = [...this.#candidates().values()];
    const victims = chooseVictims(
      all.filter(({ spared }) => spared === undefined),
      before - to,
    );
    if (!dryRun) for (const victim of victims) await this.#evict(victim, "asked");
    const freed = victims.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      before,
      after: dryRun ? before - freed : this.#options.index.bytes,
      victims: victims.map(({ source, id, bytes, playedAt }) => ({ source, id, bytes, playedAt })),
      spared: all.flatMap(({ source, id, spared }) => (spared === undefined ? [] : [{ source, id, why: spared }])),
    };
  }

  async #run(): Promise<void> {
    const overBudget = this.#options.index.bytes - this.#budget;
    const overDisk = await this.#lacksOnDisk();
    const excess = Math.max(overBudget, overDisk);
    if (excess <= 0) return;
    const free = [...this.#candidates().values()].filter(({ spared }) => spared === undefined);
    for (const victim of chooseVictims(free, excess)) {
      await this.#evict(victim, overBudget >= overDisk ? "budget" : "disk");
    }
  }

  async #evict(victim: Candidate, reason: "budget" | "disk" | "asked"): Promise<void> {
    const { isInUse, remove, onEvicted } = this.#options;
    // Someone may have come for it while others were removed.
    if (victim.stems.some(isInUse)) return;
    for (const stem of victim.stems) await remove(stem);
    onEvicted(victim, reason);
  }

  #candidates(): Map<string, Candidate> {
    const { index, isInUse, isPinned, isWished } = this.#options;
    const tracks = new Map<string, Candidate>();
    for (const { stem, track, bytes, playedAt } of index.usage()) {
      const known = tracks.get(track);
      const [source = "", id = ""] = known === undefined ? (JSON.parse(track) as string[]) : [known.source, known.id];
      const key = { source, id };
      const spared = isInUse(stem) ? "in use" : (known?.spared ?? (isPinned(key) ? "pinned" : undefined));
      tracks.set(track, {
        ...key,
        key: track,
        stems: [...(known?.stems ?? []), stem],
        bytes: bytes + (known?.bytes ?? 0),
        playedAt: Math.max(playedAt, known?.playedAt ?? 0),
        wished: known?.wished ?? isWished(key),
        ...(spared === undefined ? {} : { spared }),
      });
    }
    return tracks;
  }

  /** Bytes that the disk's free space is short of its minimum. */
  async #lacksOnDisk(): Promise<number> {
    const { root } = this.#options;
    if (root === undefined) return 0;
    try {
      const { bsize, blocks, bavail } = await statfs(root);
      return Math.min(MIN_FREE_MAX, MIN_FREE_SHARE * blocks * bsize) - bavail * bsize;
    } catch {
      // A file system that does not tell, or a folder that is gone: the budget alone counts.
      return 0;
    }
  }
}
