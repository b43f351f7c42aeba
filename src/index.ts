export { type Clock, systemClock } from "./data-source/clock.ts";
export type { Quality } from "./data-source/quality.ts";
export type {
  CatalogueTrack,
  FindRequest,
  Resolution,
  ResolveReason,
  ResolveRequest,
  Resolver,
} from "./data-source/resolution.ts";
export {
  AfterbayError,
  ConfigError,
  type ErrorCode,
  isAfterbayError,
  type PublicCode,
  type UpstreamCode,
} from "./errors.ts";
export type {
  ChunkEvent,
  EvictEvent,
  Listener,
  PrefetchEvent,
  ProxyEvents,
  SessionEvent,
  TrackEvent,
} from "./events.ts";
export type { FoundTrack } from "./http/finder.ts";
export { createProxy, type CreateProxyOptions, type ProxySettings, type TrackSource } from "./library.ts";
export type { FindOptions, ListenOptions, Logger, PrefetchedTrack, PrefetchOptions, Proxy } from "./proxy.ts";
