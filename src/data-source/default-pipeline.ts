import type { Dispatcher } from "undici";
import { AfterbayError } from "../errors.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { circuitBreaking } from "./circuit-breaking.ts";
import type { Clock } from "./clock.ts";
import type { DataSource } from "./data-source.ts";
import { http } from "./http.ts";
import { overlapping } from "./overlapping.ts";
import { prioritized } from "./prioritized.ts";
import { rangeFallback } from "./range-fallback.ts";
import { refreshing } from "./refreshing.ts";
import type { Resolution, Resolver } from "./resolution.ts";
import type { ResolvingOptions } from "./resolver-calls.ts";
import { resolving } from "./resolving.ts";
import { retrying } from "./retrying.ts";
import type { Scheduler } from "./scheduler.ts";
import { MemoryUriCache } from "./uri-cache.ts";
import { WindowLimits } from "./window-limits.ts";
import { windowing } from "./windowing.ts";

/** What all sources of a proxy share, so that prefetch of one gives way to playback of another. */
export interface PipelineOptions {
  /** Makes the upstream requests. */
  readonly dispatcher: Dispatcher;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Checks what resolvers answer; throws an AfterbayError. */
  readonly validate: (value: unknown) => Resolution;
  /** Largest range to ask for in one request, bytes. Default 8 MiB. */
  readonly maxWindow?: number | undefined;
  /** Ms that a player in the middle of a track waits for a source that fails for all. Default 20,000. */
  readonly patienceMs?: number | undefined;
  readonly onResolve?: ResolvingOptions["onResolve"];
  /** Told when the source is left alone since it fails for all tracks, and when it is asked again. */
  readonly onCircuit?: (isOpen: boolean) => void;
}

const PATIENCE_MS = 20_000;

/** The way to one source's upstream: the first listed layer is the outermost. */
export function sourcePipeline(resolver: Resolver, options: PipelineOptions): DataSource {
  const { dispatcher, scheduler, clock, random, validate, patienceMs = PATIENCE_MS, onResolve, onCircuit } = options;
  const maxWindow = Math.min(
    resolver.maxWindow ?? Number.POSITIVE_INFINITY,
    options.maxWindow ?? Number.POSITIVE_INFINITY,
  );
  const windows = {
    limits: new WindowLimits(clock),
    ...(Number.isFinite(maxWindow) ? { maxWindow } : {}),
  };
  const names = {
    resolver,
    uriCache: new MemoryUriCache(clock),
    clock,
    validate,
    ...(onResolve === undefined ? {} : { onResolve }),
  };
  const resolved = windowing(rangeFallback(http({ dispatcher, clock })), windows);
  const named = resolving(resolved, names);
  const inTurn = prioritized(retrying(refreshing(overlapping(named)), { clock, random }), { scheduler, clock });
  const breaker = new CircuitBreaker(clock, onCircuit);
  return {
    ...circuitBreaking(inTurn, { breaker, clock, patienceMs }),
    prepare(track) {
      if (breaker.closed) named.prepare(track);
    },
  };
}

/** The upstreams of several sources as one, by their keys. */
export function bySource(sources: ReadonlyMap<string, DataSource>): DataSource {
  return {
    async open(spec, options) {
      const source = sources.get(spec.source);
      if (source === undefined) throw new AfterbayError("not-found", "There is no such source");
      return await source.open(spec, options);
    },
    prepare(track) {
      sources.get(track.source)?.prepare?.(track);
    },
  };
}
