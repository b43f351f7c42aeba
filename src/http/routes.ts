import type { ServerResponse } from "node:http";
import { AfterbayError } from "../errors.ts";
import type { ApiTrack } from "./api-track.ts";
import { artwork } from "./artwork-route.ts";
import { tokenCookie } from "./doors.ts";
import { findRoutes } from "./find-routes.ts";
import { readJson } from "./json-body.ts";
import { renderPage } from "./page.ts";
import { playerRoutes } from "./player-routes.ts";
import { PLAYLIST_TYPE, playlistPieces } from "./playlist.ts";
import { checkList, parseWishList, prefetchPieces } from "./prefetch-api.ts";
import { PROMETHEUS_TYPE, renderMetrics } from "./prometheus.ts";
import { type Call, goneSignal, jsonPieces, type Route, send, sendJson, type Site, trackOf } from "./routing.ts";
import { sendPieces } from "./send-pieces.ts";
import { listSessions } from "./sessions-api.ts";
import { wantedOf } from "./stream.ts";
import { isArtworkPath, parseStreamPath } from "./track-path.ts";

const TRACKS = "/api/tracks/";
const PREFETCH = "/api/prefetch/";
/** Tracks on the page: more would be no list that anyone reads. */
const MAX_SHOWN = 500;

/** What every client may ask for. */
export const publicRoutes: readonly Route[] = [
  { matches: (path) => path.startsWith("/stream/"), methods: { GET: stream } },
  {
    matches: is("/ping"),
    methods: { GET: async ({ response }) => send(response, 200, "text/plain; charset=utf-8", "pong") },
  },
  { matches: is("/healthz"), methods: { GET: async ({ response }) => sendJson(response, 200, { status: "ok" }) } },
  { matches: is("/readyz"), methods: { GET: ready } },
  { matches: is("/api/tracks"), methods: { GET: tracks } },
  ...findRoutes,
  { matches: (path) => path.startsWith(TRACKS) && path.endsWith("/pin"), methods: { PUT: pin, DELETE: unpin } },
  { matches: isArtworkPath, methods: { GET: artwork } },
  { matches: (path) => path.startsWith(TRACKS), methods: { GET: track, DELETE: forget } },
  { matches: is("/api/sessions"), methods: { GET: sessions } },
  { matches: is("/api/events"), methods: { GET: events } },
  { matches: is("/metrics"), methods: { GET: metrics } },
  { matches: is("/api/prefetch"), methods: { GET: prefetch, PUT: replaceList } },
  { matches: (path) => path.startsWith(PREFETCH), methods: { DELETE: cancelPrefetch } },
  ...playerRoutes,
  { matches: is("/playlist.m3u8"), methods: { GET: (call) => playlist(call, false) } },
  { matches: is("/playlist/cached.m3u8"), methods: { GET: (call) => playlist(call, true) } },
  { matches: is("/"), methods: { GET: page } },
];

function is(expected: string): (path: string) => boolean {
  return (path) => path === expected;
}

async function stream({ site, request, response, path, query }: Call): Promise<void> {
  const named = parseStreamPath(path);
  if (named === undefined) throw new AfterbayError("bad-request", "A stream path names a track");
  const key = site.finder.canonical({ source: named.source ?? site.defaultSource, id: named.id });
  await site.stream(request, response, { ...key, ...wantedOf(query) });
}

async function ready({ site, response }: Call): Promise<void> {
  const isReady = site.isReady();
  sendJson(response, isReady ? 200 : 503, { status: isReady ? "ready" : "not ready" });
}

async function tracks({ site, response }: Call): Promise<void> {
  await sendPieces(response, "application/json", jsonPieces(site.catalogue.list()));
}

async function track(call: Call): Promise<void> {
  const { site, response } = call;
  const found = await site.catalogue.find(trackOf(TRACKS, call));
  if (found === undefined) throw new AfterbayError("not-found", "There is no such track");
  sendJson(response, 200, found);
}

async function forget(call: Call): Promise<void> {
  const { site, response } = call;
  const key = trackOf(TRACKS, call);
  // Whoever wants it gone does not want it fetched again.
  const unpinned = await site.offline.forget(key);
  const { found, inUse } = await site.cache.delete(key);
  if (!found && !unpinned) throw new AfterbayError("not-found", "Nothing of this track is cached");
  // Whoever plays it keeps its bytes until they are done.
  response.writeHead(inUse ? 202 : 204).end();
}

async function pin(call: Call): Promise<void> {
  const { site, request, response } = call;
  const key = trackOf(TRACKS, call, "pin");
  request.resume();
  await site.offline.pin(key, goneSignal(response));
  const found = await site.catalogue.find(key);
  sendJson(response, 200, found ?? { ...key, pinned: true });
}

async function unpin(call: Call): Promise<void> {
  const { site, response } = call;
  const key = trackOf(TRACKS, call, "pin");
  if (!(await site.offline.unpin(key))) throw new AfterbayError("not-found", "This track is not kept offline");
  const found = await site.catalogue.find(key);
  sendJson(response, 200, found ?? { ...key, pinned: false });
}

async function sessions({ site, response, query }: Call): Promise<void> {
  sendJson(response, 200, { sessions: listSessions(site.recorder, query, site.finder) });
}

async function events({ site, request, response }: Call): Promise<void> {
  site.events.connect(request, response);
}

async function metrics({ site, response }: Call): Promise<void> {
  send(response, 200, PROMETHEUS_TYPE, renderMetrics(await site.metrics()));
}

async function prefetch({ site, response }: Call): Promise<void> {
  await sendLists(site, response, new Map(site.offline.prefetcher.lists()));
}

async function sendLists(
  { cache, offline }: Site,
  response: ServerResponse,
  lists: ReturnType<Site["offline"]["prefetcher"]["lists"]>,
): Promise<void> {
  const pieces = prefetchPieces(offline, lists, (key) => {
    const stored = cache.find(key);
    const size = stored?.facts.size;
    return { cachedBytes: stored?.bytes ?? 0, ...(size === undefined ? {} : { size }) };
  });
  await sendPieces(response, "application/json", pieces);
}

async function replaceList({ site, request, response, query }: Call): Promise<void> {
  const name = query.get("list") ?? "default";
  checkList(name, 0, site.offline);
  const body = await readJson(request);
  const isLatest = site.listTurns.begin(name);
  const { ids, mode } = await parseWishList(body, site.finder, goneSignal(response));
  checkList(name, ids.length, site.offline);
  if (isLatest()) site.offline.prefetcher.setList(name, ids, mode);
  await sendLists(site, response, new Map(ids.length === 0 ? [] : [[name, { ids, mode }]]));
}

async function cancelPrefetch(call: Call): Promise<void> {
  const { site, response } = call;
  site.offline.prefetcher.cancel(trackOf(PREFETCH, call));
  response.writeHead(204).end();
}

async function playlist({ site, request, response }: Call, onlyComplete: boolean): Promise<void> {
  // The doors have held the Host against the list of allowed ones.
  const origin = `http://${request.headers.host ?? "localhost"}`;
  const options = { origin, token: site.token, onlyComplete };
  await sendPieces(response, PLAYLIST_TYPE, playlistPieces(site.catalogue.list(), options));
}

async function page({ site, response }: Call): Promise<void> {
  const shown: ApiTrack[] = [];
  const totals = { tracks: 0, complete: 0, cachedBytes: site.cache.bytes, budgetBytes: site.cache.budget };
  for await (const one of site.catalogue.list()) {
    totals.tracks += 1;
    if (one.complete) totals.complete += 1;
    if (shown.length < MAX_SHOWN) shown.push(one);
  }
  const { html, csp } = renderPage({ tracks: shown, totals, version: site.version });
  // Its players can send no header: whoever was let in to the page is let in to what it plays.
  const cookie: Record<string, string> = site.token === undefined ? {} : { "set-cookie": tokenCookie(site.token) };
  send(response, 200, "text/html; charset=utf-8", html, {
    "content-security-policy": csp,
    // Its own address may hold the token.
    "referrer-policy": "no-referrer",
    ...cookie,
  });
}
