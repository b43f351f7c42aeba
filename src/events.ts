import type { TrackChange } from "./cache/track-cache.ts";
import { CHUNK_SIZE } from "./data-source/data-source.ts";
import type { ServedReading, ServedTrack } from "./http/stream.ts";
import { trackKey } from "./http/track-path.ts";
import type { SessionChange } from "./sessions/flight-recorder.ts";
import type { Playback } from "./sessions/playback.ts";
import type { Outcome, RequestLog, ServedBytes } from "./sessions/request-log.ts";

/** A player got bytes of a chunk, or a prefetch brought them: told once for each chunk and origin within one reading. */
export interface ChunkEvent {
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  /** Of 512 KiB, counted from 0. */
  readonly index: number;
  readonly from: "disk" | "upstream";
}

/** What is stored of a track changed, or its last reader has left. */
export interface TrackEvent {
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  readonly change: TrackChange;
}

/** A track was evicted, whole. */
export interface EvictEvent {
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  /** Bytes that it took on disk. */
  readonly bytes: number;
  /** To keep to the budget, since the disk is nearly full, or because someone asked. */
  readonly reason: "budget" | "disk" | "asked";
}

/** A player's request for a track came, was answered, or ended: its outcome, which players hide. */
export interface SessionEvent {
  /** The playback that the request belongs to, as `/api/sessions` names it. */
  readonly id: number;
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  /** What the player calls this playback: `?play=` of the URL that it opened. */
  readonly play?: string;
  /** Names the request. */
  readonly request: number;
  /** `answered`: its headers went out; an error is told as `ended` alone. */
  readonly change: SessionChange;
  readonly outcome: Outcome;
  /** Of the answer, once there is one. */
  readonly status?: number;
  /** Of the error, where the outcome is `failed` or `cut`. */
  readonly code?: string;
  /** What the error said of when to try again (Retry-After). */
  readonly retryAfterMs?: number;
  /** What the player got so far. */
  readonly bytes: ServedBytes;
}

/** A track that is fetched ahead came along. */
export interface PrefetchEvent {
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  /** What is fetched: the first 512 KiB, or everything. */
  readonly mode: "head" | "full";
  readonly state: "fetching" | "done" | "failed" | "cancelled";
  /** Why it failed. */
  readonly code?: string;
}

/** What a proxy tells, by name. */
export interface ProxyEvents {
  readonly chunk: ChunkEvent;
  readonly track: TrackEvent;
  readonly session: SessionEvent;
  readonly evict: EvictEvent;
  readonly prefetch: PrefetchEvent;
}

/** What is told of a request. */
export function sessionEvent({ id, track, play }: Playback, log: RequestLog, change: SessionChange): SessionEvent {
  const { outcome, answer, code, retryAfterMs } = log;
  return {
    id,
    key: trackKey(track.source, track.id),
    ...(play === undefined ? {} : { play }),
    request: log.id,
    change,
    outcome,
    ...(answer === undefined ? {} : { status: answer.status }),
    ...(code === undefined ? {} : { code }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    bytes: log.bytes,
  };
}

/** Called as part of the work it tells of: it should be quick. What it throws is logged and goes no further. */
export type Listener<Name extends keyof ProxyEvents> = (event: ProxyEvents[Name]) => void;

/** Listeners by event. Node's own emitter would let a listener's error end the playback it tells of. */
export class Events {
  readonly #onError: (error: unknown) => void;
  readonly #listeners: { readonly [Name in keyof ProxyEvents]: Set<Listener<Name>> } = {
    chunk: new Set(),
    track: new Set(),
    session: new Set(),
    evict: new Set(),
    prefetch: new Set(),
  };

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** A listener that is there already is not added again. Throws a RangeError for a name that is no event's. */
  on<Name extends keyof ProxyEvents>(name: Name, listener: Listener<Name>): void {
    this.#of(name).add(listener);
  }

  off<Name extends keyof ProxyEvents>(name: Name, listener: Listener<Name>): void {
    this.#of(name).delete(listener);
  }

  /** True if there is a listener. */
  isHeard(name: keyof ProxyEvents): boolean {
    return this.#of(name).size > 0;
  }

  emit<Name extends keyof ProxyEvents>(name: Name, event: ProxyEvents[Name]): void {
    // A copy: a listener may take itself off.
    for (const listener of [...this.#listeners[name]]) {
      try {
        const result: unknown = listener(event);
        // An async listener's rejection would end the process.
        if (result instanceof Promise) result.catch(this.#onError);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  /** Readings of the answered track tell of their chunks. */
  watch(track: ServedTrack, key: string): ServedTrack {
    return {
      variant: track.variant,
      timing: track.timing,
      read: (start, end, options) =>
        new WatchedReading(track.read(start, end, options), (index, from) => this.emit("chunk", { key, index, from })),
      close: () => track.close(),
    };
  }

  #of<Name extends keyof ProxyEvents>(name: Name): Set<Listener<Name>> {
    if (!Object.hasOwn(this.#listeners, name)) throw new RangeError(`There is no event ${name}`);
    return this.#listeners[name];
  }
}

class WatchedReading implements ServedReading {
  readonly #reading: ServedReading;
  readonly #tell: (index: number, from: ChunkEvent["from"]) => void;
  /** The last chunk told of, by origin: a reading only goes forward. */
  readonly #told = { disk: -1, upstream: -1 };

  constructor(reading: ServedReading, tell: (index: number, from: ChunkEvent["from"]) => void) {
    this.#reading = reading;
    this.#tell = tell;
  }

  get position(): number {
    return this.#reading.position;
  }

  get stats(): ServedReading["stats"] {
    return this.#reading.stats;
  }

  get patient(): boolean {
    return this.#reading.patient;
  }

  set patient(patient: boolean) {
    this.#reading.patient = patient;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { diskBytes } = this.stats;
    const result = await this.#reading.next();
    if (result.done === true) return result;
    const from = this.stats.diskBytes > diskBytes ? "disk" : "upstream";
    const first = Math.floor((this.position - result.value.length) / CHUNK_SIZE);
    const last = Math.floor((this.position - 1) / CHUNK_SIZE);
    for (let index = Math.max(first, this.#told[from] + 1); index <= last; index += 1) {
      this.#told[from] = index;
      this.#tell(index, from);
    }
    return result;
  }

  close(): void {
    this.#reading.close();
  }
}
