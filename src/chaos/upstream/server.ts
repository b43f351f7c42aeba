import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Answer, stretchOf, textAnswer, wanted } from "./answer.ts";
import type { Behaviour } from "./behaviour.ts";
import { bentAnswer } from "./bend.ts";
import { bytesOf, type Version } from "./bytes.ts";
import { type Clock, Gate, realClock } from "./clock.ts";
import { type Exchange, type Head, serveConnection } from "./connection.ts";
import { type LoggedRequest, RequestLog } from "./log.ts";
import { isRedirected, nextRedirect, redirectAnswer } from "./redirect.ts";
import { Resource, type ResourceOptions } from "./resource.ts";
import { merge, type Rule, Script } from "./script.ts";
import { send } from "./send.ts";
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
  readonly #webhooks = new Map<string, Webhook>();
  readonly #sockets = new Set<Socket>();
  readonly #onFault: UpstreamOptions["onFault"];
  #connections = 0;

  constructor(server: Server, { seed = 1, now = realClock.now, delay = realClock.delay, onFault }: UpstreamOptions) {
    this.#server = server;
    this.#onFault = onFault;
    this.port = (server.address() as AddressInfo).port;
    this.origin = `http://127.0.0.1:${this.port}`;
    this.#seed = seed;
    this.#clock = { now, delay };
    this.#urls = new Urls(seed, this.#clock);
    server.on("connection", (socket) => this.#connected(socket));
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
  resolution(name: string, changes: Partial<Resolution> = {}): Resolution {
    const { size, contentType, version, unknownLength } = this.#find(name);
    return {
      url: this.url(name),
      variant: String(version),
      ...(!unknownLength && { contentLength: size }),
      ...(contentType !== undefined && { contentType }),
      ...changes,
    };
  }

  /** Adds a resolver; each path has one. */
  webhook({ path = "/resolve", latency = 0, resolve }: WebhookOptions = {}): Webhook {
    const known = (id: string) => (this.#resources.has(id) ? this.resolution(id) : { status: 404 });
    const webhook = new Webhook(this.origin, this.#clock, { path, latency, resolve: resolve ?? known });
    this.#webhooks.set(path, webhook);
    return webhook;
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
    const closed = once(this.#server, "close");
    this.#server.close();
    await Promise.all([closed, this.dropConnections()]);
  }

  /** Listens again, on the same port. */
  async goOnline(): Promise<void> {
    await listen(this.#server, this.port);
  }

  async dropConnections(): Promise<void> {
    await Promise.all(Array.from(this.#sockets, (socket) => once(socket.destroy(), "close")));
  }

  // What happened

  requests(name?: string): readonly LoggedRequest[] {
    return this.#log.requests(name);
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
    for (const webhook of this.#webhooks.values()) webhook.reset();
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
    const url = new URL(`${this.origin}${head.path}`);
    const webhook = this.#webhooks.get(url.pathname);
    if (webhook) return webhook.answer(url.searchParams, exchange);
    const resource = decodeURIComponent(url.pathname.slice(1));
    const logged = this.#log.begin({ ...head, resource, connection, startedAt: this.#clock.now() });
    let outcome: LoggedRequest["outcome"] = "aborted";
    try {
      outcome = (await this.#serve(url, logged, exchange)) ? "cut" : "completed";
    } finally {
      this.#log.end(logged, outcome, this.#clock.now());
    }
  }

  async #serve(url: URL, logged: LoggedRequest, exchange: Exchange): Promise<boolean> {
    const { method, resource: name } = logged;
    const signature = url.searchParams.get("sig");
    const { answer, behaviour } = this.#decide(url, logged, signature);
    if (behaviour.latency) await this.#clock.delay(behaviour.latency, exchange.signal);
    logged.status = answer.status;
    logged.version = answer.version;
    logged.start = stretchOf(answer)?.start;
    return send(answer, behaviour, exchange, {
      method,
      clock: this.#clock,
      released: (signal) => this.#gate.wait(name, signal),
      onBytes: (count) => {
        logged.bytesSent += count;
        if (signature !== null) this.#urls.spend(signature, count);
      },
    });
  }

  /** A refused URL and the later steps of a redirect are no requests that a script sees. */
  #decide(url: URL, logged: LoggedRequest, signature: string | null): { answer: Answer; behaviour: Behaviour } {
    const { resource: name, method, path, headers, number } = logged;
    const resource = this.#resources.get(name);
    if (!resource) return { answer: textAnswer(404), behaviour: {} };
    if (method !== "GET" && method !== "HEAD")
      return { answer: textAnswer(405, undefined, { allow: "GET, HEAD" }), behaviour: {} };
    const refusal = signature === null && !resource.signed ? undefined : this.#urls.refusal(name, signature ?? "");
    if (refusal !== undefined) return { answer: textAnswer(refusal), behaviour: {} };
    const next = nextRedirect(url);
    if (next) return { answer: next, behaviour: {} };
    const asked = { resource: name, method, path, query: url.searchParams, headers, ...wanted(resource, headers) };
    const own = this.#scripts.get(name)?.behaviour(asked) ?? {};
    const behaviour = merge(own, this.#scripts.get("*")?.behaviour(asked) ?? {});
    const redirect = isRedirected(url) ? undefined : behaviour.redirect;
    const answer = redirect ? redirectAnswer(url, redirect) : bentAnswer(resource, asked, behaviour, number);
    return { answer, behaviour };
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}
