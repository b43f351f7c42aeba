import { Dispatcher } from "undici";
import { type Answer, lengthOf, stretchOf, textAnswer } from "../../src/chaos/upstream/answer.ts";
import type { At } from "../../src/chaos/upstream/behaviour.ts";
import type { Original, Plan, UpstreamRequest } from "./origin.ts";
import type { Fault } from "./scenario.ts";
import type { VirtualTime } from "./time.ts";

/** A server goes on for so long after a client has hung up, ms. */
const NOTICE_MS = 5;
/** Bytes that a server hands over without anyone reading them. */
const BUFFERED = 64 * 1024;
/** What arrives at once of an upstream that is at its best, bytes. */
const GENEROUS_PIECE = 128 * 1024;

export interface Upstreams {
  readonly time: VirtualTime;
  /** The resource that a path names. */
  readonly find: (path: string) => { original: Original; faults: Plan<Fault> };
  /** Why it cannot be reached now. */
  readonly outage: () => string | undefined;
  /** Told of more requests at once than there should ever be. */
  readonly onTooMany: (what: string) => void;
}

/** Live requests at once. */
const PER_TRACK = 2;
const PER_SOURCE = 6;

type Headers = Readonly<Record<string, string>>;

/** In the place of undici: answers requests from {@link Original}s, as undici would tell of it. */
export class ModelDispatcher extends Dispatcher {
  readonly #upstreams: Upstreams;
  readonly #exchanges = new Set<Exchange>();
  /** What servers are still busy with, by track and by source. */
  readonly #live = new Map<string, number>();

  constructor(upstreams: Upstreams) {
    super();
    this.#upstreams = upstreams;
  }

  /** Requests that the client has not ended. */
  get open(): number {
    return this.#exchanges.size;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const url = new URL(options.path, String(options.origin));
    const exchange = new Exchange(this.#upstreams, url, options.headers as Headers, handler, this);
    this.#exchanges.add(exchange);
    this.#count(exchange.original, 1);
    exchange.start();
    return true;
  }

  /** An exchange is over; its server notices after `notice` ms. */
  ended(exchange: Exchange, notice: number): void {
    this.#exchanges.delete(exchange);
    if (notice === 0) this.#count(exchange.original, -1);
    else this.#upstreams.time.after(notice, () => this.#count(exchange.original, -1));
  }

  /** The process is gone: nobody is told anything any more. */
  kill(): void {
    for (const exchange of [...this.#exchanges]) exchange.kill();
  }

  #count({ plan, track }: Original, change: 1 | -1): void {
    for (const [what, most] of [
      [`${plan.source}/${track}`, PER_TRACK],
      [plan.source, PER_SOURCE],
    ] as const) {
      const live = (this.#live.get(what) ?? 0) + change;
      this.#live.set(what, live);
      if (live > most) this.#upstreams.onTooMany(`${live} requests at once for ${what}`);
    }
  }
}

interface Stop {
  readonly at: number;
  readonly kind: "reset" | "close" | "stall" | "pause" | "trickle";
  /** Ms, or bytes a ms. */
  readonly amount: number;
}

class Exchange implements Dispatcher.DispatchController {
  paused = false;
  aborted = false;
  reason: Error | null = null;
  readonly #upstreams: Upstreams;
  readonly #url: URL;
  readonly #headers: Headers;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #dispatcher: ModelDispatcher;
  readonly original: Original;
  readonly #fault: Fault;
  readonly #log: UpstreamRequest;
  #answer: Answer = textAnswer(500);
  /** Bytes of the body that there are, and that are announced. */
  #length = 0;
  #told = 0;
  #headed = false;
  #stops: Stop[] = [];
  #position = 0;
  #pace: number;
  readonly #piece: number;
  #over = false;
  /** Bytes are due, and nobody takes them. */
  #waits = false;

  constructor(
    upstreams: Upstreams,
    url: URL,
    headers: Headers,
    handler: Dispatcher.DispatchHandler,
    dispatcher: ModelDispatcher,
  ) {
    this.#upstreams = upstreams;
    this.#url = url;
    this.#headers = headers;
    this.#handler = handler;
    this.#dispatcher = dispatcher;
    const { original, faults } = upstreams.find(url.pathname);
    this.original = original;
    const hops = url.searchParams.has("hops");
    const fault = hops ? undefined : faults.next();
    this.#fault = fault ?? {};
    const { isGenerous, plan } = original;
    this.#pace = isGenerous ? 0 : plan.pace;
    this.#piece = isGenerous ? GENEROUS_PIECE : plan.piece;
    this.#log = {
      at: upstreams.time.now,
      range: headers["range"],
      status: 0,
      version: undefined,
      start: undefined,
      sent: 0,
      cut: false,
      disturbed: fault !== undefined || hops,
    };
    original.requests.push(this.#log);
  }

  start(): void {
    this.#handler.onRequestStart?.(this, {});
    const { latency = this.original.plan.latency } = this.#fault;
    this.#after(latency, () => this.#begin());
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (!this.#waits) return;
    this.#waits = false;
    this.#after(0, () => this.#send());
  }

  abort(reason: Error): void {
    if (this.#over) return;
    this.aborted = true;
    this.reason = reason;
    this.#log.cut = true;
    // Before its headers nothing is on its way; what fits into the connection's buffers is sent by now.
    const isIdle = !this.#headed || this.#length - this.#position <= BUFFERED;
    this.#end(isIdle ? 0 : NOTICE_MS);
    this.#handler.onResponseError?.(this, reason);
  }

  kill(): void {
    this.#end(NOTICE_MS);
  }

  #begin(): void {
    const { refuse = this.#upstreams.outage() } = this.#fault;
    if (refuse !== undefined) return this.#break(refuse);
    const answer = this.original.answer(this.#url, this.#headers, this.#fault);
    this.#answer = answer;
    this.#length = lengthOf(answer.body);
    this.#stops = stopsOf(this.#fault, stretchOf(answer)?.start ?? 0, this.#length);
    this.#log.status = answer.status;
    this.#log.version = answer.version === undefined ? undefined : String(answer.version);
    this.#log.start = stretchOf(answer)?.start;
    this.#told = Number(
      answer.framing === "length" ? (answer.headers["content-length"] ?? this.#length) : this.#length,
    );
    this.#head();
  }

  #head(): void {
    if (this.#stopped()) return;
    const answer = this.#answer;
    const headers = {
      ...answer.headers,
      connection: answer.framing === "close" || this.#told !== this.#length ? "close" : "keep-alive",
      ...(answer.framing === "length" ? { "content-length": String(this.#told) } : {}),
      ...(answer.framing === "chunked" ? { "transfer-encoding": "chunked" } : {}),
    };
    this.#headed = true;
    this.#handler.onResponseStart?.(this, answer.status, headers, "");
    if (!this.#over) this.#after(0, () => this.#send());
  }

  /** One piece, or what comes in its place. */
  #send(): void {
    if (this.paused) {
      this.#waits = true;
      return;
    }
    if (this.#stopped()) return;
    const end = Math.min(this.#told, this.#length);
    if (this.#position >= end) {
      // The connection ends before all that was announced, or the body does.
      if (this.#told > this.#length) return this.#break("UND_ERR_SOCKET");
      this.#end(0);
      this.#handler.onResponseEnd?.(this, {});
      return;
    }
    const next = this.#stops[0]?.at ?? end;
    const size = Math.max(1, Math.min(this.#piece, end - this.#position, Math.max(1, next - this.#position)));
    const piece = pieceOf(this.#answer, this.#position, size);
    this.#position += piece.length;
    if (this.#log.start !== undefined) {
      this.#log.sent += piece.length;
      this.original.spend(this.#url, piece.length);
    }
    this.#handler.onResponseData?.(this, piece as Buffer);
    if (!this.#over) this.#after(this.#pace > 0 ? piece.length / this.#pace : 0, () => this.#send());
  }

  /** True if something happens here instead of bytes. */
  #stopped(): boolean {
    const [stop] = this.#stops;
    if (stop === undefined || stop.at > this.#position) return false;
    this.#stops.shift();
    switch (stop.kind) {
      case "reset":
        this.#break("ECONNRESET");
        return true;
      case "close":
        if (this.#answer.framing !== "close" || this.#position === 0) this.#break("UND_ERR_SOCKET");
        else {
          this.#end(0);
          this.#handler.onResponseEnd?.(this, {});
        }
        return true;
      case "stall":
        return true;
      case "pause":
        this.#after(stop.amount, () => (this.#headed ? this.#send() : this.#head()));
        return true;
      case "trickle":
      default:
        this.#pace = stop.amount;
        return false;
    }
  }

  #break(code: string): void {
    this.#end(0);
    this.#handler.onResponseError?.(this, Object.assign(new Error(`The connection failed: ${code}`), { code }));
  }

  #end(notice: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#dispatcher.ended(this, notice);
  }

  #after(ms: number, act: () => void): void {
    this.#upstreams.time.after(
      ms,
      () => {
        if (!this.#over) act();
      },
      this.#dispatcher,
    );
  }
}

/** In the order they come. */
function stopsOf({ reset, close, stall, pause, trickle }: Fault, start: number, length: number): Stop[] {
  const stops: Stop[] = [];
  const add = (at: At | undefined, kind: Stop["kind"], amount = 0): void => {
    if (at === undefined) return;
    const place = at === "headers" ? 0 : typeof at === "number" ? at : at.offset - start;
    if (place >= 0 && place <= length) stops.push({ at: place, kind, amount });
  };
  add(trickle?.at, "trickle", (trickle?.rate ?? 1000) / 1000);
  add(pause?.at, "pause", pause?.ms);
  add(stall, "stall");
  add(close, "close");
  add(reset, "reset");
  return stops.toSorted((a, b) => a.at - b.at);
}

function pieceOf(answer: Answer, position: number, limit: number): Uint8Array {
  let before = 0;
  for (const part of answer.body) {
    const length = part instanceof Uint8Array ? part.length : part.end - part.start;
    const from = position - before;
    if (from < length) {
      const to = Math.min(from + limit, length);
      return part instanceof Uint8Array ? part.subarray(from, to) : answer.bytes(part.start + from, part.start + to);
    }
    before += length;
  }
  throw new RangeError("A position past the body's end");
}
