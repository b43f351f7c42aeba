import { textAnswer } from "./answer.ts";
import { type Clock, unlessAborted } from "./clock.ts";
import type { Exchange, Head } from "./connection.ts";
import { decoded } from "./path.ts";
import { deliver } from "./send.ts";

/** What a resolver says of a track, in the fields that `webhook:TEMPLATE` reads. */
export interface Resolution {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly variant?: string;
  /** Bytes. */
  readonly contentLength?: number;
  readonly contentType?: string;
  /** Epoch milliseconds. */
  readonly expiresAt?: number;
  /** Bytes. */
  readonly maxWindow?: number;
  readonly id?: string;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
}

/** A resolution, or any answer: a string goes out as it is, everything else as JSON. */
export type WebhookAnswer =
  | Resolution
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> };

export interface WebhookOptions {
  /** Default `/resolve`. */
  readonly path?: string;
  /**
   * May take its time, until `signal` aborts; a throw is answered with 500. Default: a fresh URL and the size, type and
   * version.
   */
  readonly resolve?: (
    id: string,
    query: URLSearchParams,
    signal: AbortSignal,
  ) => WebhookAnswer | Promise<WebhookAnswer>;
  /** Milliseconds before the answer. */
  readonly latency?: number;
}

export interface WebhookCall {
  readonly id: string;
  readonly attempt: number | undefined;
  readonly reason: string | undefined;
  readonly quality: string | undefined;
  readonly query: URLSearchParams;
  /** 0 until there is an answer; it stays so if the client goes away. */
  status: number;
  /** The number of the last request for bytes before it; 0 for none. */
  readonly after: number;
  readonly startedAt: number;
}

/** How many calls are remembered. */
const KEPT = 20_000;

/** A resolver at `GET template`, in the words of `webhook:TEMPLATE`. */
export class Webhook {
  /** With `{id}` to be filled in. */
  readonly template: string;
  readonly #options: Required<WebhookOptions>;
  readonly #clock: Clock;
  readonly #lastRequest: () => number;
  readonly #counts = new Map<string, number>();
  #calls: WebhookCall[] = [];

  /** `lastRequest` answers the number of the last request for bytes. */
  constructor(origin: string, clock: Clock, lastRequest: () => number, options: Required<WebhookOptions>) {
    this.template = `${origin}${options.path}?id={id}`;
    this.#options = options;
    this.#clock = clock;
    this.#lastRequest = lastRequest;
  }

  /** The last 20,000. */
  calls(id?: string): readonly WebhookCall[] {
    return id === undefined ? this.#calls : this.#calls.filter((call) => call.id === id);
  }

  callCount(id?: string): number {
    if (id !== undefined) return this.#counts.get(id) ?? 0;
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  reset(): void {
    this.#calls = [];
    this.#counts.clear();
  }

  async answer({ pathname, searchParams: query }: URL, head: Head, exchange: Exchange): Promise<void> {
    const call: WebhookCall = {
      id: query.get("id") ?? decoded(pathname.slice(this.#options.path.length + 1)),
      attempt: query.has("attempt") ? Number(query.get("attempt")) : undefined,
      reason: query.get("reason") ?? undefined,
      quality: query.get("quality") ?? undefined,
      query,
      status: 0,
      after: this.#lastRequest(),
      startedAt: this.#clock.now(),
    };
    this.#calls.push(call);
    this.#counts.set(call.id, this.callCount(call.id) + 1);
    if (this.#calls.length > KEPT * 1.1) this.#calls = this.#calls.slice(-KEPT);
    if (this.#options.latency > 0) await this.#clock.delay(this.#options.latency, exchange.signal);
    const { status, body, headers } = await unlessAborted(this.#resolve(call, exchange.signal), exchange.signal);
    const text = typeof body === "string" ? body : JSON.stringify(body ?? null);
    call.status = status;
    await deliver(textAnswer(status, text, { "content-type": "application/json", ...headers }), head, exchange);
  }

  async #resolve({ id, query }: WebhookCall, signal: AbortSignal): Promise<Extract<WebhookAnswer, { status: number }>> {
    try {
      const answer = await this.#options.resolve(id, query, signal);
      return "status" in answer ? answer : { status: 200, body: answer };
    } catch (error) {
      return { status: 500, body: { message: String(error) } };
    }
  }
}
