/** The layers, for those who compose a pipeline of their own. `docs/pipeline.md` says how they fit together. */
export { type CacheDir, claimCacheDir } from "./cache/cache-dir.ts";
export { caching } from "./cache/caching.ts";
export type { ChunkStore, StoredVariant } from "./cache/chunk-store.ts";
export type { VariantName } from "./cache/variant-name.ts";
export { FileChunkStore } from "./cache/file-store.ts";
export { TrackCache, type TrackCacheOptions } from "./cache/track-cache.ts";
export { TrackIndex } from "./cache/track-index.ts";
export { createGuardedConnector, type GuardOptions } from "./data-source/guarded-connector.ts";
export { CircuitBreaker } from "./data-source/circuit-breaker.ts";
export { circuitBreaking, type CircuitBreakingOptions } from "./data-source/circuit-breaking.ts";
export { type Clock, systemClock } from "./data-source/clock.ts";
export {
  type Admission,
  CHUNK_SIZE,
  type DataSource,
  type DataSpec,
  type Expectation,
  type Opened,
  Priority,
  type ResolvedSpec,
  type TrackKey,
  Urgency,
  type Validator,
  type Window,
} from "./data-source/data-source.ts";
export type { Quality } from "./data-source/quality.ts";
export { http, type HttpOptions } from "./data-source/http.ts";
export { Need } from "./data-source/need.ts";
export { overlapping } from "./data-source/overlapping.ts";
export { prioritized } from "./data-source/prioritized.ts";
export { rangeFallback } from "./data-source/range-fallback.ts";
export { refreshing } from "./data-source/refreshing.ts";
export type {
  CatalogueTrack,
  Resolution,
  ResolveReason,
  ResolveRequest,
  Resolver,
} from "./data-source/resolution.ts";
export type { ResolvingOptions } from "./data-source/resolver-calls.ts";
export { resolving } from "./data-source/resolving.ts";
export { retrying, type RetryingOptions } from "./data-source/retrying.ts";
export { Scheduler } from "./data-source/scheduler.ts";
export { MemoryUriCache, type UriCache } from "./data-source/uri-cache.ts";
export { WindowLimits } from "./data-source/window-limits.ts";
export { windowing, type WindowingOptions } from "./data-source/windowing.ts";
export { AfterbayError, ConfigError, type ErrorCode, isAfterbayError } from "./errors.ts";
