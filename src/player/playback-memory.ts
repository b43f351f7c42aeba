import { join } from "node:path";
import { type Clock, systemClock } from "../data-source/clock.ts";
import type { DailyBudget, SavedBudget } from "./daily-budget.ts";
import type { Playback, Remembered } from "./playback.ts";
import type { PlaybackState } from "./playback-state.ts";
import { Queue } from "./queue.ts";
import { SavedFile } from "./saved-file.ts";

/** Of both files. */
const FORMAT = 1;
/** What changed is written this soon, ms. */
const SOON_MS = 250;
/** Where a track plays is written this often, ms. */
const POSITION_EVERY_MS = 5000;
/** Longer than any track, ms. */
const MAX_POSITION_MS = 1000 * 3600 * 1000;

export interface MemoryOptions {
  /** Two files are kept here: `queue.json`, which may be large, and `now.json`, which changes all the time. */
  readonly directory: string;
  /** Told of a file that cannot be written. It is tried again at the next change. */
  readonly onError?: (error: unknown) => void;
  readonly clock?: Clock;
}

interface Now {
  /** The entry that the position is of. */
  readonly entry: number | undefined;
  readonly positionMs: number;
  readonly volume: number;
  readonly normalize: boolean;
  readonly budget: SavedBudget | undefined;
}

/** Remembers a playback on disk, so that its queue, position, modes and volume survive a crash. */
export class PlaybackMemory {
  /** How the last playback left off; undefined if there was none, or nothing of it could be read. */
  readonly remembered: Remembered | undefined;
  /** What was spent on looking ahead. */
  readonly budget: SavedBudget | undefined;
  readonly #queueFile: SavedFile;
  readonly #nowFile: SavedFile;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #source: { readonly playback: Playback; readonly budget: DailyBudget | undefined } | undefined;
  #unlisten: () => void = () => {};
  #written: { queue: Queue | undefined; state: PlaybackState | undefined } = { queue: undefined, state: undefined };
  #timer: { readonly at: number; readonly cancel: () => void } | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(files: readonly [SavedFile, SavedFile], options: MemoryOptions, read: readonly unknown[]) {
    [this.#queueFile, this.#nowFile] = files;
    this.#clock = options.clock ?? systemClock;
    this.#onError = options.onError ?? (() => {});
    const [queue, now] = read as readonly [Queue | undefined, Now | undefined];
    this.budget = now?.budget;
    if (queue === undefined && now === undefined) return;
    const { positionMs = 0, volume = 100, normalize = true, entry } = now ?? {};
    const { current } = queue ?? {};
    this.remembered = {
      queue: queue ?? Queue.empty,
      // The files are written one after the other: a position may be that of another track.
      positionMs: current !== undefined && current.entry === entry ? positionMs : 0,
      volume,
      normalize,
    };
  }

  /** Reads what was remembered. Never rejects: what cannot be read is put aside. */
  static async open(options: MemoryOptions): Promise<PlaybackMemory> {
    const files = ["queue.json", "now.json"].map((name) => new SavedFile(join(options.directory, name), FORMAT));
    const [queueFile, nowFile] = files as [SavedFile, SavedFile];
    const queue = await queueFile.read(({ queue: value }) => Queue.fromJSON(value));
    const now = await nowFile.read(parseNow);
    return new PlaybackMemory([queueFile, nowFile], options, [queue, now]);
  }

  /** Writes down from now on what becomes of a playback, and of a budget if there is one. */
  follow(playback: Playback, budget?: DailyBudget): void {
    this.#source = { playback, budget };
    this.#written = { queue: this.remembered?.queue, state: undefined };
    this.#unlisten = playback.listen((event) => {
      if (event.type === "state") this.#look(event.state);
    });
    this.#look(playback.state);
  }

  /** Writes what is not written yet. The playback may be closed by then. */
  async close(): Promise<void> {
    this.#unlisten();
    this.#timer?.cancel();
    this.#write();
    await this.#writing;
  }

  #look(state: PlaybackState): void {
    const last = this.#written.state;
    const isSame =
      last !== undefined &&
      this.#source?.playback.queue === this.#written.queue &&
      last.volume === state.volume &&
      last.normalize === state.normalize &&
      last.status === state.status;
    if (!isSame) this.#writeWithin(SOON_MS);
    else if (last.positionMs !== state.positionMs) this.#writeWithin(POSITION_EVERY_MS);
  }

  #writeWithin(ms: number): void {
    const at = this.#clock.now() + ms;
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#timer = undefined;
      this.#write();
    });
    this.#timer = { at, cancel };
  }

  /** One write after the other: both files are written by one name. */
  #write(): void {
    this.#writing = this.#writing.then(() => this.#writeNow()).catch((error: unknown) => this.#onError(error));
  }

  async #writeNow(): Promise<void> {
    if (this.#source === undefined) return;
    const { playback, budget } = this.#source;
    const { queue, state } = playback;
    if (queue !== this.#written.queue) await this.#queueFile.write({ queue: queue.toJSON() });
    this.#written.queue = queue;
    const { positionMs, volume, normalize } = state;
    const entry = queue.current?.entry;
    await this.#nowFile.write({ entry, positionMs: Math.round(positionMs), volume, normalize, budget });
    this.#written.state = state;
  }
}

function parseNow({ entry, positionMs, volume, normalize, budget }: Record<string, unknown>): Now {
  if (!isWithin(positionMs, MAX_POSITION_MS) || !isWithin(volume, 100) || typeof normalize !== "boolean") {
    throw new TypeError("Not a playback");
  }
  return {
    entry: typeof entry === "number" ? entry : undefined,
    positionMs,
    volume,
    normalize,
    budget: isBudget(budget) ? { day: budget.day, bytes: budget.bytes } : undefined,
  };
}

function isWithin(value: unknown, most: number): value is number {
  return typeof value === "number" && value >= 0 && value <= most;
}

function isBudget(value: unknown): value is SavedBudget {
  if (typeof value !== "object" || value === null) return false;
  const { day, bytes } = value as Record<string, unknown>;
  return typeof day === "string" && isWithin(bytes, Number.MAX_SAFE_INTEGER);
}
