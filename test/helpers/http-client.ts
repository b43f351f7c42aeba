import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { FramingError, ResponseParser } from "./client/response-parser.ts";

export { FramingError } from "./client/response-parser.ts";

export interface RawRequest {
  /** Default GET. */
  readonly method?: string;
  /** Default `/`. Sent as it is. */
  readonly path?: string;
  /** Sent as they are, after Host (unless it is among them). */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly requestBody?: string | Uint8Array;
  /** Destroys the socket after so many bytes of the body; 0: after the headers. */
  readonly readBytes?: number;
  /** Reads so many bytes a second, in pieces of at most 4 KiB. What the kernel buffers comes on top. */
  readonly rate?: number;
  /** Its abort destroys the socket and rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the body's length whenever it grows, and once with 0 when the headers are there. */
  readonly onProgress?: (bodyLength: number) => void;
}

export interface RawResponse {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case; repeated ones joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** Milliseconds from the request to the head's end, and to the body's first byte. */
  readonly headersMs: number;
  readonly firstByteMs: number | undefined;
  /** The body ended exactly where its framing says. */
  readonly complete: boolean;
  /** The server ended the connection. */
  readonly closed: boolean;
  /** Why the connection broke, where it was not simply ended: `ECONNRESET`, … */
  readonly errorCode: string | undefined;
  /** Bytes after the end of the response. */
  readonly extraBytes: number;
}

export interface ConnectOptions {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/** How long a server that was asked to close has to do so: extra bytes show up in that time. */
const CLOSE_GRACE_MS = 100;

/**
 * One request on a connection of its own, which the server is asked to close.
 * Rejects if there is no head; a body that breaks off is told by `complete`.
 */
export async function request(options: RawRequest & ConnectOptions): Promise<RawResponse> {
  const connection = await connect(options);
  try {
    return await connection.exchange({ ...options, headers: { connection: "close", ...options.headers } }, true);
  } finally {
    connection.destroy();
  }
}

/** A connection to send several requests on, one after the other. */
export async function connect({ port, host = "127.0.0.1" }: ConnectOptions): Promise<Connection> {
  const socket = connectSocket({ port, host, noDelay: true });
  await once(socket, "connect");
  return new Connection(socket, `${host}:${port}`);
}

export class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  #ended = false;
  #errorCode: string | undefined;
  /** Bytes that came after the last response. */
  #stray = 0;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    const wake = () => this.#wake?.();
    const ended = () => {
      this.#ended = true;
      wake();
    };
    socket.on("readable", wake);
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#errorCode = error.code;
      ended();
    });
  }

  /** The server has ended the connection, or it was destroyed. */
  get closed(): boolean {
    return this.#ended;
  }

  /** Sends a request and takes its response. Rejects with a FramingError if bytes are left over from the one before. */
  async request(options: RawRequest): Promise<RawResponse> {
    return this.exchange(options, false);
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  /** As `request`; `untilClosed` waits for a while for the server to close, and counts what else it sends. */
  async exchange(options: RawRequest, untilClosed: boolean): Promise<RawResponse> {
    const { signal } = options;
    signal?.throwIfAborted();
    const stray = this.#stray + ((this.#socket.read() as Buffer | null) ?? "").length;
    if (stray > 0) throw new FramingError(`${stray} bytes between two responses`);
    const onAbort = () => {
      this.destroy();
      this.#wake?.();
    };
    signal?.addEventListener("abort", onAbort);
    try {
      return await this.#exchange(options, untilClosed);
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #exchange(options: RawRequest, untilClosed: boolean): Promise<RawResponse> {
    const { method = "GET", readBytes = Infinity, onProgress } = options;
    const parser = new ResponseParser(method);
    const startedAt = performance.now();
    let headersMs: number | undefined;
    let firstByteMs: number | undefined;
    this.#socket.write(this.#head(method, options));
    if (options.requestBody !== undefined) this.#socket.write(options.requestBody);

    for await (const bytes of this.#pieces(options)) {
      const before = parser.bodyLength;
      parser.push(bytes);
      if (parser.headersDone && headersMs === undefined) {
        headersMs = performance.now() - startedAt;
        onProgress?.(0);
      }
      if (parser.bodyLength > 0) firstByteMs ??= performance.now() - startedAt;
      if (parser.bodyLength > before) onProgress?.(parser.bodyLength);
      if (parser.complete || (parser.headersDone && parser.bodyLength >= readBytes)) break;
    }
    if (this.#ended) parser.end();
    options.signal?.throwIfAborted();
    if (headersMs === undefined) throw new Error(`The connection ended before a head (${this.#errorCode ?? "FIN"})`);
    if (!parser.complete && !this.#ended) this.#socket.destroy();
    this.#stray = parser.extra.length + (parser.complete && untilClosed ? await this.#drain() : 0);
    return {
      status: parser.status,
      statusText: parser.statusText,
      headers: parser.headers,
      rawHeaders: parser.rawHeaders,
      complete: parser.complete,
      headersMs,
      firstByteMs,
      body: parser.body(readBytes),
      closed: this.#ended,
      errorCode: this.#errorCode,
      extraBytes: this.#stray,
    };
  }

  #head(method: string, { path = "/", headers = {}, requestBody }: RawRequest): string {
    const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
    if (!lines.some((line) => /^host:/i.test(line))) lines.unshift(`Host: ${this.#host}`);
    if (requestBody !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(requestBody)}`);
    return [`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
  }

  /** What comes, until the connection ends. */
  async *#pieces({ rate, signal }: RawRequest): AsyncGenerator<Buffer, void> {
    for (;;) {
      signal?.throwIfAborted();
      const limit = rate === undefined ? Infinity : Math.min(4096, Math.max(1, Math.ceil(rate / 20)));
      const bytes = this.#socket.read(this.#socket.readableLength > limit ? limit : undefined) as Buffer | null;
      if (bytes) {
        if (rate !== undefined) await delay((bytes.length / rate) * 1000, undefined, { signal }).catch(() => {});
        signal?.throwIfAborted();
        yield bytes;
      } else if (this.#ended) return;
      else await new Promise<void>((wake) => (this.#wake = wake));
    }
  }

  /** Reads until the server closes, but not for long. The number of bytes. */
  async #drain(): Promise<number> {
    const late = AbortSignal.timeout(CLOSE_GRACE_MS);
    late.addEventListener("abort", () => this.#wake?.());
    let count = 0;
    try {
      for await (const bytes of this.#pieces({ signal: late })) count += bytes.length;
    } catch (error) {
      if (!late.aborted) throw error;
    }
    return count;
  }
}
