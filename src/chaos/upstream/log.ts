import type { Version } from "./bytes.ts";
import { unlessAborted } from "./clock.ts";
import { cover, type Stretch } from "./range.ts";

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
  /** The fields of the behaviour that was asked for, whether or not this answer came as far as they say. */
  faults: readonly string[];
}

interface Sums {
  requests: number;
  bytes: number;
  /** What was sent of each version. */
  readonly covered: Map<Version, Stretch[]>;
}

/** How many requests are remembered; counters go on. */
const KEPT = 20_000;

/** What was asked and sent since the start or the last `reset`. */
export class RequestLog {
  readonly #live = new Map<string, { now: number; max: number }>();
  readonly #sent = new Map<string, Sums>();
  readonly #idle = new Set<() => void>();
  #entries: LoggedRequest[] = [];
  #numbers = 0;

  /** 0 before the first request. */
  get lastNumber(): number {
    return this.#numbers;
  }

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
      faults: [],
    };
    this.#entries.push(logged);
    if (this.#entries.length > KEPT * 1.1) this.#entries = this.#entries.slice(-KEPT);
    this.#of(entry.resource).requests++;
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

  /** Counts bytes of a resource from `logged.start` on, where the body is of it. */
  sent(logged: LoggedRequest, count: number): void {
    const { resource, version, start, bytesSent } = logged;
    logged.bytesSent += count;
    const sums = this.#of(resource);
    sums.bytes += count;
    if (start === undefined || version === undefined) return;
    const at = start + bytesSent;
    sums.covered.set(version, cover(sums.covered.get(version) ?? [], { start: at, end: at + count }));
  }

  count(resource?: string): number {
    return this.#sum(resource, ({ requests }) => requests);
  }

  bytesSent(resource?: string): number {
    return this.#sum(resource, ({ bytes }) => bytes);
  }

  /** Bytes sent at least once: offsets are united within each version of each resource. */
  uniqueBytes(resource?: string): number {
    return this.#sum(resource, ({ covered }) => {
      const stretches = [...covered.values()].flat();
      return stretches.reduce((sum, { start, end }) => sum + end - start, 0);
    });
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
    this.#sent.clear();
    for (const count of this.#live.values()) count.max = count.now;
  }

  #of(resource: string): Sums {
    const sums = this.#sent.get(resource) ?? { requests: 0, bytes: 0, covered: new Map() };
    this.#sent.set(resource, sums);
    return sums;
  }

  #sum(resource: string | undefined, of: (sums: Sums) => number): number {
    const all = resource === undefined ? [...this.#sent.values()] : [this.#of(resource)];
    return all.reduce((sum, one) => sum + of(one), 0);
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
