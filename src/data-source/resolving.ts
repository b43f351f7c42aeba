import { AfterbayError, isAfterbayError } from "../errors.ts";
import { abortable } from "./aborting.ts";
import type { Clock } from "./clock.ts";
import { type DataSource, type DataSpec, type Opened, Priority, type ResolvedSpec } from "./data-source.ts";
import { withBody } from "./opened.ts";
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

/**
 * Turns the id into a URL, only now that bytes are needed. A URL that was refused is forgotten. One call of the resolver
 * serves all who wait for the same track and quality, and goes on when they leave.
 */
export function resolving(upstream: DataSource<ResolvedSpec>, options: ResolvingOptions): DataSource {
  const { uriCache } = options;
  const calls = new ResolverCalls(options);
  return {
    async open(spec, { signal }) {
      const key = uriKey(spec);
      const began = options.clock.now();
      let resolution = await uriCache.get(key);
      if (resolution === undefined) {
        resolution = await abortable(calls.resolve(key, spec), signal);
        spec.need.resolveMs = options.clock.now() - began;
      }
      const { url } = resolution;
      const forgetRefused = async (error: unknown): Promise<never> => {
        if (isAfterbayError(error, "url-refused", "wrong-answer", "range-refused", "variant-changed")) {
          await uriCache.delete(key, url);
        }
        throw error;
      };
      const expected = spec.expect?.resolverVariant;
      if (expected !== undefined && resolution.variant !== undefined && resolution.variant !== expected) {
        throw new AfterbayError("variant-changed", "The source offers other bytes for this track now", {
          variant: resolution.variant,
        });
      }
      const opened = await upstream.open({ ...spec, resolution }, { signal }).catch(forgetRefused);
      return withBody(opened, {
        body: guarded(opened, forgetRefused),
        dispose: () => opened[Symbol.asyncDispose](),
      });
    },
  };
}

/** The key of a track's URL: quality changes what is resolved. */
function uriKey(spec: DataSpec): string {
  return `${spec.source}\n${spec.id}\n${spec.quality ?? ""}`;
}

async function* guarded(opened: Opened, onError: (error: unknown) => Promise<never>): AsyncGenerator<Uint8Array> {
  try {
    yield* opened.body;
  } catch (error) {
    await onError(error);
  }
}

interface Waiting {
  readonly spec: DataSpec;
  start(): void;
}

/** The calls of one resolver: joined, rationed, with one slot kept for playback. */
class ResolverCalls {
  readonly #options: ResolvingOptions;
  readonly #running = new Map<string, Promise<Resolution>>();
  readonly #starts = new Map<string, number[]>();
  readonly #waiting: Waiting[] = [];
  #active = 0;

  constructor(options: ResolvingOptions) {
    this.#options = options;
  }

  resolve(key: string, spec: DataSpec): Promise<Resolution> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const call = this.#call(key, spec).finally(() => this.#running.delete(key));
    this.#running.set(key, call);
    // Its callers may all have left.
    call.catch(() => {});
    return call;
  }

  async #call(key: string, spec: DataSpec): Promise<Resolution> {
    this.#ration(key);
    await this.#slot(spec);
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
      this.#active -= 1;
      this.#grant();
      onResolve?.({ id: spec.id, ms: clock.now() - began, ok });
    }
  }

  #ration(key: string): void {
    const now = this.#options.clock.now();
    const recent = (this.#starts.get(key) ?? []).filter((at) => now - at < PER_MS);
    const oldest = recent[0];
    if (recent.length >= MAX_PER_TRACK && oldest !== undefined) {
      throw new AfterbayError("busy", "This track was resolved too often", { retryAfterMs: oldest + PER_MS - now });
    }
    recent.push(now);
    this.#starts.set(key, recent);
    if (this.#starts.size > 1000) {
      for (const [other, starts] of this.#starts) {
        if (starts.every((at) => now - at >= PER_MS)) this.#starts.delete(other);
      }
    }
  }

  #slot(spec: DataSpec): Promise<void> {
    return new Promise((resolve) => {
      const unlisten = spec.urgency?.onChange(() => this.#grant());
      this.#waiting.push({
        spec,
        start: () => {
          unlisten?.();
          this.#active += 1;
          resolve();
        },
      });
      this.#grant();
    });
  }

  #grant(): void {
    this.#waiting.sort((a, b) => level(a.spec) - level(b.spec));
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      const slots = level(next.spec) === Priority.playback ? SLOTS : SLOTS - 1;
      if (this.#active >= slots) return;
      this.#waiting.shift();
      next.start();
    }
  }
}

function level(spec: DataSpec): Priority {
  return spec.urgency?.level ?? Priority.playback;
}
