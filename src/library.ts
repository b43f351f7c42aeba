import { homedir } from "node:os";
import { dataDirectory } from "./data-directory.ts";
import type { Clock } from "./data-source/clock.ts";
import type { Quality } from "./data-source/quality.ts";
import type { CatalogueTrack, FindRequest, Resolution, Resolver, ResolveRequest } from "./data-source/resolution.ts";
import { ConfigError } from "./errors.ts";
import { createProxy as assemble, type Logger, type Proxy } from "./proxy.ts";
import { fromUserError } from "./resolvers/user-error.ts";
import { validateResolution } from "./resolvers/validate-resolution.ts";
import { parseSize } from "./sizes.ts";
import { version } from "./version.ts";

/** Where tracks come from: a function that turns an id into a URL, and a name for it. */
export interface TrackSource {
  /** Names its tracks in paths and in the cache; matches `^[a-z][a-z0-9-]*$`. Another name is another cache. */
  readonly name: string;
  /**
   * Asked only for bytes that are missing. What it throws with the `code` `not-found` (no such id), `unplayable` (can
   * never play) or `url-refused` (may not) means that; all else may pass, and is tried again.
   */
  readonly resolve: (id: string, request: ResolveRequest) => Resolution | Promise<Resolution>;
  /** The tracks, for the page and `/api/tracks`. */
  readonly list?: () => Promise<readonly CatalogueTrack[]>;
  /** The tracks that fit some words, the best first. Default: those of `list` that have all the words in their names. */
  readonly search?: (words: string, request: FindRequest) => Promise<readonly CatalogueTrack[]>;
  /** What to play after a track. */
  readonly similar?: (id: string, request: FindRequest) => Promise<readonly CatalogueTrack[]>;
  /** `host:port` of upstreams that may be at a private address. */
  readonly hosts?: readonly string[];
}

/** What holds for all sources. */
export interface ProxySettings {
  /** One process owns it. Default: the user's data directory, which no system sweeps. */
  readonly cacheDir?: string;
  /** Bytes on disk, or `512K`, `200M`, `2G`. Default 2G. */
  readonly cacheSize?: number | string;
  /** Lets resolutions and redirects lead to private addresses. Default: only to `hosts`. */
  readonly allowPrivate?: boolean;
  /** Largest range asked for in one upstream request: bytes, or `1M`. Default 8M. */
  readonly maxWindow?: number | string;
  /** Ms until an answer must have begun, if only with an error. Default 4000. */
  readonly firstByteMs?: number;
  /** Ms that a player which has its headers waits for the first byte. Default 20,000. */
  readonly patienceMs?: number;
  /** Stop fetching within 250 ms when nobody listens. */
  readonly dataSaver?: boolean;
  /** For requests that ask for none. */
  readonly quality?: Quality;
  /** Bytes a day that may be fetched to complete tracks of which little is missing; 0 turns that off. Default 256 MiB. */
  readonly healBudget?: number;
  /** Default: silence. pino's loggers fit. */
  readonly log?: Logger;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** One source, or several of which the first is the default one. */
export type CreateProxyOptions = ProxySettings &
  ((TrackSource & { readonly sources?: never }) | { readonly sources: readonly TrackSource[] });

const DEFAULT_CACHE_SIZE = "2G";
const NAME = /^[a-z][a-z0-9-]*$/;

const silence: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A streaming cache for tracks that `resolve` knows. Claims the cache directory until it is closed. Rejects with a
 * ConfigError of one line for an option that cannot work, and where another process owns the directory.
 */
export async function createProxy(options: CreateProxyOptions): Promise<Proxy> {
  const { cacheDir, cacheSize = DEFAULT_CACHE_SIZE, maxWindow, log = silence } = options;
  const { allowPrivate, firstByteMs, patienceMs, dataSaver, quality, healBudget, clock, random } = options;
  const sources = options.sources ?? [options];
  if (sources.length === 0) throw new ConfigError("A proxy needs a source");
  for (const source of sources) assertSource(source);
  if (new Set(sources.map(({ name }) => name)).size < sources.length) {
    throw new ConfigError("Two sources have one name");
  }
  return await assemble({
    sources: sources.map((source) => ({ key: source.name, resolver: resolverOf(source) })),
    cacheDir: cacheDir ?? dataDirectory(process.platform, process.env, homedir()),
    cacheSize: bytesOf("cacheSize", cacheSize),
    validate: validateResolution,
    version,
    log,
    allowPrivate,
    ...(maxWindow === undefined ? {} : { maxWindow: bytesOf("maxWindow", maxWindow) }),
    firstByteMs,
    patienceMs,
    dataSaver,
    quality,
    healBudget,
    clock,
    random,
  });
}

/** Types do not hold in JavaScript, and these mistakes would show much later, as failed playbacks. */
function assertSource({ name, resolve, list, search, similar, hosts = [] }: Partial<TrackSource>): void {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new ConfigError("A source's name has a-z, 0-9 and - and begins with a letter");
  }
  if (typeof resolve !== "function") throw new ConfigError(`The source ${name} has no resolve function`);
  for (const [key, value] of Object.entries({ list, search, similar })) {
    if (value !== undefined && typeof value !== "function") throw new ConfigError(`${key} of ${name} is no function`);
  }
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === "string" && /^\S+:\d{1,5}$/.test(host))) {
    throw new ConfigError(`hosts of ${name} is no list of "host:port"`);
  }
}

function bytesOf(option: string, size: number | string): number {
  const bytes = typeof size === "string" ? parseSize(size) : size;
  if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new ConfigError(`${option} is a number of bytes above 0, or a size like 512K, 200M or 2G`);
}

function resolverOf(source: TrackSource): Resolver {
  const { hosts } = source;
  const guarded = async <T>(call: () => T | Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw fromUserError(error, "The resolver failed");
    }
  };
  return {
    // As methods: they may be those of an object that needs its `this`.
    resolve: (id, request) => guarded(() => source.resolve(id, request)),
    ...(source.search === undefined
      ? {}
      : { search: (words, request) => guarded(async () => (await source.search?.(words, request)) ?? []) }),
    ...(source.similar === undefined
      ? {}
      : { similar: (id, request) => guarded(async () => (await source.similar?.(id, request)) ?? []) }),
    ...(source.list === undefined ? {} : { list: async () => (await source.list?.()) ?? [] }),
    ...(hosts === undefined ? {} : { hosts }),
  };
}
