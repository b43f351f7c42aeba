import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TrackCache } from "../cache/track-cache.ts";
import { AfterbayError } from "../errors.ts";
import type { Catalogue } from "./catalogue.ts";
import { createDoors, type DoorOptions, type Doors, tokenCookie } from "./doors.ts";
import { renderPage } from "./page.ts";
import { sendProblem } from "./problem.ts";
import type { StreamWant } from "./stream.ts";
import { parseStreamPath, parseTrackPath, splitTarget } from "./track-path.ts";

export interface ServerOptions extends Omit<DoorOptions, "port"> {
  /** 0 takes a free port. */
  readonly port: number;
  readonly version: string;
  readonly cache: TrackCache;
  readonly catalogue: Catalogue;
  /** The source of `/stream/{id}`. */
  readonly defaultSource: string;
  readonly stream: (request: IncomingMessage, response: ServerResponse, want: StreamWant) => Promise<void>;
  /** True while requests for tracks can be served. */
  readonly isReady: () => boolean;
}

export interface RunningServer {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** A client that takes longer for its headers is cut off, ms: slow headers cost a connection each. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often the time limits are held against the connections, ms. Node's own 30 s would let a limit of 10 s be 40 s. */
const CHECK_CONNECTIONS_MS = 1000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 10_000;
const QUALITIES = ["low", "medium", "high", "ultra"] as const;

/** Starts the HTTP server. Rejects with the system's error if the address cannot be had. */
export async function listen(options: ServerOptions): Promise<RunningServer> {
  let doors: Doors = () => ({ kind: "refused", error: new AfterbayError("busy", "Starting"), headers: {} });
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: 10_000,
    },
    (request, response) => {
      // A client that resets its connection is no error of ours.
      response.on("error", () => {});
      handle(options, doors, request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else sendProblem(response, error);
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  // A connection that cannot be accepted (no file handle left for it) costs that client its turn, not all others theirs.
  server.on("error", () => {});
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  doors = createDoors({ ...options, port });
  const name = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: `http://${name}:${port}`, close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(
  options: ServerOptions,
  doors: Doors,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const verdict = doors(request);
  for (const [name, value] of Object.entries(verdict.headers)) response.setHeader(name, value);
  if (verdict.kind === "preflight") return void response.writeHead(204).end();
  if (verdict.kind === "refused") return sendProblem(response, verdict.error);
  const { path, query } = splitTarget(request.url ?? "/");
  const route = routes.find(({ matches }) => matches(path));
  if (route === undefined) throw new AfterbayError("not-found", "There is nothing at this address");
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const act = route.methods[method];
  if (act === undefined) {
    const allowed = Object.keys(route.methods).flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]));
    response.writeHead(405, { allow: allowed.join(", "), "content-length": "0" }).end();
    return;
  }
  await act({ options, request, response, path, query });
}

interface Call {
  readonly options: ServerOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Raw, not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
}

interface Route {
  readonly matches: (path: string) => boolean;
  readonly methods: Readonly<Record<string, (call: Call) => Promise<void>>>;
}

const routes: readonly Route[] = [
  { matches: (path) => path.startsWith("/stream/"), methods: { GET: stream } },
  { matches: (path) => path === "/ping", methods: { GET: async ({ response }) => sendText(response, "pong") } },
  {
    matches: (path) => path === "/healthz",
    methods: { GET: async ({ response }) => sendJson(response, 200, { status: "ok" }) },
  },
  { matches: (path) => path === "/readyz", methods: { GET: ready } },
  { matches: (path) => path === "/api/tracks", methods: { GET: tracks } },
  { matches: (path) => path.startsWith("/api/tracks/"), methods: { GET: track, DELETE: forget } },
  { matches: (path) => path === "/", methods: { GET: page } },
];

async function stream({ options, request, response, path, query }: Call): Promise<void> {
  const named = parseStreamPath(path);
  if (named === undefined) throw new AfterbayError("bad-request", "A stream path names a track");
  const quality = QUALITIES.find((one) => one === query.get("quality"));
  if (query.has("quality") && quality === undefined) {
    throw new AfterbayError("bad-request", `quality is one of ${QUALITIES.join(", ")}`);
  }
  await options.stream(request, response, {
    source: named.source ?? options.defaultSource,
    id: named.id,
    ...(quality === undefined ? {} : { quality }),
    offline: query.get("offline") === "1",
  });
}

async function ready({ options, response }: Call): Promise<void> {
  const isReady = options.isReady();
  sendJson(response, isReady ? 200 : 503, { status: isReady ? "ready" : "not ready" });
}

async function tracks({ options, response }: Call): Promise<void> {
  sendJson(response, 200, { tracks: await options.catalogue.list() });
}

async function track({ options, response, path }: Call): Promise<void> {
  const found = await options.catalogue.find(trackOf(path));
  if (found === undefined) throw new AfterbayError("not-found", "There is no such track");
  sendJson(response, 200, found);
}

async function forget({ options, response, path }: Call): Promise<void> {
  if (!(await options.cache.delete(trackOf(path))))
    throw new AfterbayError("not-found", "Nothing of this track is cached");
  response.writeHead(204).end();
}

function trackOf(path: string): { source: string; id: string } {
  const named = parseTrackPath("/api/tracks/", path);
  if (named === undefined || named.rest.length > 0)
    throw new AfterbayError("not-found", "There is nothing at this address");
  return named;
}

async function page({ options, response }: Call): Promise<void> {
  const all = await options.catalogue.list();
  const { html, csp } = renderPage({
    tracks: all,
    totals: {
      tracks: all.length,
      complete: all.filter((one) => one.complete).length,
      cachedBytes: options.cache.bytes,
      budgetBytes: options.cache.budget,
    },
    version: options.version,
  });
  // Its players can send no header: whoever was let in to the page is let in to what it plays.
  const cookie: Record<string, string> =
    options.token === undefined ? {} : { "set-cookie": tokenCookie(options.token) };
  send(response, 200, "text/html; charset=utf-8", html, {
    "content-security-policy": csp,
    // Its own address may hold the token.
    "referrer-policy": "no-referrer",
    ...cookie,
  });
}

function sendText(response: ServerResponse, text: string): void {
  send(response, 200, "text/plain; charset=utf-8", text);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, "application/json", JSON.stringify(value));
}

function send(
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
