import { once } from "node:events";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { TrackKey } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";
import { readJson } from "./json-body.ts";
import { publicRoutes } from "./routes.ts";
import { type Call, dispatch, goneSignal, type Route, sendJson, type Site, trackOf } from "./routing.ts";
import { trackKey } from "./track-path.ts";

/** What only the owner of the machine's account may ask: over the socket in the cache directory, without doors. */
export interface ControlSite extends Site {
  readonly cacheDir: string;
  /** The folder of this format's version. */
  readonly root: string;
  readonly sources: readonly string[];
  /** Where the public server listens, if it does. */
  readonly url: () => string | undefined;
  /** Seeds the cache with a file; its size. Rejects with an AfterbayError or the abort's reason, and nothing is kept. */
  readonly importFile: (file: string, key: { source: string; id: string }, signal: AbortSignal) => Promise<number>;
}

export interface ControlServer {
  readonly onConnection: (socket: Socket) => void;
  /** Lets answers that are being given end, for a second at most, and takes no more requests. */
  close(): Promise<void>;
}

/** How long running answers may take to end, ms: a supervisor waits 2 s for the whole process. */
const FAREWELL_MS = 1000;

/** Serves the control API, and the public one, on connections that are handed to it. */
export function controlServer(site: ControlSite): ControlServer {
  const routes = [...controlRoutes(site), ...publicRoutes];
  const sockets = new Set<Socket>();
  const busy = new Set<Socket>();
  let closing = false;
  const server = createServer((request, response) => {
    const { socket } = request;
    busy.add(socket);
    response.once("close", () => {
      busy.delete(socket);
      if (closing) socket.destroySoon();
    });
    response.on("error", () => {});
    void dispatch(routes, site, request, response);
  });
  return {
    onConnection(socket) {
      if (closing) {
        socket.destroy();
        return;
      }
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      server.emit("connection", socket);
    },
    async close() {
      closing = true;
      const ended = [...sockets].map((socket) => once(socket, "close"));
      for (const socket of sockets) if (!busy.has(socket)) socket.destroy();
      const limit = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, FAREWELL_MS);
      await Promise.allSettled(ended);
      clearTimeout(limit);
    },
  };
}

function controlRoutes(site: ControlSite): Route[] {
  const { cache } = site;
  const at = (path: string, methods: Route["methods"]): Route => ({ matches: (asked) => asked === path, methods });

  async function about({ response }: Call): Promise<void> {
    sendJson(response, 200, {
      pid: process.pid,
      version: site.version,
      url: site.url() ?? null,
      cacheDir: site.cacheDir,
      root: site.root,
      bytes: cache.bytes,
      diskBytes: await cache.measureDisk(),
      budget: cache.budget,
      defaultSource: site.defaultSource,
      sources: site.sources,
    });
  }

  async function clear({ response }: Call): Promise<void> {
    const before = cache.bytes;
    let removed = 0;
    // First whatever would have them fetched again, also of tracks of which nothing came yet.
    await site.offline.forgetAll();
    for (const key of cache.keys()) if ((await cache.delete(key)).found) removed += 1;
    sendJson(response, 200, { removed, bytes: before - cache.bytes, kept: cache.bytes });
  }

  async function evict({ request, response }: Call): Promise<void> {
    const { to, dryRun = false } = (await readJson(request)) as { to?: unknown; dryRun?: unknown };
    if (typeof to !== "number" || !(to >= 0) || typeof dryRun !== "boolean") {
      throw new AfterbayError("bad-request", "to is a number of bytes, dryRun a boolean");
    }
    const { before, after, victims, spared } = await cache.evictTo(to, { dryRun });
    sendJson(response, 200, {
      before,
      after,
      victims: victims.map(({ source, id, bytes, playedAt }) => ({
        key: trackKey(source, id),
        bytes,
        playedAt: new Date(playedAt).toISOString(),
      })),
      spared: spared.map(({ source, id, why }) => ({ key: trackKey(source, id), why })),
    });
  }

  async function verify({ request, response }: Call): Promise<void> {
    const { repair = false } = (await readJson(request)) as { repair?: unknown };
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const isWanted = (): boolean => !response.destroyed && site.isReady();
    let checked = 0;
    let bad = 0;
    for (const key of cache.keys()) {
      // Without its last line, the answer is known to be a part.
      if (!isWanted()) return void response.end();
      if (cache.find(key) === undefined) continue;
      const badBytes = await cache.verify(key);
      checked += 1;
      bad += badBytes > 0 ? 1 : 0;
      const repaired = repair === true && badBytes > 0 ? { repaired: await refetch(key, isWanted) } : {};
      const line = { key: trackKey(key.source, key.id), ok: badBytes === 0, badBytes, ...repaired };
      response.write(`${JSON.stringify(line)}\n`);
    }
    response.end(`${JSON.stringify({ done: true, checked, bad })}\n`);
  }

  /** Fetches what is missing of a track, as long as `isWanted`. True if it is whole then. */
  async function refetch(key: TrackKey, isWanted: () => boolean): Promise<boolean> {
    const name = `verify-${key.source}-${Date.now()}`;
    const { prefetcher } = site.offline;
    prefetcher.setList(name, [key], "full");
    try {
      for (;;) {
        const { state } = prefetcher.stateOf(key, "full");
        const isOver = state !== "waiting" && state !== "fetching";
        if (isOver || !isWanted()) return cache.find(key)?.complete ?? false;
        await new Promise((done) => setTimeout(done, 50));
      }
    } finally {
      prefetcher.setList(name, [], "full");
    }
  }

  async function file({ response, path }: Call): Promise<void> {
    const key = trackOf("/control/file/", { site, path });
    const stored = cache.find(key);
    const place = cache.pathOf(key);
    if (stored?.complete !== true || place === undefined) {
      throw new AfterbayError("not-cached", "This track is not completely in the cache");
    }
    // Its bytes leave our hands: they are checked once more.
    if ((await cache.verify(stored)) > 0) throw new AfterbayError("not-cached", "Stored bytes of this track went bad");
    const { size, contentType } = stored.facts;
    sendJson(response, 200, { path: place, size, contentType, complete: true, ...stored.meta });
  }

  async function importOne({ request, response }: Call): Promise<void> {
    const { file: from, source, id } = (await readJson(request)) as Record<string, unknown>;
    if (typeof from !== "string" || typeof source !== "string" || typeof id !== "string") {
      throw new AfterbayError("bad-request", "file, source and id are texts");
    }
    const key = site.finder.canonical({ source, id });
    const bytes = await site.importFile(from, key, goneSignal(response));
    sendJson(response, 200, { key: trackKey(key.source, key.id), bytes });
  }

  return [
    at("/control/about", { GET: about }),
    at("/control/clear", { POST: clear }),
    at("/control/evict", { POST: evict }),
    at("/control/verify", { POST: verify }),
    at("/control/import", { POST: importOne }),
    { matches: (path) => path.startsWith("/control/file/"), methods: { GET: file } },
  ];
}
