import type { IncomingMessage, ServerResponse } from "node:http";
import { isAbort } from "../cache/fill.ts";
import type { TrackCache } from "../cache/track-cache.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import type { FlightRecorder } from "../sessions/flight-recorder.ts";
import type { ApiTrack } from "./api-track.ts";
import type { ArtworkApi } from "./artwork-api.ts";
import type { Catalogue } from "./catalogue.ts";
import type { EventStream } from "./event-stream.ts";
import type { PlayerApi } from "./player-api.ts";
import type { PlayerFeed } from "./player-feed.ts";
import type { Finder } from "./finder.ts";
import type { ListTurns } from "./list-turns.ts";
import type { OfflineApi } from "./prefetch-api.ts";
import { sendProblem } from "./problem.ts";
import type { Family } from "./prometheus.ts";
import type { StreamWant } from "./stream.ts";
import { parseTrackPath, splitTarget } from "./track-path.ts";

/** What the routes serve. */
export interface Site {
  readonly version: string;
  readonly cache: TrackCache;
  readonly catalogue: Catalogue;
  readonly finder: Finder;
  readonly listTurns: ListTurns;
  readonly offline: OfflineApi;
  readonly artwork: ArtworkApi;
  /** The source of `/stream/{id}`. */
  readonly defaultSource: string;
  readonly token?: string;
  readonly recorder: FlightRecorder;
  readonly events: EventStream;
  readonly metrics: () => Promise<readonly Family[]>;
  /** What plays in this room, if anything does. */
  readonly player: () => { readonly api: PlayerApi; readonly feed: PlayerFeed } | undefined;
  readonly stream: (request: IncomingMessage, response: ServerResponse, want: StreamWant) => Promise<void>;
  /** True while requests for tracks can be served. */
  readonly isReady: () => boolean;
  /** Told of errors that are nobody's answer: defects. */
  readonly onError: (error: unknown) => void;
}

export interface Call {
  readonly site: Site;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Raw, not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface Route {
  readonly matches: (path: string) => boolean;
  /** By method; HEAD goes to GET. */
  readonly methods: Readonly<Record<string, (call: Call) => Promise<void>>>;
}

/** Answers a request by the first route that matches; whatever fails becomes a problem, or cuts what has begun. */
export async function dispatch(
  routes: readonly Route[],
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { path, query } = splitTarget(request.url ?? "/");
    const route = routes.find(({ matches }) => matches(path));
    if (route === undefined) throw new AfterbayError("not-found", "There is nothing at this address");
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
    const act = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined;
    if (act === undefined) {
      const allowed = Object.keys(route.methods).flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]));
      response.writeHead(405, { allow: allowed.join(", "), "content-length": "0" }).end();
      return;
    }
    await act({ site, request, response, path, query });
  } catch (error) {
    // What a client gave up by leaving is no defect, and nobody is there to be told.
    if (response.destroyed && isAbort(error)) return;
    if (!isAfterbayError(error)) site.onError(error);
    if (response.headersSent) response.destroy();
    else sendProblem(response, error);
  }
}

/**
 * The track that a path below `prefix` names, by the name it is kept under, if the rest of the path is `rest`. Throws
 * `not-found` or `bad-request`.
 */
export function trackOf(prefix: string, { site, path }: Pick<Call, "site" | "path">, ...rest: string[]): TrackKey {
  const named = parseTrackPath(prefix, path);
  if (named === undefined || named.rest.join("/") !== rest.join("/")) {
    throw new AfterbayError("not-found", "There is nothing at this address");
  }
  return site.finder.canonical(named);
}

/** The pieces of `{"tracks":[…]`, up to its last brace; `more` are fields behind it, as JSON. */
export async function* jsonPieces(listed: AsyncIterable<ApiTrack>, more = ""): AsyncGenerator<string> {
  yield '{"tracks":[';
  let comma = "";
  for await (const one of listed) {
    yield comma + JSON.stringify(one);
    comma = ",";
  }
  yield `]${more}}`;
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, "application/json", JSON.stringify(value));
}

export function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

/** Aborts when the client goes away before its answer. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => gone.abort(new DOMException("The client has left", "AbortError")));
  return gone.signal;
}
