import { AfterbayError, isAfterbayError } from "../errors.ts";
import { abortable, deferred } from "./aborting.ts";
import type { Clock } from "./clock.ts";
import { type DataSpec, Priority } from "./data-source.ts";
import type { Resolution, Resolver } from "./resolution.ts";
import type { UriCache } from "./uri-cache.ts";

export interface ResolvingOptions {
  readonly resolver: Resolver;
  readonly uriCache: UriCache;
  readonly clock: Clock;
  /** Checks a resolver's answer; throws an AfterbayError. */
  readonly validate: (value: unknown) => Resolution;
  /** Told of each call of the resolver, when it has ended. */
  readonly onResolve?: (event: { readonly id: string; readonly ms: number; readonly ok: boolean }) => void;
}

const RESOLVE_LIMIT_MS = 20_000;
const MAX_PER_TRACK = 20;
const PER_MS = 60_000;
const SLOTS = 4;

/** The key of a track's URL: quality changes what is resolved. */
export function uriKey(spec: DataSpec): string {
  return `${spec.source}\n${spec.id}\n${spec.quality ?? ""}`;
}

/** One call of the resolver, waiting for a slot or under way, and those who wait for it. */
class Call {
  readonly key: string;
  readonly callers = new Set<{ readonly spec: DataSpec }>();
  /** The one that the first caller who holds bytes wants more of. */
  variant: string | undefined;
  readonly result = deferred<Resolution>();

  constructor(key: string) {
    this.key = key;
    // Its callers may all have left.
    this.result.promise.catch(() => {});
  }

  /** That of the most urgent caller. */
  get level(): Priority {
    return [...this.callers].reduce<Priority>((least, { spec }) => {
      const level = spec.urgency?.level ?? Priority.playback;
      return level < least ? level : least;
    }, Priority.abandoned);
  }
}

/** The calls of one resolver: joined, rationed, with one slot kept for playback. */
export class ResolverCalls {
  readonly #options: ResolvingOptions;
  readonly #calls = new Map<string, Call>();
  /** When the resolver was asked for each track in the last minute, monotonic ms. */
  readonly #starts = new Map<string, number[]>();
  #waiting: Call[] = [];
  #active = 0;

  constructor(options: ResolvingOptions) {
    this.#options = options;
  }

  /** `variant`: the one whose bytes the caller holds, if it does. */
  async resolve(spec: DataSpec, signal: AbortSignal, variant?: string): Promise<Resolution> {
    const call = this.#calls.get(uriKey(spec)) ?? this.#begin(spec);
    call.variant ??= variant;
    const caller = { spec };
    call.callers.add(caller);
    const unlisten = spec.urgency?.onChange(() => this.#grant());
    this.#grant();
    try {
      return await abortable(call.result.promise, signal);
    } finally {
      unlisten?.();
      call.callers.delete(caller);
      if (call.callers.size === 0) this.#drop(call);
    }
  }

  #begin(spec: DataSpec): Call {
    this.#ration(`${spec.source}\n${spec.id}`);
    const call = new Call(uriKey(spec));
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
    this.#waiting.sort((a, b) => a.level - b.level);
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const slots = next.level === Priority.playback ? SLOTS : SLOTS - 1;
      const [caller] = next.callers;
      if (this.#active >= slots || caller === undefined) return;
      this.#waiting.shift();
      this.#active += 1;
      void this.#ask(next, caller.spec)
        .finally(() => {
          this.#calls.delete(next.key);
          this.#active -= 1;
          this.#grant();
        })
        .then(
          (resolution) => next.result.resolve(resolution),
          (error: unknown) => next.result.reject(error),
        );
    }
  }

  async #ask({ key, variant }: Call, spec: DataSpec): Promise<Resolution> {
    const { resolver, clock, validate, uriCache, onResolve } = this.#options;
    const began = clock.now();
    const controller = new AbortController();
    const cancel = clock.after(RESOLVE_LIMIT_MS, () =>
      controller.abort(new AfterbayError("stalled", "The source took too long to name a URL")),
    );
    let ok = false;
    try {
      const { attempt, reason } = spec.need;
      const request = {
        signal: controller.signal,
        attempt,
        reason,
        ...(spec.quality === undefined ? {} : { quality: spec.quality }),
        ...(variant === undefined ? {} : { variant }),
      };
      const answer = await abortable(Promise.resolve(resolver.resolve(spec.id, request)), controller.signal);
      const resolution = validate(answer);
      if (resolution.id !== undefined && resolution.id !== spec.id) {
        throw new AfterbayError("wrong-answer", "The source answered for another track");
      }
      await uriCache.set(key, resolution);
      ok = true;
      return resolution;
    } catch (error) {
      if (isAfterbayError(error)) throw error;
      throw new AfterbayError("transient", "The source failed to name a URL", { cause: error });
    } finally {
      cancel();
      onResolve?.({ id: spec.id, ms: clock.now() - began, ok });
    }
  }

  #ration(track: string): void {
    const now = this.#options.clock.now();
    const recent = (this.#starts.get(track) ?? []).filter((at) => now - at < PER_MS);
    const oldest = recent[0];
    if (recent.length >= MAX_PER_TRACK && oldest !== undefined) {
      throw new AfterbayError("busy", "This track was resolved too often", { retryAfterMs: oldest + PER_MS - now });
    }
    recent.push(now);
    this.#starts.set(track, recent);
    if (this.#starts.size > 1000) {
      for (const [other, starts] of this.#starts) {
        if (starts.every((at) => now - at >= PER_MS)) this.#starts.delete(other);
      }
    }
  }
}
