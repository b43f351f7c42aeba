import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import type { ImportableFile } from "../../src/cache/import-file.ts";
import { TrackCache, type TrackCacheOptions } from "../../src/cache/track-cache.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { stemOf, variantPath } from "../../src/cache/variant-paths.ts";
import {
  CHUNK_SIZE,
  type DataSource,
  type DataSpec,
  Priority,
  type TrackKey,
} from "../../src/data-source/data-source.ts";
import type { Quality } from "../../src/data-source/quality.ts";
import { emptyOpened } from "../../src/data-source/opened.ts";
import { AfterbayError } from "../../src/errors.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { du } from "../helpers/du.ts";
import { HurriedClock } from "../helpers/hurried-clock.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";

const PART = 64 * 1024;

export interface Song {
  bytes: Buffer;
  variant: string;
}

export interface Play {
  readonly start?: number;
  readonly end?: number;
  readonly level?: Priority;
  readonly quality?: Quality;
  readonly signal?: AbortSignal;
  /** Waited for before each further chunk is pulled. */
  readonly pace?: () => Promise<unknown>;
}

/** A TrackCache on disk, before an upstream in memory, with a clock that can be hurried. */
export class CacheWorld {
  readonly clock = new HurriedClock();
  readonly songs = new Map<string, Song>();
  readonly changes: string[] = [];
  readonly log: { readonly level: string; readonly fields: object; readonly message: string }[] = [];
  readonly pinned = new Set<string>();
  readonly wished = new Set<string>();
  readonly dir: TmpDir;
  cache: TrackCache;
  index: TrackIndex;
  /** Bytes that the upstream sent. */
  sent = 0;
  readonly #options: Partial<TrackCacheOptions>;
  /** Bytes, by the song and its version, or by the version alone. */
  readonly #versions = new Map<string, Buffer>();

  private constructor(dir: TmpDir, options: Partial<TrackCacheOptions>) {
    this.dir = dir;
    this.#options = options;
    ({ cache: this.cache, index: this.index } = this.#create(options));
  }

  static async start(options: Partial<TrackCacheOptions> = {}): Promise<CacheWorld> {
    const world = new CacheWorld(await tmpDir(), options);
    await world.cache.load();
    return world;
  }

  async restart(
    options: Partial<TrackCacheOptions> = {},
    between: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.cache.close();
    await between();
    ({ cache: this.cache, index: this.index } = this.#create({ ...this.#options, ...options }));
    await this.cache.load();
  }

  async close(): Promise<void> {
    await this.cache.close();
    await this.dir.remove();
  }

  song(id: string, size: number, variant = "1"): Song {
    const song = { bytes: contentOf(`${id} ${variant}`, size), variant };
    this.songs.set(id, song);
    this.#versions.set(`${id} ${variant}`, song.bytes);
    return song;
  }

  /** Reads [start, end) as a player does, or whoever `level` says, and compares. */
  async play(
    id: string,
    { start = 0, end, level = Priority.playback, quality, signal, pace }: Play = {},
  ): Promise<void> {
    const stop = signal ?? new AbortController().signal;
    const track = await this.cache.enter({
      ...keyOf(id),
      position: start,
      level,
      signal: stop,
      ...optional({ quality }),
    });
    try {
      const { variant } = track;
      const name = quality === undefined ? id : `${id} ${quality}`;
      const bytes = this.#versions.get(variant.publicName) ?? this.#versions.get(`${name} ${variant.publicName}`);
      if (bytes === undefined) throw new Error(`${name} has no version ${variant.publicName}`);
      const parts: Uint8Array[] = [];
      for await (const part of track.read(start, end ?? bytes.length)) {
        parts.push(Buffer.from(part));
        await pace?.();
      }
      if (!stop.aborted) assertBytes(Buffer.concat(parts), bytes.subarray(start, end));
    } finally {
      track.close();
    }
  }

  /** Takes a song of `size` bytes into the cache as a file. */
  async import(id: string, size: number, fails = false): Promise<void> {
    const bytes = contentOf(`${id} ${size}`, size);
    const file: ImportableFile = {
      size,
      contentType: "audio/flac",
      async *chunks() {
        for (let at = 0; at < size; at += CHUNK_SIZE) yield bytes.subarray(at, at + CHUNK_SIZE);
        if (fails) throw new AfterbayError("bad-request", "The file changed while it was read");
      },
      async close() {},
    };
    await this.cache.importTrack(keyOf(id), file);
    this.#versions.set(this.cache.find(keyOf(id))?.variant ?? "", bytes);
  }

  /** What is stored, in the order of the ids. */
  get ids(): string[] {
    return [...this.cache.keys()]
      .filter((key) => (this.cache.find(key)?.bytes ?? 0) > 0)
      .map(({ id }) => id)
      .toSorted();
  }

  /** The path of a stored song's files, without ending. */
  pathOf(id: string): string {
    const stored = this.cache.find(keyOf(id));
    if (stored === undefined) throw new Error(`${id} is not stored`);
    return variantPath(this.dir.path, stemOf(stored));
  }

  /** Waits until nobody reads or writes anything; then more than a minute passes. */
  async idle(): Promise<void> {
    await eventually(() => {
      this.clock.hurry(500);
      const isBusy = (key: TrackKey): boolean => {
        const stored = this.cache.find(key);
        return stored !== undefined && this.cache.liveVariant(stored)?.busy === true;
      };
      expect([...this.cache.keys()].filter(isBusy)).toEqual([]);
    });
    for (const ms of [3000, 61_000, 3000]) {
      await delay(5);
      this.clock.hurry(ms);
    }
  }

  /** Once nothing is written any more: the accounting is what `du` says, and within the budget. */
  async agree(): Promise<void> {
    await this.idle();
    const { budget } = this.cache;
    await eventually(async () => {
      // What ended late has its time, too.
      this.clock.hurry(3000);
      const told = await this.cache.measureDisk();
      const { bytes, files } = await du(this.dir.path);
      expect(Math.abs(told - bytes), `accounted ${told}, on disk ${bytes}`).toBeLessThanOrEqual(4096 * files);
      expect(bytes).toBeLessThanOrEqual(budget);
    });
  }

  #create(options: Partial<TrackCacheOptions>): { cache: TrackCache; index: TrackIndex } {
    const { clock, dir } = this;
    const write =
      (level: string) =>
      (fields: object, message: string): void => {
        this.log.push({ level, fields, message });
      };
    const index = new TrackIndex(join(dir.path, "index.log"), write("index") as never, clock);
    const cache = new TrackCache({
      store: new FileChunkStore(dir.path, clock),
      index,
      upstream: this.#upstream(),
      clock,
      log: { info: write("info"), warn: write("warn") },
      budget: 1024 ** 3,
      root: dir.path,
      isPinned: ({ id }) => this.pinned.has(id),
      isWished: ({ id }) => this.wished.has(id),
      onChanged: ({ id }, change) => this.changes.push(`${change} ${id}`),
      ...options,
    });
    return { cache, index };
  }

  #songOf(id: string, quality: string | undefined): Song {
    const song = this.songs.get(quality === undefined ? id : `${id} ${quality}`);
    if (song === undefined) throw new AfterbayError("not-found", "There is no such song");
    return song;
  }

  #upstream(): DataSource {
    return {
      open: async (spec: DataSpec, { signal }) => {
        const { bytes, variant } = this.#songOf(spec.id, spec.quality);
        if (spec.expect?.variant !== undefined && spec.expect.variant !== variant) {
          throw new AfterbayError("variant-changed", "The upstream has other bytes now");
        }
        const onSent = (count: number): void => {
          this.sent += count;
        };
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let at = spec.position; at < bytes.length; ) {
            const end = Math.min((Math.floor(at / CHUNK_SIZE) + 1) * CHUNK_SIZE, bytes.length, spec.end ?? Infinity);
            const admission = await spec.admit?.({ start: at, end }, signal);
            const stop = (): number => Math.min(end, admission?.end ?? end);
            if (stop() <= at) return;
            for (; at < stop(); at += PART - (at % PART)) {
              signal.throwIfAborted();
              const part = bytes.subarray(at, Math.min(stop(), at + PART - (at % PART)));
              onSent(part.length);
              spec.need.progress();
              yield part;
            }
          }
        }
        const validator = { origin: "memory", etag: `"${variant}"` };
        const about = { size: bytes.length, variant, validator, contentType: "audio/flac" };
        return { ...emptyOpened(spec.position), ...about, body: body() };
      },
    };
  }
}

export function keyOf(id: string): TrackKey {
  return { source: "s", id };
}

/** Bytes that no file system can compress, the same for the same name. */
function contentOf(name: string, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const block = createHash("sha512").update(name).digest();
  for (let at = 0; at < size; at += block.length) {
    block.copy(bytes, at);
    bytes.writeUInt32LE(at >>> 0, Math.min(at, Math.max(0, size - 4)));
  }
  return bytes;
}

function optional<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
