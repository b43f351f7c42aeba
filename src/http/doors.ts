import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIPv6 } from "node:net";
import { isLoopback } from "../data-source/addresses.ts";
import { AfterbayError } from "../errors.ts";
import { isArtworkPath, splitTarget } from "./track-path.ts";

/**
 * Who may come in. A server on localhost is reachable from every page that a browser on this machine shows, so each
 * request passes these doors before it is looked at:
 *
 * 1. Host: a page that rebinds its own name to 127.0.0.1 still sends that name.
 * 2. Origin: a foreign page may not change anything, nor make this server fetch and play.
 * 3. Token: what is reachable from other machines asks for one.
 */

export interface DoorOptions {
  /** The address or name that the server is bound to. */
  readonly host: string;
  /** The port that it really listens on. */
  readonly port: number;
  /** Further names, `host` or `host:port` ({@link parseAllowedHost}). */
  readonly allowHosts?: readonly string[];
  /** Foreign origins that may use this server ({@link parseAllowedOrigin}). */
  readonly allowOrigins?: readonly string[];
  readonly token?: string;
}

/** The part of an incoming request that the doors look at; `node:http`'s IncomingMessage is one. */
export interface DoorRequest {
  readonly method?: string | undefined;
  /** The raw request target. */
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * - `open`: the request may go on; `headers` (CORS) belong into its answer, whatever that will be.
 * - `preflight`: to be answered at once with 204 and `headers`.
 * - `refused`: to be answered with the error.
 */
export type DoorVerdict =
  | { readonly kind: "open"; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "preflight"; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "refused"; readonly error: AfterbayError; readonly headers: Readonly<Record<string, string>> };

export type Doors = (request: DoorRequest) => DoorVerdict;

const TOKEN_COOKIE = "afterbay_token";

const EXPOSED_HEADERS = "Content-Range, Accept-Ranges, ETag, Cache-Status, Server-Timing, Content-Length";
const ALLOWED_METHODS = "GET, HEAD, PUT, POST, DELETE";
const ALLOWED_HEADERS = "Authorization, Content-Type, Range, If-Range, If-Match, If-None-Match";
const PREFLIGHT_SECONDS = "600";

/** Methods that change nothing (RFC 9110, section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** For process supervisors and port probes. It tells nothing but that somebody listens. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/ping"]);

/** Builds the doors of one server. Throws an Error with one line for an `allowHosts` or `allowOrigins` entry that is none. */
export function createDoors(options: DoorOptions): Doors {
  const hosts = allowedHosts(options);
  const origins: ReadonlySet<string> = new Set(options.allowOrigins?.map(parseAllowedOrigin));
  const tokenHash = options.token === undefined || options.token === "" ? undefined : sha256(options.token);

  return (request) => {
    const { path, query } = splitTarget(request.url ?? "/");
    const { headers } = request;
    const host = headers.host?.toLowerCase();
    const cors = corsHeaders(headers.origin, origins);
    const refuse = (message: string): DoorVerdict => ({
      kind: "refused",
      error: new AfterbayError("forbidden", message),
      headers: cors,
    });

    if (!hostAllowed(host, request.httpVersion, hosts)) return refuse("This Host is not allowed; see --allow-host");
    const caller = callerOf(headers, host, origins);
    if (isPreflight(request)) {
      // A preflight carries no token.
      if (caller === "foreign") return refuse("This Origin is not allowed; see --allow-origin");
      return { kind: "preflight", headers: { ...cors, ...preflightHeaders() } };
    }
    if (caller === "foreign" && !SAFE_METHODS.has(request.method ?? "GET")) {
      return refuse("This Origin may not change anything; see --allow-origin");
    }
    if (isHeldOpen(path) && (caller === "foreign" || (caller === "own" && crossOriginFetch(headers)))) {
      return refuse("Pages of other origins may not play, listen or look here; see --allow-origin");
    }
    if (tokenHash !== undefined && !OPEN_PATHS.has(path) && !holdsToken(headers, query, tokenHash)) {
      return refuse("A token is needed");
    }
    return { kind: "open", headers: cors };
  };
}

/** Throws an Error with one line where a server would be open to other machines without a token. */
export function assertBindAllowed(host: string, token: string | undefined): void {
  if (isLoopback(host) || (token !== undefined && token !== "")) return;
  throw new Error(
    `Listening on ${host === "" ? "all addresses" : host} needs a --token, since other machines could connect`,
  );
}

/** The cookie that lets the page's own players in, which can send no header. */
export function tokenCookie(token: string): string {
  return `${TOKEN_COOKIE}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict`;
}

/** Reads a name for the Host allow-list: `host` or `host:port`, IPv6 in brackets. Throws an Error with one line. */
export function parseAllowedHost(text: string): string {
  const host = text.toLowerCase();
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/.test(host)) throw new Error(`Not a host or host:port: ${text}`);
  return host;
}

/** Reads an origin as browsers write it (RFC 6454, section 6.1): `scheme://host[:port]`. Throws an Error with one line. */
export function parseAllowedOrigin(text: string): string {
  const origin = text.toLowerCase().replace(/\/$/, "");
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+$/.test(origin)) throw new Error(`Not an origin like https://host: ${text}`);
  // Browsers leave default ports out.
  return origin.replace(/^(http:\/\/.*):80$/, "$1").replace(/^(https:\/\/.*):443$/, "$1");
}

/**
 * Every Host value that is let in. The own port may be left out: with a browser that means port 80, where its request
 * would not have arrived here, so only other programs do so. `host:port` is let in exactly as it is, for a reverse
 * proxy that passes its own Host on.
 */
function allowedHosts(options: DoorOptions): ReadonlySet<string> {
  const bound = isIPv6(options.host) ? `[${options.host}]` : options.host;
  const names = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    bound.toLowerCase(),
    ...(options.allowHosts ?? []).map(parseAllowedHost),
  ];
  return new Set(names.flatMap((name) => (/:\d+$/.test(name) ? [name] : [name, `${name}:${options.port}`])));
}

/** Every HTTP/1.1 request has a Host (RFC 9112, section 3.2); HTTP/1.0 had none, and no browser speaks it. */
function hostAllowed(host: string | undefined, httpVersion: string, hosts: ReadonlySet<string>): boolean {
  return host === undefined ? httpVersion === "1.0" : hosts.has(host);
}

/**
 * Whose page, if any, sent a request: `own` also for programs and navigations, which send no Origin; `foreign` for
 * every other Origin that is not on the list, `null` (sandboxed frames, `file:`) among them.
 */
function callerOf(
  headers: IncomingHttpHeaders,
  host: string | undefined,
  origins: ReadonlySet<string>,
): "own" | "allowed" | "foreign" {
  const { origin } = headers;
  if (origin === undefined) return "own";
  if (origins.has(origin)) return "allowed";
  // https: behind a reverse proxy that passes Host on.
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`) ? "own" : "foreign";
}

/**
 * A page elsewhere embeds us without saying who it is (`<audio src>` without `crossorigin` sends no Origin), but its
 * browser says that it does (Fetch Metadata). `same-site` is refused too: sites know no ports, so every other server on
 * localhost is the same site as this one.
 */
function crossOriginFetch(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  return site === "cross-site" || site === "same-site";
}

/** What a page could hold open without reading its answer: each takes something from others. */
function isHeldOpen(path: string): boolean {
  return path === "/stream" || path.startsWith("/stream/") || path === "/api/events" || asksSources(path);
}

/** Each of these may cost a source a request. */
function asksSources(path: string): boolean {
  return path === "/api/search" || path.endsWith("/similar") || isArtworkPath(path);
}

/** Fetch standard, "CORS-preflight request". */
function isPreflight(request: DoorRequest): boolean {
  return (
    request.method === "OPTIONS" &&
    request.headers.origin !== undefined &&
    request.headers["access-control-request-method"] !== undefined
  );
}

function preflightHeaders(): Record<string, string> {
  return {
    "access-control-allow-methods": ALLOWED_METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": PREFLIGHT_SECONDS,
  };
}

/** An allowed origin is echoed exactly, never `*`. Vary goes out to all callers: a cache in between serves them all. */
function corsHeaders(origin: string | undefined, origins: ReadonlySet<string>): Readonly<Record<string, string>> {
  if (origins.size === 0) return {};
  if (origin === undefined || !origins.has(origin)) return { vary: "Origin" };
  return {
    vary: "Origin",
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED_HEADERS,
  };
}

/** Any of the three places will do: players can set no headers, and the page's players only have their cookie. */
function holdsToken(headers: IncomingHttpHeaders, query: URLSearchParams, tokenHash: Buffer): boolean {
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  const candidates = [bearer, ...query.getAll("token"), ...cookies(headers.cookie)];
  return candidates.some((candidate) => candidate !== undefined && timingSafeEqual(sha256(candidate), tokenHash));
}

/** The values of the token's cookie, as they are and percent-decoded. */
function cookies(header: string | undefined): string[] {
  const prefix = `${TOKEN_COOKIE}=`;
  const pairs = (header ?? "").split(";").map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(prefix)).map((pair) => pair.slice(prefix.length));
  return values.flatMap((value) => [value, decoded(value)]);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Hashes have one length, as the comparison in constant time demands, and the token's own does not show. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
