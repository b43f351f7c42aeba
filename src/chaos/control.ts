import type { ScriptedResolver } from "./resolver.ts";
import { type Answer, textAnswer } from "./upstream/answer.ts";
import type { Head } from "./upstream/connection.ts";
import type { LoggedRequest } from "./upstream/log.ts";
import { decoded } from "./upstream/path.ts";
import { deliver } from "./upstream/send.ts";
import type { Route, Upstream } from "./upstream/server.ts";
import type { Webhook, WebhookCall } from "./upstream/webhook.ts";

/** One track, as `/chaos/tracks` lists it. */
export interface ChaosTrack {
  readonly id: string;
  readonly about: string;
  readonly expect: string;
  /** Bytes. */
  readonly size: number;
  /** Only the resolver's URLs are answered. */
  readonly signed: boolean;
}

export interface ControlOptions {
  readonly upstream: Upstream;
  readonly webhook: Webhook;
  readonly resolver: ScriptedResolver;
  readonly tracks: readonly ChaosTrack[];
  readonly seed: number;
  /** The script in force, as JSON. */
  readonly source: unknown;
  /** Begins the tracks' scripts anew. */
  readonly rewind: () => void;
}

type Verb = (options: ControlOptions, url: URL) => unknown;

/** By method and path below `/chaos/`. */
const verbs: Readonly<Record<string, Verb>> = {
  "GET tracks": ({ tracks }) => ({ tracks }),
  "GET script": ({ source }) => source,
  "GET counters": (options) => counters(options),
  "GET log": (options, url) => ({ entries: entries(options, url.searchParams.get("track") ?? undefined) }),
  "POST reset": ({ upstream, resolver, rewind }) => {
    upstream.reset();
    resolver.reset();
    rewind();
    return {};
  },
  "POST release": ({ upstream }, url) => {
    const track = url.searchParams.get("track") ?? undefined;
    const released = upstream.stalled(track);
    upstream.release(track);
    return { released };
  },
};

/** `/chaos/…`: what there is, what happened, and the bytes as they should be. */
export function control(options: ControlOptions): Route {
  const name = new RegExp(`^(127\\.0\\.0\\.1|localhost):${options.upstream.port}$`, "i");
  return (url, head, exchange) =>
    // A web page may point a name of its own at this machine (DNS rebinding).
    deliver(name.test(head.headers["host"] ?? "") ? answer(options, url, head) : textAnswer(403), head, exchange);
}

function answer(options: ControlOptions, url: URL, head: Head): Answer {
  const path = url.pathname.slice("/chaos/".length);
  const { method } = head;
  const reading = method === "HEAD" ? "GET" : method;
  const [, track] = /^origin\/([^/]+)$/.exec(path) ?? [];
  if (track !== undefined && reading === "GET") {
    return options.upstream.properAnswer(decoded(track), head, editionOf(url.searchParams));
  }
  const verb = Object.hasOwn(verbs, `${reading} ${path}`) ? verbs[`${reading} ${path}`] : undefined;
  if (verb !== undefined) return json(200, verb(options, url));
  const others = Object.keys(verbs).filter((key) => key.split(" ")[1] === path);
  const allow = track === undefined ? others.map((key) => key.split(" ")[0]).join(", ") : "GET, HEAD";
  return allow === "" ? textAnswer(404) : textAnswer(405, undefined, { allow });
}

function json(status: number, value: unknown): Answer {
  return textAnswer(status, `${JSON.stringify(value)}\n`, { "content-type": "application/json" });
}

/** `?version=2&size=4096`: as the log names them. */
function editionOf(query: URLSearchParams): { version?: string; size?: number } {
  const version = query.get("version");
  const size = query.get("size");
  return {
    ...(version !== null && { version }),
    ...(size !== null && /^\d{1,15}$/.test(size) && { size: Number(size) }),
  };
}

function counters({ upstream, webhook, tracks, seed }: ControlOptions): object {
  const of = (track?: string): object => ({
    requests: upstream.requestCount(track),
    bytesSent: upstream.bytesSent(track),
    uniqueBytes: upstream.uniqueBytes(track),
    live: upstream.live(track),
    maxLive: upstream.maxLive(track),
    resolves: webhook.callCount(track),
  });
  return {
    seed,
    ...of(),
    connections: upstream.connections,
    tracks: Object.fromEntries(tracks.map(({ id }) => [id, of(id)])),
  };
}

/** In the order they came. */
function entries({ upstream, webhook }: ControlOptions, track: string | undefined): object[] {
  const bytes = upstream.requests(track).map((one) => ({ after: one.number, entry: requestEntry(one) }));
  const resolves = webhook.calls(track).map((one) => ({ after: one.after, entry: resolveEntry(one) }));
  // The sort is stable: what came after the same request keeps its order, behind it.
  return [...bytes, ...resolves].toSorted((a, b) => a.after - b.after).map(({ entry }) => entry);
}

/** Headers that may hold what is not for a bug report. */
const PERSONAL = ["authorization", "cookie", "proxy-authorization"];

function requestEntry(one: LoggedRequest): object {
  const headers = { ...one.headers };
  for (const name of PERSONAL) if (headers[name] !== undefined) headers[name] = "…";
  return {
    kind: "bytes",
    number: one.number,
    connection: one.connection,
    track: one.resource,
    method: one.method,
    path: one.path,
    range: one.range,
    headers,
    status: one.status,
    version: one.version,
    start: one.start,
    bytesSent: one.bytesSent,
    outcome: one.outcome,
    faults: one.faults,
    ...times(one.startedAt, one.endedAt),
  };
}

function resolveEntry({ id, attempt, reason, quality, status, startedAt }: WebhookCall): object {
  return { kind: "resolve", track: id, attempt, reason, quality, status, ...times(startedAt, undefined) };
}

/** The only fields that differ between two equal runs. */
function times(startedAt: number, endedAt: number | undefined): object {
  return { atMs: Math.round(startedAt), ...(endedAt !== undefined && { tookMs: Math.round(endedAt - startedAt) }) };
}
