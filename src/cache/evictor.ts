import { statfs } from "node:fs/promises";
import type { Clock } from "../data-source/clock.ts";
import { type Candidate, Candidates, type CandidatesOptions, type Spared } from "./candidates.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import type { DiskUsage } from "./disk-usage.ts";
import { chooseVictims } from "./eviction.ts";

const GiB = 1024 ** 3;
const MiB = 1024 ** 2;
/** Free space that is left to others: this share of the disk, at most this many bytes. */
const MIN_FREE_SHARE = 0.05;
const MIN_FREE_MAX = 1 * GiB;
/** Left of the budget for what the logs grow by until they are looked at again, bytes. */
const RESERVE = 16 * 1024;
/** What is made free when the disk refuses a write although it seems to have space: quotas, inodes. Bytes. */
const REFUSED_ROOM = 1 * MiB;
/** What bytes need besides their own blocks, at most: for maps, folders, logs. Bytes. */
const MARGIN = 64 * 1024;
/** How often the disk's free space is looked at while bytes are stored, ms. */
const DISK_CHECK_MS = 5000;
/** When nothing could go, storing more does not make it look again for this long, ms. */
const REST_MS = 5000;
/** The order of eviction is kept for this long (ms), and this many candidates: to find it, all tracks are looked at. */
const ORDER_MS = 60_000;
const ORDER_LENGTH = 1000;
/** Tracks that are deleted at the same time. */
const AT_ONCE = 8;
/** So many variants could not be deleted that the others cannot either. */
const MAX_STUCK = 100;

/** To keep to the budget, since the disk is nearly full, or because someone asked. */
export type EvictionReason = "budget" | "disk" | "asked";

/** What goes, and what would if it could. Bytes are those on disk. */
export interface EvictionReport {
  readonly before: number;
  readonly after: number;
  readonly victims: readonly (TrackKey & { readonly bytes: number; readonly playedAt: number })[];
  readonly spared: readonly (TrackKey & { readonly why: Spared })[];
}

/** What went. */
export interface Evicted extends TrackKey {
  /** Bytes on disk. */
  readonly bytes: number;
  /** Only a variant that was of no use any more. */
  readonly parked: boolean;
}

export interface EvictorOptions extends CandidatesOptions {
  readonly clock: Clock;
  readonly usage: DiskUsage;
  /** The folder whose disk must not fill up; absent: only the budget counts. */
  readonly root?: string;
  /** Bytes on disk. */
  readonly budget: number;
  /** Answers false if it could not be deleted. */
  readonly remove: (stem: string) => Promise<boolean>;
  readonly onEvicted: (victim: Evicted, reason: EvictionReason) => void;
}

const EVICTED = {
  budget: "Evicted the track that was played longest ago, to keep to the budget",
  disk: "Evicted the track that was played longest ago, since the disk is nearly full",
  asked: "Evicted a track, as asked",
} as const;
const PARKED = "Evicted a version of a track that is not played any more";

/** What the log says of an eviction. */
export function messageOf(parked: boolean, reason: EvictionReason): string {
  return parked ? PARKED : EVICTED[reason];
}

/** Keeps what is stored within the budget, and the disk from filling up. Tracks in use or pinned stay. */
export class Evictor {
  readonly #options: EvictorOptions;
  readonly #candidates: Candidates;
  #budget: number;
  /** The next to go, the first of them last. */
  #order: Candidate[] = [];
  #orderedAt = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #again = false;
  #refused = false;
  #diskCheckedAt = Number.NEGATIVE_INFINITY;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#candidates = new Candidates(options);
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

  /** Bytes were stored: evicts in the background if the budget is exceeded, or it is time to look at the disk. */
  onStored(): void {
    const now = this.#options.clock.now();
    const over = this.#over > 0 && now >= this.#restsUntil;
    if (over || now - this.#diskCheckedAt >= DISK_CHECK_MS) this.check();
  }

  /** The disk refused a write. */
  onRefused(): void {
    this.#refused = true;
    this.check();
  }

  /** Evicts in the background what is too much. */
  check(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Other tracks were found than were known. */
  reorder(): void {
    this.#orderedAt = Number.NEGATIVE_INFINITY;
    this.check();
  }

  /** Evicts no more; settles when what was begun has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** True if `bytes` more can be stored by giving up only tracks that nobody wishes for (all but pinned, if `forced`). */
  hasRoom(bytes: number, forced: boolean): boolean {
    let room = this.#budget - this.#options.usage.bytes - MARGIN;
    if (room >= bytes) return true;
    for (const { disk, spared, wished = false } of this.#candidates.all()) {
      if (spared !== undefined || (wished && !forced)) continue;
      room += disk;
      if (room >= bytes) return true;
    }
    return false;
  }

  /** Evicts down to `to` bytes, or says what would go. */
  async evictTo(to: number, { dryRun }: { dryRun: boolean }): Promise<EvictionReport> {
    const { usage } = this.#options;
    const before = await usage.look();
    const all: Candidate[] = [];
    const slice = new TimeSlice();
    for (const candidate of this.#candidates.all()) {
      all.push(candidate);
      if (slice.isOver) await slice.pause();
    }
    const free = all.filter(({ spared }) => spared === undefined);
    const victims: Candidate[] = [];
    for (const victim of chooseVictims(free, before - to)) {
      if (dryRun || (await this.#evict(victim, "asked"))) victims.push(victim);
    }
    const freed = victims.reduce((sum, { disk }) => sum + disk, 0);
    return {
      before,
      after: dryRun ? before - freed : await usage.look(),
      victims: victims.map(({ source, id, disk, playedAt }) => ({ source, id, bytes: disk, playedAt })),
      spared: all.flatMap(({ source, id, spared }) => (spared === undefined ? [] : [{ source, id, why: spared }])),
    };
  }

  /** Bytes that are too many. */
  get #over(): number {
    return this.#options.usage.bytes + RESERVE - this.#budget;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      await this.#pass();
    }
  }

  async #pass(): Promise<void> {
    const { clock, usage } = this.#options;
    await usage.look();
    let lacking = await this.#lacksOnDisk();
    const stuck = new Set<string>();
    const used: Candidate[] = [];
    const going = new Set<Promise<void>>();
    while (!this.#closed && stuck.size < MAX_STUCK) {
      const over = this.#over;
      const victim = over > 0 || lacking > 0 ? this.#next(stuck, used) : undefined;
      if (victim === undefined) {
        if (going.size === 0) break;
        // What cannot be deleted counts again.
        await Promise.all(going);
        continue;
      }
      lacking -= victim.disk;
      const evicted = this.#evict(victim, over > 0 ? "budget" : "disk").then((gone) => {
        going.delete(evicted);
        if (gone) return;
        lacking += victim.disk;
        for (const stem of victim.stems) stuck.add(stem);
      });
      going.add(evicted);
      if (going.size >= AT_ONCE) await Promise.race(going);
    }
    await Promise.all(going);
    if (this.#over > 0 || lacking > 0) this.#restsUntil = clock.now() + REST_MS;
    this.#order.push(...used.toReversed());
  }

  /** The next that may go. Those that are in use are put aside in `used`. */
  #next(stuck: ReadonlySet<string>, used: Candidate[]): Candidate | undefined {
    for (;;) {
      const next = this.#order.pop();
      if (next === undefined || this.#options.clock.now() - this.#orderedAt >= ORDER_MS) {
        this.#order = this.#candidates.next(ORDER_LENGTH, stuck).toReversed();
        this.#orderedAt = this.#options.clock.now();
        if (this.#order.length === 0) return undefined;
        used.length = 0;
        continue;
      }
      const now = this.#candidates.again(next);
      if (now?.spared === "in use") used.push(next);
      const same = now?.playedAt === next.playedAt && now.wished === next.wished;
      if (same && now.spared === undefined && !now.stems.some((stem) => stuck.has(stem))) return now;
    }
  }

  /** False if it stays after all. */
  async #evict({ source, id, stems, disk, parked = false }: Candidate, reason: EvictionReason): Promise<boolean> {
    const { isInUse, remove, onEvicted } = this.#options;
    // Someone may have come for it while others were removed.
    if (stems.some(isInUse)) return false;
    const removed = await Promise.all(stems.map(remove));
    if (removed.includes(true)) onEvicted({ source, id, bytes: disk, parked }, reason);
    return !removed.includes(false);
  }

  /** Bytes that the disk's free space is short of its minimum. */
  async #lacksOnDisk(): Promise<number> {
    const { root, clock } = this.#options;
    const atLeast = this.#refused ? REFUSED_ROOM : Number.NEGATIVE_INFINITY;
    this.#refused = false;
    this.#diskCheckedAt = clock.now();
    if (root === undefined) return atLeast;
    try {
      const { bsize, blocks, bavail } = await statfs(root);
      return Math.max(atLeast, Math.min(MIN_FREE_MAX, MIN_FREE_SHARE * blocks * bsize) - bavail * bsize);
    } catch {
      // A file system that does not tell, or a folder that is gone: the budget alone counts.
      return atLeast;
    }
  }
}
