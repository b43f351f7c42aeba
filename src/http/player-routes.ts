import { TimeSlice } from "../data-source/time-slice.ts";
import { AfterbayError } from "../errors.ts";
import { readIds } from "./id-list.ts";
import { readJson } from "./json-body.ts";
import type { PlayerApi } from "./player-api.ts";
import type { PlayerFeed } from "./player-feed.ts";
import { type Call, goneSignal, type Route, sendJson, type Site } from "./routing.ts";
import { sendPieces } from "./send-pieces.ts";
import { trackKey } from "./track-path.ts";

const VERBS = "/api/player/";

/** The player in this room, where there is one. */
export const playerRoutes: readonly Route[] = [
  { matches: (path) => path === "/api/player", methods: { GET: show } },
  { matches: (path) => path.startsWith(VERBS), methods: { POST: command } },
];

async function show({ site, response, query }: Call): Promise<void> {
  const { api, feed } = playerOf(site);
  const offset = wholeNumber(query, "offset", 0);
  const limit = wholeNumber(query, "limit", Number.POSITIVE_INFINITY);
  await sendPieces(response, "application/json", pieces(site, feed.state, api.queue, [offset, offset + limit]));
}

/** The state with the queue's entries [start, end). */
async function* pieces(
  { catalogue }: Site,
  state: object,
  queue: PlayerApi["queue"],
  [start, end]: readonly [number, number],
): AsyncGenerator<string> {
  const shown = queue.slice(start, end);
  const known = await catalogue.learn(shown);
  const slice = new TimeSlice();
  yield `${JSON.stringify(state).slice(0, -1)},"queue":[`;
  let comma = "";
  for (const { entry, source, id } of shown) {
    if (slice.isOver) await slice.pause();
    const key = trackKey(source, id);
    yield comma + JSON.stringify({ entry, source, id, key, ...known.get(key) });
    comma = ",";
  }
  yield "]}";
}

async function command(call: Call): Promise<void> {
  const { site, request, response, path } = call;
  const { api, feed } = playerOf(site);
  const body = await readJson(request, {});
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new AfterbayError("bad-request", "The body is a JSON object");
  }
  const about = await withTracks(call, body as Record<string, unknown>);
  await api.command(path.slice(VERBS.length), about, site.defaultSource);
  sendJson(response, 200, feed.state);
}

/** The body with the keys of tracks in place of what names them, links and playlists among it. */
async function withTracks(
  { site, response }: Call,
  body: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  if (body["ids"] === undefined) return body;
  const named = await readIds(body["ids"], (text) => site.finder.keyOf(text));
  const tracks = await site.finder.expand(named, goneSignal(response));
  site.catalogue.hear(tracks);
  return { ...body, ids: tracks.map(({ source, id }) => trackKey(source, id)) };
}

function playerOf({ player }: Site): { readonly api: PlayerApi; readonly feed: PlayerFeed } {
  const playing = player();
  if (playing === undefined) {
    throw new AfterbayError("not-found", "Nothing plays in this room; the server was started without --player");
  }
  return playing;
}

function wholeNumber(query: URLSearchParams, name: string, fallback: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw new AfterbayError("bad-request", `${name} is a whole number`);
  return Number(text);
}
