import type { Version } from "./bytes.ts";
import { unlessAborted } from "./clock.ts";
import { type Stretch, unionSize } from "./range.ts";

export interface LoggedRequest {
  /** Counts from 1 over the server's life. */
  readonly number: number;
  /** Counts from 1: the connection that carried it. */
  readonly connection: number;
  readonly resource: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly range: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** 0 until there is one. */
  status: number;
  /** The version that names the bytes sent; a version of its own where bytes vary. */
  version: Version | undefined;
  /** Offset of the body's first byte, where the body is bytes of the resource. */
  start: number | undefined;
  /** Bytes of the resource handed to the socket, surplus included; texts and pages do not count. */
  bytesSent: number;
  /** Milliseconds. */
  readonly startedAt: number;
  endedAt: number | undefined;
  /** `aborted`: the client went away; `cut`: the script ended it. */
  outcome: "live" | "completed" | "aborted" | "cut";
}

/** What was asked and sent since the start or the last `reset`. */
export class RequestLog {
  readonly #live = new Map<string, { now: number; max: number }>();
  readonly #idle = new Set<() => void>();
  #entries: LoggedRequest[] = [];
  #numbers = 0;

  begin(
    entry: Pick<LoggedRequest, "connection" | "resource" | "method" | "path" | "headers" | "startedAt">,
  ): LoggedRequest {
    const logged: LoggedRequest = {
      ...entry,
      number: ++this.#numbers,
      range: entry.headers["range"],
      status: 0,
      version: undefined,
      start: undefined,
      bytesSent: 0,
      endedAt: undefined,
      outcome: "live",
    };
    this.#entries.push(logged);
    this.#count(entry.resource, 1);
    this.#count(ALL, 1);
    return logged;
  }

  end(entry: LoggedRequest, outcome: LoggedRequest["outcome"], now: number): void {
    entry.outcome = outcome;
    entry.endedAt = now;
    this.#count(entry.resource, -1);
    this.#count(ALL, -1);
    if (this.live() > 0) return;
    for (const wake of this.#idle) wake();
    this.#idle.clear();
  }

  requests(resource?: string): readonly LoggedRequest[] {
    return resource === undefined ? this.#entries : this.#entries.filter((entry) => entry.resource === resource);
  }

  bytesSent(resource?: string): number {
    return this.requests(resource).reduce((sum, entry) => sum + entry.bytesSent, 0);
  }

  /** Bytes sent at least once: offsets are united within each version of each resource. */
  uniqueBytes(resource?: string): number {
    const variants = new Map<string, Stretch[]>();
    for (const { resource: name, version, start, bytesSent } of this.requests(resource)) {
      if (start === undefined) continue;
      const stretches = variants.get(`${name}\n${version}`) ?? [];
      stretches.push({ start, end: start + bytesSent });
      variants.set(`${name}\n${version}`, stretches);
    }
    return [...variants.values()].reduce((sum, stretches) => sum + unionSize(stretches), 0);
  }

  live(resource = ALL): number {
    return this.#live.get(resource)?.now ?? 0;
  }

  /** The most requests that were live at once. */
  maxLive(resource = ALL): number {
    return this.#live.get(resource)?.max ?? 0;
  }

  async idle(signal: AbortSignal): Promise<void> {
    if (this.live() > 0) await unlessAborted(new Promise<void>((wake) => this.#idle.add(wake)), signal);
  }

  reset(): void {
    this.#entries = [];
    for (const count of this.#live.values()) count.max = count.now;
  }

  #count(resource: string, change: number): void {
    const count = this.#live.get(resource) ?? { now: 0, max: 0 };
    count.now += change;
    count.max = Math.max(count.max, count.now);
    this.#live.set(resource, count);
  }
}

/** No resource is called so: a name comes from a path. */
const ALL = "\n";
