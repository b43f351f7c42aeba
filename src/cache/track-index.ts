import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
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
}

const FLUSH_MS = 200;
/** Lines of the log beyond twice what its entries need, before it is written anew. */
const SLACK = 1000;
const STEM = /^[0-9a-f]{32}$/;

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
  readonly #entries = new Map<string, IndexEntry>();
  readonly #tracks = new Map<string, readonly string[]>();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;

  /** `onError` is told when the log cannot be read, or cannot be written any more. */
  constructor(path: string, onError: (error: unknown) => void) {
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
    const lines = await this.#log.load().catch((error: unknown) => {
      this.#onError(error);
      return [];
    });
    for (const line of lines) {
      // A copy: what is cut from a line keeps the whole line in memory.
      const stem = Buffer.from(line.slice(1, 33)).toString();
      if (!STEM.test(stem)) continue;
      if (line === `-${stem}`) this.#forget(stem);
      const entry = line.startsWith("+") ? entryOf(line.slice(34)) : undefined;
      if (entry !== undefined) this.#remember(stem, entry);
    }
  }

  /** The lines that the log needs. */
  get lineCount(): number {
    return this.#entries.size;
  }

  *lines(): Generator<string> {
    for (const [stem, entry] of this.#entries) yield recordOf(stem, entry);
  }

  get(stem: string): IndexEntry | undefined {
    return this.#entries.get(stem);
  }

  entries(): IterableIterator<[string, IndexEntry]> {
    return this.#entries.entries();
  }

  /** The stored variants of a track: [stem, entry]. */
  ofTrack(key: TrackKey): [string, IndexEntry][] {
    const stems = this.#tracks.get(trackKey(key)) ?? [];
    return stems.flatMap((stem) => {
      const entry = this.#entries.get(stem);
      return entry === undefined ? [] : [[stem, entry] as [string, IndexEntry]];
    });
  }

  put(stem: string, entry: IndexEntry): void {
    this.#remember(stem, entry);
    this.#append(recordOf(stem, entry));
  }

  /** Replaces an entry in memory only: what changes often is logged when it has settled. */
  note(stem: string, entry: IndexEntry): void {
    if (this.#entries.has(stem)) this.#remember(stem, entry);
  }

  remove(stem: string): void {
    if (!this.#forget(stem)) return;
    this.#append(`-${stem}`);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
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

  #remember(stem: string, entry: IndexEntry): void {
    const known = this.#entries.get(stem);
    this.#bytes += entry.bytes - (known?.bytes ?? 0);
    this.#entries.set(stem, entry);
    if (known !== undefined) return;
    const key = trackKey(entry);
    this.#tracks.set(key, [...(this.#tracks.get(key) ?? []), stem]);
  }

  #forget(stem: string): boolean {
    const known = this.#entries.get(stem);
    if (known === undefined) return false;
    this.#bytes -= known.bytes;
    this.#entries.delete(stem);
    const key = trackKey(known);
    const others = (this.#tracks.get(key) ?? []).filter((other) => other !== stem);
    if (others.length > 0) this.#tracks.set(key, others);
    else this.#tracks.delete(key);
    return true;
  }

  #append(line: string): void {
    this.#log.append(line);
    this.#timer ??= setTimeout(() => void this.flush().catch((error: unknown) => this.#fail(error)), FLUSH_MS).unref();
  }

  #fail(error: unknown): void {
    if (!this.#failing) this.#onError(error);
    this.#failing = true;
  }
}

function recordOf(stem: string, entry: IndexEntry): string {
  return `+${stem} ${JSON.stringify(entry)}`;
}

/** The entry that `json` describes; undefined if it is none, whoever wrote it. */
function entryOf(json: string): IndexEntry | undefined {
  try {
    const entry: unknown = JSON.parse(json);
    if (!isEntry(entry)) return undefined;
    const { meta, ...rest } = entry as IndexEntry;
    // Without its title a song still plays.
    return meta !== undefined && isMeta(meta) ? { ...rest, meta } : rest;
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
  bytes: isCount,
  complete: isFlag,
  playedAt: isTime,
  open: optional(isFlag),
});

const isMeta = shape({
  title: optional(isText),
  artist: optional(isText),
  album: optional(isText),
  durationMs: optional(isNumber),
  artwork: optional(isText),
  loudnessDb: optional(isNumber),
});
