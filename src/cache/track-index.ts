import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { LineLog } from "./line-log.ts";
import type { VariantFacts } from "./live-variant.ts";

/** What a track is called, for display. */
export interface TrackMeta {
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
}

/** One stored variant. */
export interface IndexEntry extends TrackKey {
  readonly variant: string;
  /** The qualities for which it is the current variant; "" where none was asked for. */
  readonly qualities: readonly string[];
  readonly facts: VariantFacts;
  readonly meta?: TrackMeta;
  /** Bytes on disk. */
  readonly bytes: number;
  readonly complete: boolean;
  /** Epoch ms of the last reading. */
  readonly playedAt: number;
  /** True while it is being written: after a crash, its map knows better. */
  readonly open?: boolean;
  /** To be deleted when nobody uses it, or at the next start; always {@link open}. */
  readonly doomed?: boolean;
}

/** What a stored variant takes. */
export interface Usage {
  readonly stem: string;
  /** The same for all variants of a track. */
  readonly track: string;
  readonly bytes: number;
  readonly playedAt: number;
  readonly open: boolean;
}

const FLUSH_MS = 200;
/** What could not be written is tried again after this long, ms. */
const RETRY_MS = 5000;
/** Lines of the log beyond twice what its entries need, before it is written anew. */
const SLACK = 1000;
const STEM = /^[0-9a-f]{32}$/;
/** The state of an entry whose variant is being written. */
const OPEN = "open";
const TAB = 0x09;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;

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

  /** Bytes on disk, of all entries. */
  get bytes(): number {
    return this.#bytes;
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

  /** What each entry takes, at a hundredth of the cost. `track` is the same for all variants of a track. */
  *usage(): Generator<Usage> {
    for (const [stem, { key, bytes, playedAt, open }] of this.#rows) yield { stem, track: key, bytes, playedAt, open };
  }

  /** The stored variants of a track: [stem, entry]. */
  ofTrack(key: TrackKey): [string, IndexEntry][] {
    return this.#stemsOf(keyOf(key)).flatMap((stem) => {
      const entry = this.get(stem);
      return entry === undefined ? [] : [[stem, entry] as [string, IndexEntry]];
    });
  }

  put(stem: string, entry: IndexEntry): void {
    const row = rowOf(entry);
    this.#remember(stem, row);
    this.#append(this.#lineOf(stem, row));
  }

  /** Replaces an entry in memory only: what changes often is logged when it has settled. */
  note(stem: string, entry: IndexEntry): void {
    if (this.#rows.has(stem)) this.#remember(stem, rowOf(entry));
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

  /** What is cut from a string keeps all of it in memory, so the fields are taken from the bytes, and most are left there. */
  #replay(line: Buffer): void {
    const stem = line.toString("latin1", 2, 34);
    if (!STEM.test(stem)) return;
    if (line[0] === MINUS && line.length === 34) this.#forget(stem);
    if (line[0] !== PLUS) return;
    const playedAt = line.indexOf(TAB, 35) + 1;
    const stateAt = line.indexOf(TAB, playedAt) + 1;
    const keyAt = line.indexOf(TAB, stateAt) + 1;
    const restAt = line.indexOf(TAB, keyAt) + 1;
    if (restAt <= keyAt || keyAt <= stateAt || stateAt <= playedAt) return;
    const row: Row = {
      bytes: numberAt(line, 35),
      playedAt: numberAt(line, playedAt),
      open: line[stateAt] === OPEN.charCodeAt(0),
      key: line.toString("utf8", keyAt, restAt - 1),
      restAt: line.byteOffset + restAt,
      restEnd: line.byteOffset + line.length,
      entry: undefined,
    };
    this.#text = line.buffer;
    if (isCount(row.bytes) && isTime(row.playedAt)) this.#remember(stem, row);
  }

  #remember(stem: string, row: Row): void {
    const known = this.#rows.get(stem);
    this.#bytes += row.bytes - (known?.bytes ?? 0);
    this.#rows.set(stem, row);
    if (known !== undefined) return;
    const others = this.#tracks.get(row.key);
    this.#tracks.set(row.key, others === undefined ? stem : [...[others].flat(), stem]);
  }

  #forget(stem: string): boolean {
    const known = this.#rows.get(stem);
    if (known === undefined) return false;
    this.#bytes -= known.bytes;
    this.#rows.delete(stem);
    const others = this.#stemsOf(known.key).filter((other) => other !== stem);
    if (others.length > 0) this.#tracks.set(known.key, others);
    else this.#tracks.delete(known.key);
    return true;
  }

  /** JSON has no raw tabs. */
  #lineOf(stem: string, row: Row): string {
    const state = row.open ? OPEN : "settled";
    return ["+", stem, row.bytes, row.playedAt, state, row.key, this.#restOf(row)].join("\t");
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

/** An entry in memory: as text until it is wanted, for most of 100,000 are not. */
interface Row {
  readonly bytes: number;
  readonly playedAt: number;
  readonly open: boolean;
  /** Its source and id, as JSON. */
  readonly key: string;
  /** Where the other fields are, as JSON, in the log as it was read. */
  restAt: number;
  restEnd: number;
  /** All fields, once they were written by this process. */
  readonly entry: IndexEntry | undefined;
}

/** The whole number that begins at `at` and ends with a tab; NaN if there is none. */
function numberAt(line: Buffer, at: number): number {
  let value = line[at] === TAB ? Number.NaN : 0;
  for (let digit = line[at] ?? TAB; digit !== TAB; digit = line[(at += 1)] ?? TAB) {
    value = digit >= ZERO && digit <= ZERO + 9 ? value * 10 + digit - ZERO : Number.NaN;
  }
  return value;
}

function keyOf({ source, id }: TrackKey): string {
  return JSON.stringify([source, id]);
}

function rowOf(entry: IndexEntry): Row {
  const { bytes, playedAt, open = false } = entry;
  return { bytes, playedAt: Math.max(0, Math.round(playedAt)), open, key: keyOf(entry), restAt: 0, restEnd: 0, entry };
}

/** The entry that a row describes; undefined if it is none. */
function entryOf({ bytes, playedAt, open, key }: Row, rest: string): IndexEntry | undefined {
  try {
    const [source, id] = JSON.parse(key) as unknown[];
    const { meta, ...fields } = JSON.parse(rest) as { meta?: unknown };
    const entry: unknown = { source, id, ...fields, bytes, playedAt, ...(open ? { open } : {}) };
    if (!isEntry(entry)) return undefined;
    // Without its title a song still plays.
    return { ...(entry as IndexEntry), ...(isMeta(meta) ? { meta: meta as TrackMeta } : {}) };
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => Number.isFinite(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** Of those that a Date can hold. */
const isTime: Check = (value) => isNumber(value) && Math.abs(value as number) <= 8.64e15;
const isFlag: Check = (value) => typeof value === "boolean";
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const shape =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    for (const field in fields) if (fields[field]?.((value as Record<string, unknown>)[field]) === false) return false;
    return true;
  };

const isEntry = shape({
  source: isText,
  id: isText,
  variant: isText,
  qualities: isTexts,
  facts: shape({
    upstreamName: optional(isText),
    resolverVariant: optional(isText),
    validator: optional(shape({ origin: isText, etag: optional(isText), lastModified: optional(isText) })),
    size: optional(isCount),
    contentType: optional(isText),
  }),
  complete: isFlag,
  doomed: optional(isFlag),
});

const isMeta = shape({
  title: optional(isText),
  artist: optional(isText),
  album: optional(isText),
  durationMs: optional(isNumber),
  artwork: optional(isText),
  loudnessDb: optional(isNumber),
});
