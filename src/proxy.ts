import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { Agent } from "undici";
import { claimCacheDir, type OnConnection } from "./cache/cache-dir.ts";
import { FileChunkStore } from "./cache/file-store.ts";
import { openImportable } from "./cache/import-file.ts";
import { TrackCache } from "./cache/track-cache.ts";
import { TrackIndex } from "./cache/track-index.ts";
import { createGuardedConnector } from "./data-source/addresses.ts";
import { type Clock, systemClock } from "./data-source/clock.ts";
import { type DataSource, MiB, type Quality } from "./data-source/data-source.ts";
import { http } from "./data-source/http.ts";
import { overlapping } from "./data-source/overlapping.ts";
import { prioritized } from "./data-source/prioritized.ts";
import { rangeFallback } from "./data-source/range-fallback.ts";
import { refreshing } from "./data-source/refreshing.ts";
import type { Resolution, Resolver } from "./data-source/resolution.ts";
import { resolving } from "./data-source/resolving.ts";
import { retrying } from "./data-source/retrying.ts";
import { Scheduler } from "./data-source/scheduler.ts";
import { MemoryUriCache } from "./data-source/uri-cache.ts";
import { WindowLimits } from "./data-source/window-limits.ts";
import { windowing } from "./data-source/windowing.ts";
import { AfterbayError } from "./errors.ts";
import { Catalogue } from "./http/catalogue.ts";
import { assertBindAllowed } from "./http/doors.ts";
import { controlServer } from "./http/control.ts";
import type { Site } from "./http/routing.ts";
import { enterLocal } from "./http/local-track.ts";
import { listen, type RunningServer } from "./http/server.ts";
import { streamHandler, type StreamWant } from "./http/stream.ts";
import { isSourceKey, isTrackId, trackPath } from "./http/track-path.ts";
import { Offline } from "./prefetch/offline.ts";

/** Where log lines go; pino's loggers fit. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A source of tracks. Its key names them in paths and in the cache, and matches `^[a-z][a-z0-9-]*$`. */
export interface ProxySource {
  readonly key: string;
  readonly resolver: Resolver;
}

export interface ProxyOptions {
  /** The first is the default one. */
  readonly sources: readonly ProxySource[];
  readonly cacheDir: string;
  /** Bytes on disk. */
  readonly cacheSize: number;
  /** Checks what resolvers answer; throws an AfterbayError. */
  readonly validate: (value: unknown) => Resolution;
  readonly version: string;
  readonly log: Logger;
  /** Lets resolutions and redirects lead to private addresses. Default: only to a source's own configured host. */
  readonly allowPrivate?: boolean;
  /** Largest range asked for in one upstream request, bytes. Default 8 MiB. */
  readonly maxWindow?: number;
  /** Ms until an answer must have begun, if only with an error. Default 4000. */
  readonly firstByteMs?: number;
  /** Ms that a client which has its headers waits for the first byte. Default 20,000. */
  readonly patienceMs?: number;
  /** Stop fetching within 250 ms when nobody listens. */
  readonly dataSaver?: boolean;
  /** For requests that ask for none. */
  readonly quality?: Quality;
  /** Bytes a day that may be fetched to complete tracks of which little is missing; 0 turns that off. Default 256 MiB. */
  readonly healBudget?: number;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface ListenOptions {
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  readonly token?: string;
  readonly allowHosts?: readonly string[];
  readonly allowOrigins?: readonly string[];
}

/** A streaming cache: the default pipeline, put together. */
export interface Proxy extends AsyncDisposable {
  /** Serves over HTTP. Rejects where the address cannot be had, or would be open to others without a token. */
  listen(options?: ListenOptions): Promise<{ readonly url: string }>;
  /** The address a player opens; listen first. `source` defaults to the first one. */
  urlFor(id: string, source?: string): string;
  /** Answers one request for a track. Host, Origin and token are left to whoever mounts it. */
  handle(request: IncomingMessage, response: ServerResponse, id: string, source?: string): Promise<void>;
  /** Writes what is in hand and stops. Safe to call twice. */
  close(): Promise<void>;
}

const DEFAULT_HEAL_BUDGET = 256 * MiB;

/** Puts the default pipeline together and owns its life. Throws a ConfigError if `cacheDir` cannot be used. */
export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  const { sources, log, clock = systemClock, quality } = options;
  const [first] = sources;
  if (first === undefined) throw new RangeError("A proxy needs a source");
  // Whoever asks the owner before it is ready learns only that there is one.
  const owner: { take: OnConnection } = { take: (socket) => socket.destroy() };
  const dir = await claimCacheDir(options.cacheDir, (socket) => owner.take(socket));
  const offline = new Offline({ root: dir.root, clock, healBudget: options.healBudget ?? DEFAULT_HEAL_BUDGET });
  const agent = new Agent({
    connect: createGuardedConnector({
      allowPrivate: options.allowPrivate ?? false,
      exempt: new Set(sources.flatMap(({ resolver }) => resolver.hosts ?? [])),
    }),
    // A track's next window goes over the connection of the one before.
    keepAliveTimeout: 10_000,
  });
  const cache: TrackCache = new TrackCache({
    store: new FileChunkStore(dir.root),
    index: new TrackIndex(join(dir.root, "index.log"), (error) => cache.onStorageError(error)),
    upstream: bySource(new Map(sources.map((source) => [source.key, pipeline(source, options, clock, agent)]))),
    clock,
    log,
    budget: options.cacheSize,
    root: dir.root,
    isPinned: (key) => offline.isPinned(key),
    isWished: (key) => offline.isWished(key),
    onChanged: (key, change) => offline.onTrackChanged(key, change),
    dataSaver: options.dataSaver ?? false,
  });
  await cache.load();
  await offline.start(cache);
  const onError = (error: unknown): void => {
    // Its message may hold anything; where it was thrown does not.
    const { name, stack } = error instanceof Error ? error : new Error("unknown");
    log.error({ name, at: stack?.split("\n")[1]?.trim() }, "A request failed unexpectedly");
  };
  const locals = new Map(
    sources.flatMap(({ key, resolver: { local } }) => (local === undefined ? [] : [[key, local]])),
  );
  const stream = streamHandler({
    enter(want) {
      const local = locals.get(want.source);
      return local === undefined ? cache.enter(want) : enterLocal(local, want);
    },
    clock,
    firstByteMs: options.firstByteMs ?? 4000,
    patienceMs: options.patienceMs ?? 20_000,
    onError,
  });
  const catalogue = new Catalogue({
    cache,
    resolvers: new Map(sources.map(({ key, resolver }) => [key, resolver])),
    isPinned: (key) => offline.isPinned(key),
  });
  const serve = (request: IncomingMessage, response: ServerResponse, want: StreamWant): Promise<void> =>
    stream(request, response, quality === undefined ? want : { quality, ...want });

  let server: RunningServer | undefined;
  let closing: Promise<void> | undefined;
  const site: Site = {
    version: options.version,
    cache,
    catalogue,
    offline,
    defaultSource: first.key,
    stream: serve,
    isReady: () => closing === undefined,
    onError,
  };
  const control = controlServer({
    ...site,
    cacheDir: options.cacheDir,
    root: dir.root,
    sources: sources.map(({ key }) => key),
    url: () => server?.url,
    async importFile(path, key) {
      const file = await openImportable(path);
      try {
        await cache.importTrack(key, file);
        return file.size;
      } finally {
        await file.close();
      }
    },
  });
  owner.take = control.onConnection;
  const close = async (): Promise<void> => {
    await server?.close();
    offline.close();
    control.close();
    await cache.close();
    await agent.destroy();
    await Promise.all(sources.map(({ resolver }) => resolver.close?.()));
    await dir.release();
  };
  return {
    async listen({ host = "127.0.0.1", port = 0, token, allowHosts = [], allowOrigins = [] } = {}) {
      assertBindAllowed(host, token);
      server = await listen({
        host,
        port,
        allowHosts,
        allowOrigins,
        ...(token === undefined ? {} : { token }),
        site: token === undefined ? site : { ...site, token },
      });
      return { url: server.url };
    },
    urlFor(id, source = first.key) {
      if (server === undefined) throw new Error("listen first: without a server there is no URL");
      return server.url + trackPath(source, id);
    },
    async handle(request, response, id, source = first.key) {
      if (!isTrackId(id) || !isSourceKey(source))
        throw new AfterbayError("bad-request", "This cannot be a track's name");
      await serve(request, response, { source, id });
    },
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]() {
      closing ??= close();
      return closing;
    },
  };
}

const schedulers = new WeakMap<Agent, Scheduler>();

/** The way to one source's upstream: the first listed layer is the outermost. */
function pipeline({ key, resolver }: ProxySource, options: ProxyOptions, clock: Clock, agent: Agent): DataSource {
  const { validate, log, random = Math.random } = options;
  let scheduler = schedulers.get(agent);
  if (scheduler === undefined) schedulers.set(agent, (scheduler = new Scheduler(clock)));
  const maxWindow = Math.min(
    resolver.maxWindow ?? Number.POSITIVE_INFINITY,
    options.maxWindow ?? Number.POSITIVE_INFINITY,
  );
  const windows = {
    limits: new WindowLimits(clock),
    ...(Number.isFinite(maxWindow) ? { maxWindow } : {}),
  };
  const onResolve = ({ ms, ok }: { ms: number; ok: boolean }): void =>
    log.debug({ source: key, ms: Math.round(ms), ok }, "Resolved");
  const resolved = windowing(rangeFallback(http({ dispatcher: agent, clock })), windows);
  const named = resolving(resolved, { resolver, uriCache: new MemoryUriCache(clock), clock, validate, onResolve });
  return prioritized(retrying(refreshing(overlapping(named)), { clock, random }), { scheduler });
}

function bySource(sources: ReadonlyMap<string, DataSource>): DataSource {
  return {
    async open(spec, options) {
      const source = sources.get(spec.source);
      if (source === undefined) throw new AfterbayError("not-found", "There is no such source");
      return await source.open(spec, options);
    },
  };
}
