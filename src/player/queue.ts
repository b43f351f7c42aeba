import type { TrackKey } from "../data-source/data-source.ts";
import { isSourceKey, isTrackId } from "../http/track-path.ts";
import { riffled, shuffled } from "./shuffle.ts";

export const REPEATS = ["off", "all", "one"] as const;
/** What comes after the last track: nothing, the first one, or each track again and again. */
export type Repeat = (typeof REPEATS)[number];

/** A place in the queue. One track may have several, told apart by `entry`, which is never used again. */
export interface QueueEntry extends TrackKey {
  readonly entry: number;
}

/** A queue as it is written down. */
export interface SavedQueue {
  /** `[entry, source, id]`, in play order. */
  readonly entries: readonly (readonly [number, string, string])[];
  /** The entries in the order that they have without shuffle, where that is another one. */
  readonly listed?: readonly number[];
  readonly position: number;
  readonly repeat: Repeat;
}

interface Parts {
  readonly entries: readonly QueueEntry[];
  readonly listed: readonly QueueEntry[];
  readonly position: number;
  readonly shuffle: boolean;
  readonly repeat: Repeat;
  readonly past: readonly number[];
  readonly nextEntry: number;
}

/** Entries that a queue holds; what is beyond is not taken in. */
export const MAX_ENTRIES = 100_000;
const MAX_ENTRY = 2 ** 48;
/** How far back "previous" goes behind the point where shuffle was turned on. */
const MAX_PAST = 100;

/**
 * The queue, immutable: each operation answers another one. All of them are total: an entry that is not there, an index
 * beyond the ends and an empty queue are answered with what makes sense, or with the same queue.
 *
 * `entries` are in play order, which is what a listener sees and what indexes mean. Shuffle rearranges them, and remembers
 * the order that they had; `random` (in [0, 1)) is passed to what needs chance.
 */
export class Queue {
  /** In play order. */
  readonly entries: readonly QueueEntry[];
  /** Index of the current entry; -1: none is. */
  readonly position: number;
  readonly shuffle: boolean;
  readonly repeat: Repeat;
  /** In the order without shuffle; the same array as `entries` if there is none. */
  readonly #listed: readonly QueueEntry[];
  /** The entries that were left, last one last, while there was no shuffle: then play order does not tell. */
  readonly #past: readonly number[];
  readonly #nextEntry: number;

  private constructor({ entries, listed, position, shuffle, repeat, past, nextEntry }: Parts) {
    this.entries = entries;
    this.position = position;
    this.shuffle = shuffle;
    this.repeat = repeat;
    this.#listed = listed;
    this.#past = past;
    this.#nextEntry = nextEntry;
  }

  /** One without entries. */
  static get empty(): Queue {
    const modes = { shuffle: false, repeat: "off" } as const;
    return new Queue({ ...modes, entries: [], listed: [], position: -1, past: [], nextEntry: 1 });
  }

  get current(): QueueEntry | undefined {
    return this.entries[this.position];
  }

  /** What comes by itself when the current entry has ended. */
  get after(): QueueEntry | undefined {
    return this.repeat === "one" && this.current !== undefined ? this.current : this.following;
  }

  /** What comes when a listener asks for the next one: repeating one track does not hold them. */
  get following(): QueueEntry | undefined {
    return this.entries[this.position + 1] ?? (this.repeat === "off" ? undefined : this.entries[0]);
  }

  /** The next entries in play order, at most `count`, each once and without the current one. */
  upcoming(count: number): readonly QueueEntry[] {
    const wanted = count > 0 ? count : 0;
    const ahead = this.entries.slice(this.position + 1, this.position + 1 + wanted);
    if (this.repeat === "off" || ahead.length >= wanted) return ahead;
    return [...ahead, ...this.entries.slice(0, Math.min(Math.max(0, this.position), wanted - ahead.length))];
  }

  /** At the end; with shuffle, at places by chance behind the current one. */
  add(tracks: readonly TrackKey[], random: () => number): Queue {
    const added = this.#numbered(tracks);
    if (!this.shuffle) return this.#extended([...this.entries, ...added], [...this.entries, ...added]);
    const ahead = this.position + 1;
    const entries = [
      ...this.entries.slice(0, ahead),
      ...riffled(this.entries.slice(ahead), shuffled(added, random), random),
    ];
    return this.#extended(entries, [...this.#listed, ...added]);
  }

  /** Directly behind the current one. */
  playNext(tracks: readonly TrackKey[]): Queue {
    return this.insert(this.position + 1, tracks);
  }

  /** Before what is at `index`; beyond the ends, at the end that is nearer. */
  insert(index: number, tracks: readonly TrackKey[]): Queue {
    const at = clamp(index, this.entries.length);
    const added = this.#numbered(tracks);
    const entries = this.entries.toSpliced(at, 0, ...added);
    const before = this.entries[at - 1];
    const listedAt = before === undefined ? 0 : this.#listed.indexOf(before) + 1;
    const listed = this.shuffle ? this.#listed.toSpliced(listedAt, 0, ...added) : entries;
    const position = at <= this.position ? this.position + added.length : this.position;
    return this.#extended(entries, listed, position);
  }

  /** Without these entries. If the current one goes, the one behind it is current; at the end, none (or, repeating all, the first). */
  remove(gone: Iterable<number>): Queue {
    const doomed = new Set(gone);
    const stays = ({ entry }: QueueEntry): boolean => !doomed.has(entry);
    const entries = this.entries.filter(stays);
    if (entries.length === this.entries.length) return this;
    const ahead = this.entries.slice(0, Math.max(0, this.position)).filter(stays).length;
    const position = this.position < 0 ? -1 : ahead < entries.length ? ahead : this.repeat === "all" ? 0 : -1;
    const listed = this.shuffle ? this.#listed.filter(stays) : entries;
    return this.#with({ entries, listed, position: entries.length === 0 ? -1 : position });
  }

  /** The entry to `index`, counted as if it were gone from its place. Shuffled, the order without shuffle stays. */
  move(entry: number, index: number): Queue {
    const from = this.#indexOf(entry);
    const moved = this.entries[from];
    if (moved === undefined) return this;
    const rest = this.entries.toSpliced(from, 1);
    const entries = rest.toSpliced(clamp(index, rest.length), 0, moved);
    const { current } = this;
    const position = current === undefined ? -1 : entries.indexOf(current);
    return this.#with({ entries, position, listed: this.shuffle ? this.#listed : entries });
  }

  /** Nothing is left but the modes. */
  clear(): Queue {
    return this.#with({ entries: [], listed: [], position: -1, past: [] });
  }

  /** Makes an entry current. Shuffled, one that was to come comes at once, and what was before it still comes. */
  jump(entry: number): Queue {
    const index = this.#indexOf(entry);
    const target = this.entries[index];
    if (target === undefined) return this;
    const behind = this.position + 1;
    if (!this.shuffle || index <= behind) return this.#at(index);
    return this.#with({ entries: this.entries.toSpliced(index, 1).toSpliced(behind, 0, target), position: behind });
  }

  /** Goes to {@link following}, or stays. */
  next(): Queue {
    const { following } = this;
    if (following === undefined) return this;
    return this.#at(this.position + 1 < this.entries.length ? this.position + 1 : 0);
  }

  /** Goes to {@link after}, or stays. */
  advance(): Queue {
    return this.repeat === "one" && this.current !== undefined ? this : this.next();
  }

  /** The entry before; shuffled, what was played before, also what was before the shuffle. */
  previous(): Queue {
    if (this.position > 0) return this.#at(this.position - 1);
    const back = this.shuffle && this.position === 0 ? this.#back() : undefined;
    if (back !== undefined) return back;
    return this.repeat === "off" || this.position < 0 ? this : this.#at(this.entries.length - 1);
  }

  /** Turned on, the current entry is the first and all others follow by chance; turned off, all are where they were. */
  withShuffle(shuffle: boolean, random: () => number): Queue {
    if (shuffle === this.shuffle) return this;
    const { current } = this;
    if (!shuffle) {
      const past = this.entries.slice(0, Math.max(0, this.position)).map(({ entry }) => entry);
      const position = current === undefined ? -1 : this.#listed.indexOf(current);
      return this.#with({ shuffle, entries: this.#listed, position, past: past.slice(-MAX_PAST) });
    }
    const others = shuffled(
      this.entries.filter((one) => one !== current),
      random,
    );
    const entries = current === undefined ? others : [current, ...others];
    return this.#with({ shuffle, entries, position: current === undefined ? -1 : 0 });
  }

  withRepeat(repeat: Repeat): Queue {
    return this.#with({ repeat });
  }

  toJSON(): SavedQueue {
    return {
      entries: this.entries.map(({ entry, source, id }) => [entry, source, id] as const),
      ...(this.shuffle ? { listed: this.#listed.map(({ entry }) => entry) } : {}),
      position: this.position,
      repeat: this.repeat,
    };
  }

  /** Reads what {@link toJSON} wrote. Throws a TypeError for anything else: the file may have been written by anyone. */
  static fromJSON(value: unknown): Queue {
    const { entries: raw, listed: order, position, repeat } = fieldsOf(value);
    if (!Array.isArray(raw) || raw.length > MAX_ENTRIES) throw new TypeError("Not a list of entries");
    const entries = raw.map(entryOf);
    const byEntry = new Map(entries.map((one) => [one.entry, one]));
    if (byEntry.size < entries.length) throw new TypeError("Two entries have one number");
    const known = REPEATS.find((one) => one === repeat);
    if (known === undefined) throw new TypeError("No such way to repeat");
    if (!isIndex(position) || position < -1 || position >= entries.length) throw new TypeError("No such position");
    const shuffle = order !== undefined;
    const listed = shuffle ? permuted(order, byEntry) : entries;
    const nextEntry = entries.reduce((highest, { entry }) => Math.max(highest, entry), 0) + 1;
    return new Queue({ entries, listed, position, shuffle, repeat: known, past: [], nextEntry });
  }

  #with(changes: Partial<Parts>): Queue {
    return new Queue({
      entries: this.entries,
      listed: this.#listed,
      position: this.position,
      shuffle: this.shuffle,
      repeat: this.repeat,
      past: this.#past,
      nextEntry: this.#nextEntry,
      ...changes,
    });
  }

  #extended(entries: readonly QueueEntry[], listed: readonly QueueEntry[], position = this.position): Queue {
    const nextEntry = this.#nextEntry + entries.length - this.entries.length;
    return this.#with({ entries, position, nextEntry, listed: this.shuffle ? listed : entries });
  }

  #numbered(tracks: readonly TrackKey[]): QueueEntry[] {
    const room = MAX_ENTRIES - this.entries.length;
    return tracks.slice(0, room).map(({ source, id }, index) => ({ entry: this.#nextEntry + index, source, id }));
  }

  #at(position: number): Queue {
    const left = this.current;
    if (this.shuffle || left === undefined || position === this.position) return this.#with({ position });
    return this.#with({ position, past: [...this.#past.slice(1 - MAX_PAST), left.entry] });
  }

  /** Takes the last of the past out of what is to come, to before all of it. */
  #back(): Queue | undefined {
    const at = this.#past.findLastIndex((entry) => entry !== this.current?.entry && this.#indexOf(entry) !== -1);
    const entry = this.#past[at];
    const target = entry === undefined ? undefined : this.entries[this.#indexOf(entry)];
    if (target === undefined) return undefined;
    const entries = [target, ...this.entries.filter((one) => one !== target)];
    return this.#with({ entries, position: 0, past: this.#past.slice(0, at) });
  }

  #indexOf(entry: number): number {
    return this.entries.findIndex((one) => one.entry === entry);
  }
}

function clamp(index: number, length: number): number {
  return Number.isNaN(index) ? length : Math.min(Math.max(Math.trunc(index), 0), length);
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new TypeError("Not a queue");
  return value as Record<string, unknown>;
}

function entryOf(value: unknown): QueueEntry {
  const [entry, source, id] = Array.isArray(value) ? (value as unknown[]) : [];
  const valid =
    isIndex(entry) && entry > 0 && entry < MAX_ENTRY && typeof source === "string" && typeof id === "string";
  if (!valid || !isSourceKey(source) || !isTrackId(id)) throw new TypeError("Not an entry");
  return { entry, source, id };
}

function permuted(order: unknown, byEntry: ReadonlyMap<number, QueueEntry>): QueueEntry[] {
  if (!Array.isArray(order) || order.length !== byEntry.size || new Set(order).size !== order.length) {
    throw new TypeError("Not an order of the entries");
  }
  return order.map((number: unknown) => {
    const found = isIndex(number) ? byEntry.get(number) : undefined;
    if (found === undefined) throw new TypeError("Not an order of the entries");
    return found;
  });
}
