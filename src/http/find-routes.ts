import { AfterbayError } from "../errors.ts";
import { type FailedSource, MAX_FOUND } from "./finder.ts";
import { readJson } from "./json-body.ts";
import { readIds } from "./id-list.ts";
import { verdictOf } from "./problem.ts";
import { type Call, goneSignal, jsonPieces, type Route, trackOf } from "./routing.ts";
import { sendPieces } from "./send-pieces.ts";

const TRACKS = "/api/tracks/";
const DEFAULT_FOUND = 20;
const MAX_WORDS = 200;

/** Tracks that are looked for: by words, by what names several, by what is like another. */
export const findRoutes: readonly Route[] = [
  { matches: (path) => path === "/api/search", methods: { GET: search } },
  { matches: (path) => path === "/api/expand", methods: { POST: expand } },
  { matches: (path) => path.startsWith(TRACKS) && path.endsWith("/similar"), methods: { GET: similar } },
];

async function search({ site, response, query }: Call): Promise<void> {
  const words = (query.get("q") ?? "").trim();
  if (words === "" || words.length > MAX_WORDS || /\p{Cc}/u.test(words)) {
    throw new AfterbayError("bad-request", `q is what to search for: 1 to ${MAX_WORDS} characters in one line`);
  }
  const { tracks, failed } = await site.finder.search(words, {
    source: query.get("source") || undefined,
    limit: limitOf(query),
    signal: goneSignal(response),
  });
  const more = failed.length === 0 ? "" : `,"failed":${JSON.stringify(failed.map(describeFailure))}`;
  await sendPieces(response, "application/json", jsonPieces(site.catalogue.describe(tracks), more));
}

function describeFailure({ source, error }: FailedSource): object {
  return { source, code: verdictOf(error).code, detail: error.message };
}

async function expand({ site, request, response }: Call): Promise<void> {
  const body = await readJson(request);
  const ids: unknown = typeof body === "object" && body !== null && "ids" in body ? body.ids : undefined;
  const keys = await readIds(ids, (text) => site.finder.keyOf(text));
  const tracks = await site.finder.expand(keys, goneSignal(response));
  await sendPieces(response, "application/json", jsonPieces(site.catalogue.describe(tracks)));
}

async function similar(call: Call): Promise<void> {
  const { site, response, query } = call;
  const key = trackOf(TRACKS, call, "similar");
  const about = { limit: limitOf(query), signal: goneSignal(response) };
  const tracks = await site.finder.similar(key, about);
  await sendPieces(response, "application/json", jsonPieces(site.catalogue.describe(tracks)));
}

function limitOf(query: URLSearchParams): number {
  const limit = Number(query.get("limit") ?? DEFAULT_FOUND);
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_FOUND) return limit;
  throw new AfterbayError("bad-request", `limit is a number from 1 to ${MAX_FOUND}`);
}
