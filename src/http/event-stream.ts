import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../data-source/clock.ts";
import { AfterbayError } from "../errors.ts";

/** Clients at once. */
const MAX_CLIENTS = 32;
/** A client that leaves more than this unread is dropped, bytes. */
const MAX_BUFFERED = 1024 * 1024;
/** Comments at this interval show proxies and clients that the connection lives, ms. */
const HEARTBEAT_MS = 15_000;
/** After a break, a client comes back after this long, ms. */
const RETRY_MS = 2000;
/** Messages that are kept for those who come back, at most, and their length in all. */
const RING_MESSAGES = 512;
const RING_LENGTH = 256 * 1024;
/** They are kept this long after the last client has left, ms. */
const LINGER_MS = 60_000;

interface Message {
  readonly number: number;
  readonly text: string;
}

/**
 * Server-sent events (WHATWG HTML, section 9.2) to a few clients. Nothing is kept, or costs anything, before the first one
 * comes. A client that comes back gets what it missed if that is little, else a `reset`: it must look at everything anew.
 */
export class EventStream {
  readonly #clock: Clock;
  /** Tells this process's numbers from those of the one before. */
  readonly #epoch = randomBytes(4).toString("hex");
  readonly #clients = new Set<ServerResponse>();
  #ring: Message[] = [];
  #ringLength = 0;
  #number = 0;
  #listening = false;
  #cancelLinger = (): void => {};
  #cancelHeartbeat = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True if someone listens, or may come back. */
  get isListening(): boolean {
    return this.#listening;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Answers a client with all that is published from now on. Throws `busy` if there are too many. */
  connect(request: IncomingMessage, response: ServerResponse): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      throw new AfterbayError("busy", `There are ${MAX_CLIENTS} listeners already`, { retryAfterMs: 5000 });
    }
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      // nginx would hold events back.
      "x-accel-buffering": "no",
    });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const last = request.headers["last-event-id"];
    // The number alone, so that whoever breaks off before the first event comes back with it.
    const begin = last === undefined ? `id: ${this.#idOf(this.#number)}\n\n` : this.#missedSince(String(last));
    response.write(`retry: ${RETRY_MS}\n${begin === "" ? "\n" : begin}`);
    this.#clients.add(response);
    response.once("close", () => this.#leave(response));
    // A pipelined response hears of its socket's end only when its turn has come; its request hears of it at once.
    request.once("close", () => {
      if (!request.readableEnded) this.#leave(response);
    });
    this.#listening = true;
    this.#cancelLinger();
    if (this.#clients.size === 1) this.#beat();
  }

  /** Sends an event to all. */
  publish(name: string, data: object): void {
    if (!this.#listening) return;
    this.#number += 1;
    const text = `id: ${this.#idOf(this.#number)}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#ring.push({ number: this.#number, text });
    this.#ringLength += text.length;
    while (this.#ring.length > RING_MESSAGES || this.#ringLength > RING_LENGTH) {
      this.#ringLength -= this.#ring.shift()?.text.length ?? 0;
    }
    this.#send(text);
  }

  /** Ends all connections in order. */
  close(): void {
    for (const response of this.#clients) response.end();
    this.#clients.clear();
    this.#cancelHeartbeat();
    this.#cancelLinger();
    this.#listening = false;
  }

  #idOf(number: number): string {
    return `${this.#epoch}-${number}`;
  }

  #missedSince(id: string): string {
    const [epoch, digits = ""] = id.split("-", 2);
    const number = epoch === this.#epoch && /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
    const oldest = this.#ring[0]?.number ?? this.#number + 1;
    if (number >= oldest - 1 && number <= this.#number) {
      return this.#ring.flatMap((message) => (message.number > number ? [message.text] : [])).join("");
    }
    return `id: ${this.#idOf(this.#number)}\nevent: reset\ndata: {}\n\n`;
  }

  #send(text: string): void {
    for (const response of this.#clients) {
      response.write(text);
      // Whoever does not read is not waited for.
      if (response.writableLength <= MAX_BUFFERED) continue;
      this.#leave(response);
      response.destroy();
    }
  }

  #beat(): void {
    this.#cancelHeartbeat();
    this.#cancelHeartbeat = this.#clock.after(HEARTBEAT_MS, () => {
      this.#send(":\n\n");
      this.#beat();
    });
  }

  #leave(response: ServerResponse): void {
    if (!this.#clients.delete(response) || this.#clients.size > 0) return;
    this.#cancelHeartbeat();
    this.#cancelLinger = this.#clock.after(LINGER_MS, () => {
      this.#listening = false;
      this.#ring = [];
      this.#ringLength = 0;
      // What is not told any more was missed by whoever has the last number.
      this.#number += 1;
    });
  }
}
