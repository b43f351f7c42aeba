import { LRUCache } from "lru-cache";
import { AfterbayError, type ErrorCode, isAfterbayError } from "../errors.ts";
import { abortable, deferred } from "./aborting.ts";
import type { Clock } from "./clock.ts";
import { Priority, type TrackKey, type Urgency } from "./data-source.ts";
import type { Quality } from "./quality.ts";
import type { Need } from "./need.ts";
import type { Resolution, Resolver } from "./resolution.ts";
import type { KeptResolution, UriCache } from "./uri-cache.ts";

export interface ResolvingOptions {
  readonly resolver: Resolver;
  readonly uriCache: UriCache;
  readonly clock: Clock;
  /** Checks a resolver's answer; throws an AfterbayError. */
  readonly validate: (value: unknown) => Resolution;
  /** Told of each call of the resolver, when it has ended. */
  readonly onResolve?: (event: { readonly id: string; readonly ms: number; readonly ended: "ok" | ErrorCode }) => void;
}

/** Who wants a track's URL. */
export interface Asking extends TrackKey {
  readonly quality?: Quality;
  readonly need: Need;
  readonly urgency?: Urgency;
  /** The one whose bytes it holds, if it does, as the resolver named it. */
  readonly variant?: string | undefined;
}

const RESOLVE_LIMIT_MS = 20_000;
const MAX_PER_TRACK = 20;
const PER_MS = 60_000;
const SLOTS = 4;
/** Tracks of which it is known when they were resolved. */
const MAX_TRACKS = 5000;
/** A track is asked for ahead of need once in this time, ms: if that failed, whoever needs it asks again. */
const AHEAD_PAUSE_MS = 60_000;
/** Someone plays the track and will need its URL: before all prefetch, but a player that waits goes first. */
const AHEAD_RANK = 0.5;

/** The key of a track's URL: quality changes what is resolved. */
export function uriKey({ source, id, quality }: TrackKey & { readonly quality?: Quality }): string {
  return `${source}\n${id}\n${quality ?? ""}`;
}

interface Caller {
  readonly asking: Asking;
  /** Nobody waits yet. */
  readonly ahead: boolean;
}

/** One call of the resolver, waiting for a slot or under way, and those who wait for it. */
class Call {
  readonly key: string;
  readonly callers = new Set<Caller>();
  readonly result = deferred<KeptResolution>();

  constructor(key: string) {
    this.key = key;
    // Its callers may all have left.
    this.result.promise.catch(() => {});
  }

  /** That of the most urgent caller; lower is more urgent. */
  get rank(): number {
    let least: number = Priority.abandoned;
    for (const { asking, ahead } of this.callers) {
      least = Math.min(least, ahead ? AHEAD_RANK : (asking.urgency?.level ?? Priority.playback));
    }
    return least;
  }

  /** Nobody waits for it yet. */
  get isAhead(): boolean {
    return this.callers.size > 0 && [...this.callers].every(({ ahead }) => ahead);
  }

  /** The one that the first caller who holds bytes wants more of. */
  get variant(): string | undefined {
    for (const { asking } of this.callers) if (asking.variant !== undefined) return asking.variant;
    return undefined;
  }

  /** The caller that has tried most often: the resolver is to do better than each of these times. */
  get asking(): Asking | undefined {
    const [first, ...others] = this.callers;
    return others.reduce(
      (most, other) => (other.asking.need.attempt > (most?.asking.need.attempt ?? 0) ? other : most),
      first,
    )?.asking;
  }
}

/** What the resolver was asked of one track lately. */
interface TrackRecord {
  /** When, monotonic ms, in the last minute. */
  starts: number[];
  aheadAt: number;
  /** What was found out about the track itself, if that was the last thing. */
  verdict: { readonly error: AfterbayError; readonly at: number } | undefined;
}

/** The calls of one resolver: joined, rationed, with one slot kept for playback. */
export class ResolverCalls {
  readonly #options: ResolvingOptions;
  readonly #calls = new Map<string, Call>();
  readonly #tracks = new LRUCache<string, TrackRecord>({ max: MAX_TRACKS });
  #waiting: Call[] = [];
  #active = 0;

  constructor(options: ResolvingOptions) {
    this.#options = options;
  }

  /** Rejects with an AfterbayError, or the signal's reason; the call goes on then. */
  resolve(asking: Asking, signal: AbortSignal): Promise<KeptResolution> {
    return this.#join({ asking, ahead: false }, signal);
  }

  /** Asks before anyone waits; undefined if that is being done or was done a moment ago. */
  ahead(asking: Asking): Promise<KeptResolution> | undefined {
    const now = this.#options.clock.now();
    const record = this.#recordOf(asking);
    if (this.#calls.has(uriKey(asking)) || now - record.aheadAt < AHEAD_PAUSE_MS) return undefined;
    record.aheadAt = now;
    return this.#join({ asking, ahead: true }, new AbortController().signal);
  }

  /** Notes that a track cannot be had: that is said, not that one is to come back, when it may not be asked for again. */
  remember(track: TrackKey, error: AfterbayError): void {
    this.#recordOf(track).verdict = { error, at: this.#options.clock.now() };
  }

  /** The track was delivered. */
  forget(track: TrackKey): void {
    const record = this.#tracks.get(trackOf(track));
    if (record !== undefined) record.verdict = undefined;
  }

  async #join(caller: Caller, signal: AbortSignal): Promise<KeptResolution> {
    const call = this.#calls.get(uriKey(caller.asking)) ?? this.#begin(caller.asking);
    call.callers.add(caller);
    const unlisten = caller.asking.urgency?.onChange(() => this.#grant());
    this.#grant();
    try {
      return await abortable(call.result.promise, signal);
    } finally {
      unlisten?.();
      call.callers.delete(caller);
      if (call.callers.size === 0) this.#drop(call);
    }
  }

  #begin(asking: Asking): Call {
    this.#ration(asking);
    const call = new Call(uriKey(asking));
    this.#calls.set(call.key, call);
    this.#waiting.push(call);
    return call;
  }

  /** What nobody waits for any more is not begun; what has begun goes on. */
  #drop(call: Call): void {
    if (!this.#waiting.includes(call)) return;
    this.#waiting = this.#waiting.filter((other) => other !== call);
    this.#calls.delete(call.key);
  }

  #grant(): void {
    // Stable: equals keep the order in which they came.
    this.#waiting.sort((a, b) => a.rank - b.rank);
    for (;;) {
      const [next] = this.#waiting;
      const asking = next?.asking;
      if (next === undefined || asking === undefined) return;
      const slots = next.rank === Priority.playback ? SLOTS : SLOTS - 1;
      if (this.#active >= slots) return;
      this.#waiting.shift();
      this.#active += 1;
      void this.#ask(next, asking)
        .finally(() => {
          this.#calls.delete(next.key);
          this.#active -= 1;
          this.#grant();
        })
        .then(
          (resolved) => next.result.resolve(resolved),
          (error: unknown) => next.result.reject(error),
        );
    }
  }

  async #ask(call: Call, asking: Asking): Promise<KeptResolution> {
    const { resolver, clock, validate, onResolve } = this.#options;
    const { id, quality, need } = asking;
    const { variant } = call;
    const began = clock.now();
    this.#recordOf(asking).starts.push(began);
    const controller = new AbortController();
    const cancel = clock.after(RESOLVE_LIMIT_MS, () =>
      controller.abort(new AfterbayError("stalled", "The source took too long to name a URL")),
    );
    let ended: "ok" | ErrorCode = "transient";
    try {
      const { attempt, reason } = need;
      const request = {
        signal: controller.signal,
        attempt,
        reason,
        ...(quality === undefined ? {} : { quality }),
        ...(variant === undefined ? {} : { variant }),
      };
      const answer = await abortable(Promise.resolve(resolver.resolve(id, request)), controller.signal);
      const resolution = validate(answer);
      if (resolution.id !== undefined && resolution.id !== id) {
        throw new AfterbayError("wrong-answer", "The source answered for another track");
      }
      const kept = await this.#keep(call, resolution);
      ended = "ok";
      return kept;
    } catch (error) {
      if (!isAfterbayError(error)) {
        throw new AfterbayError("transient", "The source failed to name a URL", { cause: error });
      }
      ended = error.code;
      if (isAfterbayError(error, "not-found", "unplayable")) this.remember(asking, error);
      throw error;
    } finally {
      cancel();
      onResolve?.({ id, ms: clock.now() - began, ended });
    }
  }

  /** While the bytes that are being played can be had, a look ahead does not replace their URL by that of others. */
  async #keep(call: Call, resolution: Resolution): Promise<KeptResolution> {
    const { uriCache } = this.#options;
    const kept = await uriCache.get(call.key);
    const differs = kept !== undefined && kept.resolution.variant !== resolution.variant;
    if (call.isAhead && differs && !kept.expired) return kept;
    return await uriCache.set(call.key, resolution);
  }

  /** Counted are the calls that were made: one that gave up waiting for its turn cost nothing. */
  #ration(track: TrackKey): void {
    const now = this.#options.clock.now();
    const record = this.#recordOf(track);
    const [oldest] = record.starts;
    if (record.starts.length < MAX_PER_TRACK || oldest === undefined) return;
    const { verdict } = record;
    if (verdict !== undefined && now - verdict.at < PER_MS) throw verdict.error;
    throw new AfterbayError("busy", "This track was resolved too often", { retryAfterMs: oldest + PER_MS - now });
  }

  /** The record of a track, without what is older than a minute. */
  #recordOf(track: TrackKey): TrackRecord {
    const key = trackOf(track);
    const now = this.#options.clock.now();
    const known = this.#tracks.get(key);
    if (known !== undefined) {
      known.starts = known.starts.filter((at) => now - at < PER_MS);
      return known;
    }
    const record = { starts: [], aheadAt: Number.NEGATIVE_INFINITY, verdict: undefined };
    this.#tracks.set(key, record);
    return record;
  }
}

function trackOf({ source, id }: TrackKey): string {
  return `${source}\n${id}`;
}
