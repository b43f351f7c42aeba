import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { Agent } from "undici";
import { Covers } from "./artwork/covers.ts";
import { claimCacheDir, type OnConnection } from "./cache/cache-dir.ts";
import { FileChunkStore } from "./cache/file-store.ts";
import { openImportable } from "./cache/import-file.ts";
import { TrackCache, type TrackChange } from "./cache/track-cache.ts";
import { TrackIndex } from "./cache/track-index.ts";
import { createGuardedConnector } from "./data-source/guarded-connector.ts";
import type { TrackMeta } from "./cache/index-entry.ts";
import { abortable } from "./data-source/aborting.ts";
import { type Clock, systemClock } from "./data-source/clock.ts";
import { type DataSource, MiB, type TrackKey } from "./data-source/data-source.ts";
import type { Quality } from "./data-source/quality.ts";
import type { Resolution, Resolver } from "./data-source/resolution.ts";
import { bySource, sourcePipeline } from "./data-source/default-pipeline.ts";
import { Scheduler } from "./data-source/scheduler.ts";
import { abortReason, AfterbayError, ConfigError } from "./errors.ts";
import { Events, type Listener, type ProxyEvents } from "./events.ts";
import { Catalogue } from "./http/catalogue.ts";
import type { PlayerApi } from "./http/player-api.ts";
import { PlayerFeed } from "./http/player-feed.ts";
import { Finder, type FoundTrack } from "./http/finder.ts";
import { ListTurns } from "./http/list-turns.ts";
import { assertBindAllowed, parseAllowedHost, parseAllowedOrigin } from "./http/doors.ts";
import { controlServer } from "./http/control.ts";
import { dispatch, type Site } from "./http/routing.ts";
import { enterLocal } from "./http/local-track.ts";
import { collectMetrics } from "./http/metrics.ts";
import { listen, type RunningServer } from "./http/server.ts";
import { streamHandler, type StreamWant, wantedOf } from "./http/stream.ts";
import { encodeSegment, isSourceKey, isTrackId, trackKey, trackPath } from "./http/track-path.ts";
import { fetchAll, type Fetched } from "./prefetch/fetch-all.ts";
import { Offline } from "./prefetch/offline.ts";
import { Telemetry } from "./telemetry.ts";

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
  /** Where more is kept at the start, there is no budget: someone else decides what goes. */
  readonly sparing?: boolean;
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
  /** False: fetches nothing of itself, neither pins nor tails; for an owner that lives as long as one command. */
  readonly background?: boolean;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface ListenOptions {
  /** Default 127.0.0.1. Another one needs a token. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** A secret that clients must know: as `?token=`, as a Bearer token, or in the page's cookie. */
  readonly token?: string;
  /** Other names of this server that a Host header may carry: `host` or `host:port`. */
  readonly allowHosts?: readonly string[];
  /** Web pages that may play from here: `scheme://host[:port]`. */
  readonly allowOrigins?: readonly string[];
}

export interface PrefetchOptions {
  /** Its abort ends what only this call wanted. */
  readonly signal?: AbortSignal;
  /** `head`: the first 512 KiB. Default `full`. */
  readonly mode?: "head" | "full";
  /** The source of all ids. Default: the first one. */
  readonly source?: string;
}

export interface FindOptions {
  /** Its abort ends what only this call wanted. */
  readonly signal?: AbortSignal;
  /** The source to ask. Default: to search, all that can; else the first one. */
  readonly source?: string;
  /** At most so many tracks, of each source; 1 to 100. Default 20. */
  readonly limit?: number;
}

/** How the prefetch of one track ended. */
export interface PrefetchedTrack extends Fetched {
  readonly id: string;
}

/**
 * A streaming cache: the default pipeline, put together. Ids are taken as they are, 1 to 200 characters without control
 * characters; `source` is a source's name and defaults to the first one.
 */
export interface Proxy extends AsyncDisposable {
  /**
   * Serves over HTTP, on one more address each time. Rejects where the address cannot be had, or would be open to others
   * without a token, and when the proxy is closed.
   */
  listen(options?: ListenOptions): Promise<{ readonly url: string; readonly port: number }>;
  /** The address a player opens, on the server that was started last, with its token where it has one. Throws before {@link listen}, and for what is no id. */
  urlFor(id: string, source?: string): string;
  /**
   * Answers one request for a track, with `?quality=` and `?offline=1` of its URL. Host, Origin and token are left to
   * whoever mounts it. Never rejects: what fails is answered as problem+json, or ends the socket once bytes are out.
   */
  handle(request: IncomingMessage, response: ServerResponse, id: string, source?: string): Promise<void>;
  /**
   * Caches tracks without playing them. Resolves when each is cached, has failed or was cancelled, in the order of `ids`.
   * Rejects only with the signal's reason, or an AbortError when the proxy closes.
   */
  prefetch(ids: readonly string[], options?: PrefetchOptions): Promise<PrefetchedTrack[]>;
  /**
   * The tracks that fit some words, source by source; a source that fails is left out unless all do. Rejects with
   * `bad-request` where none can search.
   */
  search(words: string, options?: FindOptions): Promise<readonly FoundTrack[]>;
  /**
   * The tracks that ids and links stand for, in order: each track as it is, and those of each playlist, album or radio, at
   * most 1000. An id may be written `source/id`, its parts percent-encoded, or be a link as it is.
   */
  expand(ids: readonly string[], options?: Pick<FindOptions, "signal">): Promise<readonly FoundTrack[]>;
  /** What to play after a track. Rejects with `bad-request` where its source does not know. */
  similar(id: string, options?: FindOptions): Promise<readonly FoundTrack[]>;
  /** Takes a track off all wish lists. What is fetched of it for a player goes on. */
  cancelPrefetch(id: string, source?: string): void;
  /**
   * Fetches a track and never evicts it. Settles when that is noted on disk, not when it is fetched. Rejects with
   * `no-space` if it does not fit beside the other pins, or with what its source said when asked for its size.
   */
  pin(id: string, source?: string): Promise<void>;
  /** True if it was pinned. Its bytes stay until space is needed. */
  unpin(id: string, source?: string): Promise<boolean>;
  /** What is known of a track without asking anyone: as it was resolved, or as its source lists it. */
  factsOf(track: TrackKey): TrackMeta;
  /**
   * Lets clients of this server steer a player: `/api/player`, and `player` events. One at a time: a later one takes the
   * place of an earlier one. The answer takes it away.
   */
  attachPlayer(player: PlayerApi): () => void;
  /** The budget on disk, bytes. Lowering it evicts at once what is not in use; throws a ConfigError for no whole number from 0 up. */
  cacheSize: number;
  /** Listens to an event. A listener is called as part of the work it tells of; what it throws is logged and goes no further. */
  on<Name extends keyof ProxyEvents>(event: Name, listener: Listener<Name>): void;
  off<Name extends keyof ProxyEvents>(event: Name, listener: Listener<Name>): void;
  /** Writes what is in hand, ends playbacks, and frees the port and the directory. Safe to call twice. */
  close(): Promise<void>;
}

const DEFAULT_HEAL_BUDGET = 256 * MiB;
const DEFAULT_FOUND = 20;

/** Puts the default pipeline together and owns its life. Throws a ConfigError if `cacheDir` cannot be used. */
export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  const { sources, log, clock = systemClock, quality } = options;
  const [first] = sources;
  if (first === undefined) throw new RangeError("A proxy needs a source");
  // Whoever asks the owner before it is ready learns only that there is one.
  const owner: { take: OnConnection } = { take: (socket) => socket.destroy() };
  const dir = await claimCacheDir(options.cacheDir, {
    onConnection: (socket) => owner.take(socket),
    onLost: () => cache.onStorageError(new ConfigError("Another process owns the cache directory now")),
  });
  const events = new Events((error) => log.error(describe(error), "A listener failed"));
  const telemetry = new Telemetry({
    clock,
    events,
    sources: sources.map(({ key }) => key),
    describe: (key) => storedOf(cache, key),
  });
  const offline = new Offline({
    root: dir.root,
    clock,
    healBudget: options.healBudget ?? DEFAULT_HEAL_BUDGET,
    onChunk: ({ source, id }, index) => events.emit("chunk", { key: trackKey(source, id), index, from: "upstream" }),
    ...(options.background === undefined ? {} : { background: options.background }),
    onProgress: ({ key, part, ...progress }) =>
      events.emit("prefetch", {
        key: trackKey(key.source, key.id),
        mode: part === "head" ? "head" : "full",
        ...progress,
      }),
  });
  const agent = new Agent({
    connect: createGuardedConnector({
      allowPrivate: options.allowPrivate ?? false,
      exempt: new Set(sources.flatMap(({ resolver }) => resolver.hosts ?? [])),
    }),
    // A track's next window goes over the connection of the one before.
    keepAliveTimeout: 10_000,
  });
  const { validate, maxWindow, patienceMs, random = Math.random } = options;
  const shared = { clock, dispatcher: agent, scheduler: new Scheduler(clock), validate, maxWindow, patienceMs, random };
  const upstreamOf = ({ key, resolver }: ProxySource): DataSource =>
    sourcePipeline(resolver, {
      ...shared,
      onResolve({ ms, ended }) {
        log.debug({ source: key, ms: Math.round(ms), ended }, "Resolved");
        telemetry.totals.of(key).resolved(ms, ended);
      },
      onCircuit(isOpen) {
        if (isOpen)
          log.warn({ source: key }, "This source fails for all tracks; it is asked for nothing for 5 s at a time");
        else log.info({ source: key }, "This source is asked again");
      },
    });
  // Until there is someone to be told.
  let onTrackChanged = (_key: TrackKey, _change: TrackChange): void => {};
  let onCover = (_key: TrackKey, _address: string): void => {};
  const cache: TrackCache = new TrackCache({
    store: new FileChunkStore(dir.root, clock),
    index: new TrackIndex(join(dir.root, "index.log"), (error) => cache.onStorageError(error), clock),
    upstream: telemetry.watch(bySource(new Map(sources.map((source) => [source.key, upstreamOf(source)])))),
    clock,
    log,
    budget: options.cacheSize,
    sparing: options.sparing ?? false,
    root: dir.root,
    isPinned: (key) => offline.isPinned(key),
    isWished: (key) => offline.isWished(key),
    onChanged(key, change, bytes = 0) {
      offline.onTrackChanged(key, change);
      onTrackChanged(key, change);
      if (change === "stored") telemetry.totals.of(key.source).storedBytes += bytes;
      events.emit("track", { key: trackKey(key.source, key.id), change });
    },
    onResolved: (key, { artwork }) => {
      if (artwork !== undefined) onCover(key, artwork);
    },
    onEvicted: ({ source, id, bytes }, reason) => events.emit("evict", { key: trackKey(source, id), bytes, reason }),
    dataSaver: options.dataSaver ?? false,
  });
  try {
    await cache.load();
    await offline.start(cache);
  } catch (error) {
    await agent.destroy();
    await dir.release();
    throw error;
  }
  const onError = (error: unknown): void => log.error(describe(error), "A request failed unexpectedly");
  const locals = new Map(
    sources.flatMap(({ key, resolver: { local } }) => (local === undefined ? [] : [[key, local]])),
  );
  const stream = streamHandler({
    async enter(want) {
      const local = locals.get(want.source);
      const track = await (local === undefined ? cache.enter(want) : enterLocal(local, want));
      return events.watch(track, trackKey(want.source, want.id));
    },
    hintOf: (want) => cache.hintOf(want),
    clock,
    firstByteMs: options.firstByteMs ?? 4000,
    patienceMs: options.patienceMs ?? 20_000,
    recorder: telemetry.recorder,
    onError,
  });
  const resolvers = new Map(sources.map(({ key, resolver }) => [key, resolver]));
  const finder = new Finder({ resolvers, clock });
  const catalogue = new Catalogue({
    cache,
    resolvers,
    isPinned: (key) => offline.isPinned(key),
  });
  const covers = new Covers({
    cache,
    dispatcher: agent,
    scheduler: shared.scheduler,
    clock,
    addressOf: (key) => catalogue.artworkAddress(key),
    localOf: (source) => locals.get(source),
    background: options.background !== false && options.dataSaver !== true,
  });
  onTrackChanged = (key, change) => covers.onTrackChanged(key, change);
  onCover = (key, address) => covers.hear(key, address);
  const serve = (request: IncomingMessage, response: ServerResponse, want: StreamWant): Promise<void> =>
    stream(request, response, quality === undefined ? want : { quality, ...want });

  let player: { readonly api: PlayerApi; readonly feed: PlayerFeed } | undefined;
  const servers: (RunningServer & { readonly token: string | undefined })[] = [];
  let closing: Promise<void> | undefined;
  const gone = new AbortController();
  const site: Site = {
    version: options.version,
    cache,
    catalogue,
    finder,
    listTurns: new ListTurns(),
    offline,
    artwork: covers,
    defaultSource: first.key,
    recorder: telemetry.recorder,
    events: telemetry.stream,
    metrics: () =>
      collectMetrics(telemetry.totals, telemetry.recorder, {
        version: options.version,
        cache,
        upstream: shared.scheduler.counts,
        prefetch: countBy(offline.prefetcher.states(), ({ state }) => state),
        eventClients: telemetry.stream.clients,
      }),
    player: () => player,
    stream: serve,
    isReady: () => closing === undefined,
    onError,
  };
  const control = controlServer({
    ...site,
    cacheDir: options.cacheDir,
    root: dir.root,
    sources: sources.map(({ key }) => key),
    url: () => servers.at(-1)?.url,
    async importFile(path, key, signal) {
      const file = await openImportable(path);
      try {
        await cache.importTrack(key, { ...file, chunks: () => whileWanted(file.chunks(), signal) });
        return file.size;
      } finally {
        await file.close();
      }
    },
  });
  owner.take = control.onConnection;
  const keyOf = (id: string, source = first.key): TrackKey => {
    if (!isTrackId(id) || !sources.some(({ key }) => key === source)) throw badName();
    return finder.canonical({ source, id });
  };
  const found = async (
    signal: AbortSignal | undefined,
    find: (until: AbortSignal) => Promise<readonly FoundTrack[]>,
  ): Promise<readonly FoundTrack[]> => {
    const tracks = await abortable(find(signal ?? gone.signal), gone.signal);
    catalogue.hear(tracks);
    return tracks;
  };
  const close = async (): Promise<void> => {
    gone.abort(new DOMException("The proxy is closing", "AbortError"));
    player?.feed.close();
    telemetry.close();
    await Promise.all(servers.map((server) => server.close()));
    await control.close();
    offline.close();
    await covers.close();
    await cache.close();
    await agent.destroy();
    for (const { resolver } of sources) await resolver.close?.();
    await dir.release();
  };
  return {
    async listen({ host = "127.0.0.1", port = 0, token, allowHosts = [], allowOrigins = [] } = {}) {
      if (gone.signal.aborted) throw abortReason(gone.signal);
      assertBindAllowed(host, token);
      // Before anything listens that would have to be closed again.
      allowHosts.forEach(parseAllowedHost);
      allowOrigins.forEach(parseAllowedOrigin);
      const server = await listen({
        host,
        port,
        allowHosts,
        allowOrigins,
        ...(token === undefined ? {} : { token }),
        site: token === undefined ? site : { ...site, token },
      });
      if (gone.signal.aborted) {
        await server.close();
        throw abortReason(gone.signal);
      }
      servers.push({ ...server, token });
      // URLs leave http's own port out.
      return { url: server.url, port: Number(new URL(server.url).port || 80) };
    },
    urlFor(id, source) {
      const server = servers.at(-1);
      if (server === undefined) throw new Error("listen first: without a server there is no URL");
      const key = keyOf(id, source);
      const query = server.token === undefined ? "" : `?token=${encodeSegment(server.token)}`;
      return server.url + trackPath(key.source, key.id) + query;
    },
    async handle(request, response, id, source = first.key) {
      // A client that resets its connection is no error of the app's.
      response.on("error", () => {});
      await dispatch(
        [
          {
            matches: () => true,
            methods: {
              async GET({ query }) {
                if (!isTrackId(id) || !isSourceKey(source)) throw badName();
                await serve(request, response, { ...finder.canonical({ source, id }), ...wantedOf(query) });
              },
            },
          },
        ],
        site,
        request,
        response,
      ).catch(onError);
    },
    async prefetch(ids, { signal, mode = "full", source = first.key } = {}) {
      const until = signal === undefined ? gone.signal : AbortSignal.any([signal, gone.signal]);
      const named = ids.filter((id) => isTrackId(id) && sources.some(({ key }) => key === source));
      const keys = named.map((id) => finder.canonical({ source, id }));
      const fetched = await fetchAll({ prefetcher: offline.prefetcher, cache }, keys, mode, until);
      const byId = new Map(named.map((id, at) => [id, fetched[at]]));
      return ids.map((id) => ({ id, ...(byId.get(id) ?? { state: "failed", code: "bad-request" }) }));
    },
    search(words, { source, limit = DEFAULT_FOUND, signal } = {}) {
      return found(signal, async (until) => {
        const { tracks } = await finder.search(words, { source, limit, signal: until });
        return tracks;
      });
    },
    expand(ids, { signal } = {}) {
      return found(
        signal,
        async (until) =>
          await finder.expand(
            ids.map((id) => finder.keyOf(id)),
            until,
          ),
      );
    },
    similar(id, { source, limit = DEFAULT_FOUND, signal } = {}) {
      return found(signal, async (until) => await finder.similar(keyOf(id, source), { limit, signal: until }));
    },
    cancelPrefetch(id, source) {
      offline.prefetcher.cancel(keyOf(id, source));
    },
    async pin(id, source) {
      await offline.pin(keyOf(id, source), gone.signal);
    },
    async unpin(id, source) {
      return await offline.unpin(keyOf(id, source));
    },
    factsOf: (track) => catalogue.facts(track),
    attachPlayer(api) {
      player?.feed.close();
      const feed = new PlayerFeed({
        api,
        catalogue,
        clock,
        publish: (state) => telemetry.player(state),
        isListening: () => telemetry.stream.isListening,
      });
      const attached = { api, feed };
      player = attached;
      return () => {
        feed.close();
        if (player === attached) player = undefined;
      };
    },
    get cacheSize() {
      return cache.budget;
    },
    set cacheSize(bytes) {
      if (!Number.isSafeInteger(bytes) || bytes < 0)
        throw new ConfigError("The cache's size is a whole number of bytes");
      const isRaised = bytes > cache.budget;
      cache.budget = bytes;
      if (isRaised) offline.prefetcher.onRoom();
    },
    on: (event, listener) => events.on(event, listener),
    off: (event, listener) => events.off(event, listener),
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

/** What is told of a track beside its news. */
function storedOf(cache: TrackCache, key: string): object {
  const [source = "", id = ""] = key.split("/").map(decodeURIComponent);
  const stored = cache.find({ source, id });
  if (stored === undefined) return { cachedBytes: 0, complete: false };
  const { facts, bytes, complete } = stored;
  return { ...(facts.size === undefined ? {} : { size: facts.size }), cachedBytes: bytes, complete };
}

function countBy<Item>(items: Iterable<Item>, nameOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return counts;
}

/** An error's message may hold anything; where it was thrown does not. */
function describe(error: unknown): { name: string; at: string | undefined } {
  const { name, stack } = error instanceof Error ? error : new Error("unknown");
  return { name, at: stack?.split("\n")[1]?.trim() };
}

async function* whileWanted(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    if (signal.aborted) throw abortReason(signal);
    yield chunk;
  }
}

function badName(): AfterbayError {
  return new AfterbayError("bad-request", "This cannot be a track's name");
}
