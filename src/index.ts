export type {
  CatalogueTrack,
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
export {
  createProxy,
  type ListenOptions,
  type Logger,
  type Proxy,
  type ProxyOptions,
  type ProxySource,
} from "./proxy.ts";
