import type { TraceEvent } from "../data-source/trace.ts";
import type { ErrorCode } from "../errors.ts";
import { Histogram } from "./histogram.ts";
import type { RequestLog, ServedBytes } from "./request-log.ts";

/** From a byte of memory to the end of a player's patience, seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4, 10, 20];

type WindowEvent = Extract<TraceEvent, { readonly event: "window" }>;

/** What was counted of one source since the start. */
export class SourceTotals {
  /** Players' requests that have ended, by outcome and, where there was one, the error's code. */
  readonly requests = new Tally<readonly [outcome: string, code: string]>();
  /** Until the first byte of those that have one, by where it was. */
  readonly firstByte = {
    disk: new Histogram(SECONDS),
    memory: new Histogram(SECONDS),
    upstream: new Histogram(SECONDS),
  };
  /** Of requests that have ended. */
  readonly served = { disk: 0, memory: 0, upstream: 0 };
  /** Calls of the resolver, by `ok` or the error's code. */
  readonly resolves = new Tally<readonly [ended: string]>();
  readonly resolveSeconds = new Histogram(SECONDS);
  retries = 0;
  refreshes = 0;
  /** Bytes that are kept now or were once; what was imported among them. */
  storedBytes = 0;
  /** Until the headers of upstream requests that were answered. */
  readonly upstreamSeconds = new Histogram(SECONDS);
  readonly #windows = new Tally<readonly [ended: string]>();
  #windowBytes = 0;
  readonly #running = new Set<WindowEvent>();

  /** False if no request has ended. */
  get isUsed(): boolean {
    return this.requests.size > 0;
  }

  /** A player's request has ended. */
  ended({ outcome, code, bytes, cameAt, firstByteAt, firstFrom }: RequestLog): void {
    this.requests.add([outcome, code ?? ""]);
    if (firstByteAt !== undefined && firstFrom !== undefined) {
      this.firstByte[firstFrom].observe((firstByteAt - cameAt) / 1000);
    }
    for (const from of Object.keys(bytes) as (keyof ServedBytes)[]) this.served[from] += bytes[from];
  }

  resolved(ms: number, ended: "ok" | ErrorCode): void {
    this.resolves.add([ended]);
    this.resolveSeconds.observe(ms / 1000);
  }

  traced(event: TraceEvent): void {
    if (event.event === "retry") this.retries += 1;
    else if (event.event === "refresh") this.refreshes += 1;
    else if (event.event === "window") {
      // Few run at once, so that looking at each is cheap.
      this.#fold();
      this.#running.add(event);
    }
  }

  /** Upstream requests by `ok`, `cut` (nobody wanted the rest), or an error's code, once they have ended; the bytes of all. */
  upstream(): { readonly requests: readonly (readonly [ended: string, count: number])[]; readonly bytes: number } {
    this.#fold();
    let bytes = this.#windowBytes;
    for (const event of this.#running) bytes += event.bytes;
    return { requests: [...this.#windows].map(([[ended], count]) => [ended, count]), bytes };
  }

  #fold(): void {
    for (const event of this.#running) {
      if (event.ended === undefined) continue;
      this.#running.delete(event);
      this.#windows.add([event.ended]);
      this.#windowBytes += event.bytes;
      if (event.headersMs !== undefined) this.upstreamSeconds.observe(event.headersMs / 1000);
    }
  }
}

/** What was counted since the start, for `/metrics`. */
export class Totals {
  readonly #sources: ReadonlyMap<string, SourceTotals>;
  readonly evictions = new Tally<readonly [reason: string]>();
  readonly evictedBytes = new Tally<readonly [reason: string]>();
  readonly #others = new SourceTotals();

  /** `sources` are the keys of those there are: anything else that a client asks for is counted as one. */
  constructor(sources: readonly string[]) {
    this.#sources = new Map(sources.map((source) => [source, new SourceTotals()]));
  }

  of(source: string): SourceTotals {
    return this.#sources.get(source) ?? this.#others;
  }

  /** By source; what named none of them under the empty name. */
  *[Symbol.iterator](): Generator<readonly [source: string, totals: SourceTotals]> {
    yield* this.#sources;
    if (this.#others.isUsed) yield ["", this.#others];
  }

  evicted(bytes: number, reason: string): void {
    this.evictions.add([reason]);
    this.evictedBytes.add([reason], bytes);
  }
}

/** Sums by label values. */
class Tally<Labels extends readonly string[]> {
  readonly #sums = new Map<string, [Labels, number]>();

  get size(): number {
    return this.#sums.size;
  }

  add(labels: Labels, by = 1): void {
    const key = labels.join("\n");
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, [labels, by]);
    else sum[1] += by;
  }

  [Symbol.iterator](): Iterator<readonly [Labels, number]> {
    return this.#sums.values();
  }
}
