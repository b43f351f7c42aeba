import { lengthOf, textAnswer } from "./answer.ts";
import { type Clock, unlessAborted } from "./clock.ts";
import type { Exchange } from "./connection.ts";

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
  /** May take its time; a throw is answered with 500. Default: a fresh URL and the size, type and version. */
  readonly resolve?: (id: string, query: URLSearchParams) => WebhookAnswer | Promise<WebhookAnswer>;
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
  readonly startedAt: number;
}

/** A resolver at `GET template`, in the words of `webhook:TEMPLATE`. */
export class Webhook {
  /** With `{id}` to be filled in. */
  readonly template: string;
  readonly #options: Required<WebhookOptions>;
  readonly #clock: Clock;
  #calls: WebhookCall[] = [];

  constructor(origin: string, clock: Clock, options: Required<WebhookOptions>) {
    this.template = `${origin}${options.path}?id={id}`;
    this.#options = options;
    this.#clock = clock;
  }

  calls(id?: string): readonly WebhookCall[] {
    return id === undefined ? this.#calls : this.#calls.filter((call) => call.id === id);
  }

  reset(): void {
    this.#calls = [];
  }

  async answer(query: URLSearchParams, exchange: Exchange): Promise<void> {
    const call: WebhookCall = {
      id: query.get("id") ?? "",
      attempt: query.has("attempt") ? Number(query.get("attempt")) : undefined,
      reason: query.get("reason") ?? undefined,
      quality: query.get("quality") ?? undefined,
      query,
      status: 0,
      startedAt: this.#clock.now(),
    };
    this.#calls.push(call);
    if (this.#options.latency > 0) await this.#clock.delay(this.#options.latency, exchange.signal);
    const { status, body, headers } = await unlessAborted(this.#resolve(call), exchange.signal);
    const text = typeof body === "string" ? body : JSON.stringify(body ?? null);
    const answer = textAnswer(status, text, { "content-type": "application/json", ...headers });
    call.status = status;
    await exchange.writeHead(status, { ...answer.headers, "content-length": String(lengthOf(answer.body)) });
    await exchange.write(new TextEncoder().encode(text));
  }

  async #resolve({ id, query }: WebhookCall): Promise<Extract<WebhookAnswer, { status: number }>> {
    try {
      const answer = await this.#options.resolve(id, query);
      return "status" in answer ? answer : { status: 200, body: answer };
    } catch (error) {
      return { status: 500, body: { message: String(error) } };
    }
  }
}
