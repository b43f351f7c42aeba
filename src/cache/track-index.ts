import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import type { IndexEntry } from "./index-entry.ts";
import { entryOf, keyOf, OPEN, readRow, type Row, rowOf, UNIT, type Usage, usageOf } from "./index-row.ts";
import { LineLog } from "./line-log.ts";

const FLUSH_MS = 200;
/** What could not be written is tried again after this long, ms. */
const RETRY_MS = 5000;
/** Lines of the log beyond twice what its entries need, before it is written anew. */
const SLACK = 100;
const STEM = /^[0-9a-f]{32}$/;
const PLUS = 0x2b;
const MINUS = 0x2d;

/** The key of a track in maps: ids may hold anything but control characters. */
export function trackKey({ source, id }: TrackKey): string {
  return `${source}\n${id}`;
}

/**
 * All stored variants, in memory and in an append log (`index.log`), whose last line for a variant counts. What the log
 * loses costs display and order of eviction, never a byte: the maps say which bytes there are.
 */
export class TrackIndex {
  readonly #path: string;
  readonly #log: LineLog;
  readonly #onError: (error: unknown) => void;
  readonly #rows = new Map<string, Row>();
  /** By their key, the stem of a track's one variant, or the stems of its several. */
  readonly #tracks = new Map<string, string | readonly string[]>();
  /** The log as it was read, or what of it is needed. */
  #text: ArrayBufferLike = new ArrayBuffer(0);
  #bytes = 0;
  #units = 0;
  readonly #clock: Clock;
  /** Cancels the timer, if it runs. */
  #timer: (() => void) | undefined;
  #failing = false;

  /** `onError` is told when the log cannot be read, or cannot be written any more though the disk is not full. */
  constructor(path: string, onError: (error: unknown) => void, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#path = path;
    this.#log = new LineLog(path, this, SLACK);
    this.#onError = onError;
  }

  /** Bytes stored, of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes on disk, of all entries' files, as far as known. */
  get disk(): number {
    return this.#units * UNIT;
  }

  /** Never rejects: an index that cannot be read is empty. */
  async load(): Promise<void> {
    try {
      await this.#log.load((line) => this.#replay(line));
      this.#pack();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The lines that the log needs. */
  get lineCount(): number {
    return this.#rows.size;
  }

  *lines(): Generator<string> {
    for (const [stem, row] of this.#rows) yield this.#lineOf(stem, row);
  }

  /** True if there is an entry, readable or not. */
  has(stem: string): boolean {
    return this.#rows.has(stem);
  }

  get(stem: string): IndexEntry | undefined {
    const row = this.#rows.get(stem);
    if (row === undefined) return undefined;
    const entry = row.entry ?? entryOf(row, this.#restOf(row));
    // Whoever wrote it: it says nothing that can be used.
    if (entry === undefined) this.#forget(stem);
    return entry;
  }

  /** All entries. Reading 100,000 of them takes a second: where their usage will do, it does. */
  *entries(): Generator<[string, IndexEntry]> {
    for (const stem of this.#rows.keys()) {
      const entry = this.get(stem);
      if (entry !== undefined) yield [stem, entry];
    }
  }

  /** The keys of all tracks, as they are when the first is asked for. */
  *keys(): Generator<TrackKey> {
    for (const key of [...this.#tracks.keys()]) {
      const [source = "", id = ""] = JSON.parse(key) as string[];
      yield { source, id };
    }
  }

  /** What each entry takes, at a hundredth of the cost. */
  *usage(): Generator<Usage> {
    for (const [stem, row] of this.#rows) yield usageOf(stem, row);
  }

  /** The same, a track at a time. */
  *usageByTrack(): Generator<Usage[]> {
    for (const stems of this.#tracks.values()) yield this.#usageOf([stems].flat());
  }

  /** Of the tracks that were played longest ago, about `count`, in no order; all, if there are no more. */
  oldest(count: number): Usage[][] {
    const times = Float64Array.from(this.#tracks.values(), (stems) => this.#playedAt(stems));
    const last = times.toSorted()[Math.min(count, times.length) - 1] ?? 0;
    const oldest: Usage[][] = [];
    let at = 0;
    for (const stems of this.#tracks.values()) {
      if ((times[at] ?? 0) <= last) oldest.push(this.#usageOf([stems].flat()));
      at += 1;
    }
    return oldest;
  }

  /** The tracks of which several variants are stored. */
  *several(): Generator<Usage[]> {
    for (const stems of this.#tracks.values()) if (typeof stems !== "string") yield this.#usageOf(stems);
  }

  /** The number of tracks. */
  get trackCount(): number {
    return this.#tracks.size;
  }

  usageOf(key: TrackKey): Usage[] {
    return this.#usageOf(this.#stemsOf(keyOf(key)));
  }

  /** The stored variants of a track: [stem, entry]. */
  ofTrack(key: TrackKey): [string, IndexEntry][] {
    return this.#stemsOf(keyOf(key)).flatMap((stem) => {
      const entry = this.get(stem);
      return entry === undefined ? [] : [[stem, entry] as [string, IndexEntry]];
    });
  }

  put(stem: string, entry: IndexEntry): void {
    const row = rowOf(entry, this.#rows.get(stem));
    this.#remember(stem, row);
    this.#append(this.#lineOf(stem, row));
  }

  /** Replaces an entry in memory only: what changes often is logged when it has settled. */
  note(stem: string, entry: IndexEntry): void {
    const known = this.#rows.get(stem);
    if (known !== undefined) this.#remember(stem, rowOf(entry, known));
  }

  /** Says what an entry's files take on disk, bytes. The log does not keep it: it is looked up at each start. */
  occupy(stem: string, disk: number): void {
    const row = this.#rows.get(stem);
    if (row === undefined) return;
    const units = Math.ceil(disk / UNIT);
    this.#units += units - row.units;
    row.units = units;
  }

  remove(stem: string): void {
    if (!this.#forget(stem)) return;
    this.#append(`-\t${stem}`);
  }

  async flush(): Promise<void> {
    this.#timer?.();
    this.#timer = undefined;
    try {
      await this.#log.flush();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      // The cache directory was deleted.
      await mkdir(dirname(this.#path), { recursive: true });
      await this.#log.flush();
    }
    this.#failing = false;
  }

  #replay(line: Buffer): void {
    const stem = line.toString("latin1", 2, 34);
    if (!STEM.test(stem)) return;
    if (line[0] === MINUS && line.length === 34) this.#forget(stem);
    if (line[0] !== PLUS) return;
    const row = readRow(line);
    if (row === undefined) return;
    this.#text = line.buffer;
    this.#remember(stem, row);
  }

  #remember(stem: string, row: Row): void {
    const known = this.#rows.get(stem);
    this.#bytes += row.bytes - (known?.bytes ?? 0);
    this.#units += row.units - (known?.units ?? 0);
    this.#rows.set(stem, row);
    if (known !== undefined) return;
    const others = this.#tracks.get(row.key);
    this.#tracks.set(row.key, others === undefined ? stem : [...[others].flat(), stem]);
  }

  #forget(stem: string): boolean {
    const known = this.#rows.get(stem);
    if (known === undefined) return false;
    this.#bytes -= known.bytes;
    this.#units -= known.units;
    this.#rows.delete(stem);
    const others = this.#stemsOf(known.key).filter((other) => other !== stem);
    if (others.length > 0) this.#tracks.set(known.key, others);
    else this.#tracks.delete(known.key);
    return true;
  }

  /** JSON has no raw tabs. */
  #lineOf(stem: string, row: Row): string {
    return ["+", stem, row.bytes, row.playedAt, row.open ? OPEN : "settled", row.key, this.#restOf(row)].join("\t");
  }

  #restOf({ entry, restAt, restEnd }: Row): string {
    if (entry === undefined) return Buffer.from(this.#text, restAt, restEnd - restAt).toString();
    const { source: _source, id: _id, bytes: _bytes, playedAt: _playedAt, open: _open, ...rest } = entry;
    return JSON.stringify(rest);
  }

  /** Lets go of what was read and is not needed, if that is much. */
  #pack(): void {
    let needed = 0;
    for (const row of this.#rows.values()) needed += row.restEnd - row.restAt;
    if (this.#text.byteLength < 1.5 * needed) return;
    const from = Buffer.from(this.#text);
    const packed = Buffer.allocUnsafeSlow(needed);
    let at = 0;
    for (const row of this.#rows.values()) {
      from.copy(packed, at, row.restAt, row.restEnd);
      const length = row.restEnd - row.restAt;
      row.restAt = at;
      at += length;
      row.restEnd = at;
    }
    this.#text = packed.buffer;
  }

  #playedAt(stems: string | readonly string[]): number {
    if (typeof stems === "string") return this.#rows.get(stems)?.playedAt ?? 0;
    return Math.max(...stems.map((stem) => this.#rows.get(stem)?.playedAt ?? 0));
  }

  #usageOf(stems: readonly string[]): Usage[] {
    return stems.flatMap((stem) => {
      const row = this.#rows.get(stem);
      return row === undefined ? [] : [usageOf(stem, row)];
    });
  }

  #stemsOf(key: string): readonly string[] {
    const stems = this.#tracks.get(key) ?? [];
    return typeof stems === "string" ? [stems] : stems;
  }

  #append(line: string): void {
    this.#log.append(line);
    this.#flushAfter(FLUSH_MS);
  }

  #flushAfter(ms: number): void {
    this.#timer ??= this.#clock.after(ms, () => {
      this.flush().catch((error: unknown) => {
        this.#fail(error);
        this.#flushAfter(RETRY_MS);
      });
    });
  }

  #fail(error: unknown): void {
    // Of a full disk, whoever stores the bytes tells.
    const known = this.#failing || (error as NodeJS.ErrnoException).code === "ENOSPC";
    if (!known) this.#onError(error);
    this.#failing = true;
  }
}
