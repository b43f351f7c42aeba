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

/** The key of a track in maps: ids may hold anything but control characters. */
export function trackKey({ source, id }: TrackKey): string {
  return `${source}\n${id}`;
}

/**
 * All stored variants, in memory and in an append log (`index.log`), whose last line for a variant counts. What the log
 * loses costs display and order of eviction, never a byte: the maps say which bytes there are.
 */
export class TrackIndex {
  readonly #log: LineLog;
  readonly #onError: (error: unknown) => void;
  readonly #entries = new Map<string, IndexEntry>();
  readonly #tracks = new Map<string, readonly string[]>();
  #lines = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, onError: (error: unknown) => void) {
    this.#log = new LineLog(path);
    this.#onError = onError;
  }

  /** Bytes on disk, of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  async load(): Promise<void> {
    for (const line of await this.#log.load()) {
      this.#lines += 1;
      const stem = line.slice(1, 33);
      if (line.startsWith("-")) this.#forget(stem);
      else if (line.startsWith("+")) this.#remember(stem, JSON.parse(line.slice(34)) as IndexEntry);
    }
    if (this.#lines > 2 * this.#entries.size + 1000) await this.#compact();
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
    this.#append(`+${stem} ${JSON.stringify(entry)}`);
  }

  /** Corrects the bytes of an entry in memory only. */
  count(stem: string, bytes: number): void {
    const entry = this.#entries.get(stem);
    if (entry !== undefined && entry.bytes !== bytes) this.#remember(stem, { ...entry, bytes });
  }

  remove(stem: string): void {
    if (!this.#forget(stem)) return;
    this.#append(`-${stem}`);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#log.flush();
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
    this.#lines += 1;
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.flush().catch(this.#onError), FLUSH_MS);
    this.#timer.unref();
  }

  async #compact(): Promise<void> {
    await this.#log.rewrite(
      (function* (entries) {
        for (const [stem, entry] of entries) yield `+${stem} ${JSON.stringify(entry)}`;
      })(this.#entries),
    );
    this.#lines = this.#entries.size;
  }
}
