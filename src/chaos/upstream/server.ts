import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Answer, properAnswer, stretchOf, textAnswer, wanted } from "./answer.ts";
import type { Behaviour } from "./behaviour.ts";
import { bentAnswer } from "./bend.ts";
import { bytesOf, type Version } from "./bytes.ts";
import { type Clock, Gate, realClock } from "./clock.ts";
import { type Exchange, type Head, serveConnection } from "./connection.ts";
import { type LoggedRequest, RequestLog } from "./log.ts";
import { decoded } from "./path.ts";
import { isRedirected, nextRedirect, redirectAnswer } from "./redirect.ts";
import { type Edition, Resource, type ResourceOptions } from "./resource.ts";
import { merge, type Rule, Script } from "./script.ts";
import { deliver, send } from "./send.ts";
import { type UrlLimits, Urls } from "./urls.ts";
import { type Resolution, Webhook, type WebhookOptions } from "./webhook.ts";

export interface UpstreamOptions extends Partial<Clock> {
  /** Equal seeds, equal bytes. Default 1. */
  readonly seed?: number;
  /** Default: any free one. */
  readonly port?: number;
  /** Told of what went wrong in here that no script asked for. That connection is cut, the others go on. */
  readonly onFault: (error: unknown) => void;
}

/** Answers requests that are for no resource: they are neither scripted nor counted. */
export type Route = (url: URL, head: Head, exchange: Exchange) => Promise<void>;

/** How many other ports `elsewhere` goes through. */
const MIRRORS = 3;

/** Starts an origin on 127.0.0.1 that does everything right until a script says otherwise. */
export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const server = createServer({ noDelay: true });
  await listen(server, options.port ?? 0);
  return new Upstream(server, options);
}

export class Upstream {
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  readonly #server: Server;
  readonly #seed: number;
  readonly #clock: Clock;
  readonly #urls: Urls;
  readonly #gate = new Gate();
  readonly #log = new RequestLog();
  readonly #resources = new Map<string, Resource>();
  readonly #settings = new Map<string, ResourceOptions>();
  readonly #scripts = new Map<string, Script>();
  readonly #routes = new Map<string, Route>();
  readonly #webhooks: Webhook[] = [];
  #mirrors: Promise<readonly Mirror[]> | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #onFault: UpstreamOptions["onFault"];
  #connections = 0;

  constructor(server: Server, { seed = 1, now = realClock.now, delay = realClock.delay, onFault }: UpstreamOptions) {
    this.#server = server;
    this.#onFault = onFault;
    this.port = (server.address() as AddressInfo).port;
    this.origin = originOf(server);
    this.#seed = seed;
    this.#clock = { now, delay };
    this.#urls = new Urls(seed, this.#clock);
    server.on("connection", (socket) => this.#connected(socket));
    server.on("error", onFault);
  }

  // What there is

  /** Puts a resource at `/name`, in place of any that was there. */
  resource(name: string, options: ResourceOptions = {}): void {
    this.#settings.set(name, options);
    this.#resources.set(name, new Resource(this.#seed, name, options));
  }

  /** Changes some of a resource, from the next request on. */
  setResource(name: string, changes: ResourceOptions): void {
    this.resource(name, { ...this.#settings.get(name), ...changes });
  }

  removeResource(name: string): void {
    this.#resources.delete(name);
    this.#settings.delete(name);
  }

  /** The bytes [start, end) that any version of a resource has. */
  bytesOf(name: string, version: Version, start: number, end: number): Uint8Array {
    return bytesOf(this.#seed, name, version, start, end);
  }

  /** The bytes that a resource has now, or had in an answer (`version` from the log). */
  bytes(name: string, start = 0, end = this.#find(name).size, version?: Version): Uint8Array {
    const resource = this.#find(name);
    return resource.bytes(start, Math.min(end, resource.size), version);
  }

  /** Bytes of the current version. */
  size(name: string): number {
    return this.#find(name).size;
  }

  etag(name: string): string | undefined {
    return this.#find(name).etag;
  }

  /** A new URL with a signature of its own, good within the limits. */
  url(name: string, limits: UrlLimits = {}): string {
    return `${this.origin}/${name.split("/").map(encodeURIComponent).join("/")}?sig=${this.#urls.mint(name, limits)}`;
  }

  /** Ends a URL that `url` made, or all of a resource's. */
  expire(urlOrName: string): void {
    this.#urls.expire(urlOrName);
  }

  /** What a good resolver says of a resource, with a new URL. */
  resolution(name: string, changes: Partial<Resolution> = {}, edition: Edition = {}): Resolution {
    const { size, contentType, version, unknownLength } = this.#find(name).as(edition);
    return {
      url: changes.url ?? this.url(name, { edition }),
      variant: String(version),
      ...(!unknownLength && { contentLength: size }),
      ...(contentType !== undefined && { contentType }),
      ...changes,
    };
  }

  /** Adds a resolver: at `path` with `?id=`, and below it. Each path has one. */
  webhook({ path = "/resolve", latency = 0, resolve }: WebhookOptions = {}): Webhook {
    const known = (id: string) => (this.#resources.has(id) ? this.resolution(id) : { status: 404 });
    const lastRequest = (): number => this.#log.lastNumber;
    const webhook = new Webhook(this.origin, this.#clock, lastRequest, { path, latency, resolve: resolve ?? known });
    this.#webhooks.push(webhook);
    this.route(path, (url, head, exchange) => webhook.answer(url, head, exchange));
    return webhook;
  }

  /** Hands what is asked of `path`, and below it, to `route`. */
  route(path: string, route: Route): void {
    this.#routes.set(path, route);
  }

  /** The proper answer of a resource, whatever its scripts say: its current version, or any. */
  properAnswer(name: string, head: Head, edition: Edition = {}): Answer {
    const resource = this.#resources.get(name)?.as(edition);
    if (!resource) return textAnswer(404);
    return properAnswer(resource, {
      resource: name,
      ...head,
      query: new URLSearchParams(),
      ...wanted(resource, head.headers),
    });
  }

  // What goes wrong

  /** Sets the rules of one resource, or (`*`) of all; a resource's own win. Its requests are counted anew. */
  script(name: string, rules: readonly Rule[]): void {
    this.#scripts.set(name, new Script(rules));
  }

  /** Lets answers that are stalled now go on. */
  release(name?: string): void {
    this.#gate.open(name);
  }

  /** How many answers are stalled. */
  stalled(name?: string): number {
    return this.#gate.count(name);
  }

  /** Cuts every connection and refuses new ones. */
  async goOffline(): Promise<void> {
    const servers = [this.#server, ...((await this.#mirrors) ?? []).map(({ server }) => server)];
    this.#mirrors = undefined;
    const closed = servers.map((server) => once(server, "close"));
    for (const server of servers) server.close();
    await Promise.all([...closed, this.dropConnections()]);
  }

  /** Listens again, on the same port. */
  async goOnline(): Promise<void> {
    await listen(this.#server, this.port);
  }

  async dropConnections(): Promise<void> {
    await Promise.all(Array.from(this.#sockets, (socket) => once(socket.destroy(), "close")));
  }

  // What happened

  /** The last 20,000 requests. */
  requests(name?: string): readonly LoggedRequest[] {
    return this.#log.requests(name);
  }

  /** How many requests there were. */
  requestCount(name?: string): number {
    return this.#log.count(name);
  }

  /** Bytes of resources that sockets took. */
  bytesSent(name?: string): number {
    return this.#log.bytesSent(name);
  }

  /** The same, each offset of each version counted once. */
  uniqueBytes(name?: string): number {
    return this.#log.uniqueBytes(name);
  }

  live(name?: string): number {
    return this.#log.live(name);
  }

  maxLive(name?: string): number {
    return this.#log.maxLive(name);
  }

  get connections(): { readonly open: number; readonly total: number } {
    return { open: this.#sockets.size, total: this.#connections };
  }

  /** Until no request is live; rejects after `timeoutMs`. */
  async waitIdle(timeoutMs = 5000): Promise<void> {
    await this.#log.idle(AbortSignal.timeout(timeoutMs)).catch((cause: unknown) => {
      const live = this.#log.requests().filter(({ outcome }) => outcome === "live");
      const lines = live.map(({ method, path, range }) => `${method} ${path} ${range ?? ""}`);
      throw new Error(`Still live after ${timeoutMs} ms: ${lines.join(", ")}`, { cause });
    });
  }

  /** Empties the logs and zeroes the counters. Resources, URLs and scripts stay as they are. */
  reset(): void {
    this.#log.reset();
    for (const webhook of this.#webhooks) webhook.reset();
    this.#connections = this.#sockets.size;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.goOffline();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(name: string): Resource {
    const resource = this.#resources.get(name);
    if (!resource) throw new Error(`No resource is called ${name}`);
    return resource;
  }

  #connected(socket: Socket): void {
    const connection = ++this.#connections;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    serveConnection(socket, (head, exchange) => this.#answer(head, exchange, connection), this.#onFault);
  }

  async #answer(head: Head, exchange: Exchange, connection: number): Promise<void> {
    if (!URL.canParse(this.origin + head.path)) return deliver(textAnswer(400), head, exchange);
    const url = new URL(this.origin + head.path);
    const route = this.#routeOf(url.pathname);
    if (route) return route(url, head, exchange);
    const resource = decoded(url.pathname.slice(1));
    const logged = this.#log.begin({ ...head, resource, connection, startedAt: this.#clock.now() });
    let outcome: LoggedRequest["outcome"] = "aborted";
    try {
      outcome = (await this.#serve(url, logged, exchange)) ? "cut" : "completed";
    } finally {
      this.#log.end(logged, outcome, this.#clock.now());
    }
  }

  #routeOf(path: string): Route | undefined {
    for (const [prefix, route] of this.#routes) if (path === prefix || path.startsWith(`${prefix}/`)) return route;
    return undefined;
  }

  async #serve(url: URL, logged: LoggedRequest, exchange: Exchange): Promise<boolean> {
    const { method, resource: name } = logged;
    const signature = url.searchParams.get("sig");
    const { answer, behaviour } = await this.#decide(url, logged, signature);
    logged.faults = Object.keys(behaviour);
    if (behaviour.latency) await this.#clock.delay(behaviour.latency, exchange.signal);
    logged.status = answer.status;
    logged.version = answer.version;
    logged.start = stretchOf(answer)?.start;
    return send(answer, behaviour, exchange, {
      method,
      clock: this.#clock,
      released: (signal) => this.#gate.wait(name, signal),
      onBytes: (count) => {
        this.#log.sent(logged, count);
        if (signature !== null) this.#urls.spend(signature, count);
      },
    });
  }

  /** A refused URL and the later steps of a redirect are no requests that a script sees. */
  async #decide(
    url: URL,
    logged: LoggedRequest,
    signature: string | null,
  ): Promise<{ answer: Answer; behaviour: Behaviour }> {
    const { resource: name, method, path, headers, number } = logged;
    const known = this.#resources.get(name);
    if (!known) return { answer: textAnswer(404), behaviour: {} };
    if (method !== "GET" && method !== "HEAD")
      return { answer: textAnswer(405, undefined, { allow: "GET, HEAD" }), behaviour: {} };
    const refusal = signature === null && !known.signed ? undefined : this.#urls.refusal(name, signature ?? "");
    if (refusal !== undefined) return { answer: textAnswer(refusal), behaviour: {} };
    const next = nextRedirect(url);
    if (next) return { answer: next, behaviour: {} };
    const there = known.as(this.#urls.edition(signature ?? ""));
    const asked = { resource: name, method, path, query: url.searchParams, headers, ...wanted(there, headers) };
    const own = this.#scripts.get(name)?.behaviour(asked) ?? {};
    const behaviour = merge(own, this.#scripts.get("*")?.behaviour(asked) ?? {});
    const redirect = isRedirected(url) ? undefined : behaviour.redirect;
    if (redirect) return { answer: redirectAnswer(url, redirect, await this.#elsewhere(number)), behaviour };
    const { version = there.version, size = there.size } = behaviour;
    const resource = there.as({ version, size });
    const answer = bentAnswer(resource, { ...asked, ...wanted(resource, headers) }, behaviour, number);
    return { answer, behaviour };
  }

  /** An origin on another port, the next one for the next number. */
  async #elsewhere(number: number): Promise<string> {
    this.#mirrors ??= Promise.all(Array.from({ length: MIRRORS }, () => this.#mirror()));
    const mirrors = await this.#mirrors;
    return mirrors[number % MIRRORS]?.origin ?? this.origin;
  }

  async #mirror(): Promise<Mirror> {
    const server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    await listen(server, 0);
    server.on("error", this.#onFault);
    return { server, origin: originOf(server) };
  }
}

/** Another port, where the same is to be had. */
interface Mirror {
  readonly server: Server;
  readonly origin: string;
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}
