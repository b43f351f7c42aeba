import { once } from "node:events";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";

/** The head of a request. */
export interface Head {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

const HEAD_END = "\r\n\r\n";
const MAX_HEAD = 64 * 1024;

/** Where one request is answered. Nothing here checks that the framing is right: that is the point. */
export class Exchange {
  readonly #socket: Socket;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  #keepAlive: boolean;

  constructor(socket: Socket, signal: AbortSignal, keepAlive: boolean) {
    this.#socket = socket;
    this.signal = signal;
    this.#keepAlive = keepAlive;
  }

  get keepAlive(): boolean {
    return this.#keepAlive && this.#socket.writable;
  }

  async writeHead(status: number, headers: Readonly<Record<string, string>>, keepAlive = true): Promise<void> {
    this.#keepAlive &&= keepAlive;
    const all = { date: new Date().toUTCString(), ...headers, connection: this.#keepAlive ? "keep-alive" : "close" };
    const lines = Object.entries(all).map(([name, value]) => `${titleCase(name)}: ${value}`);
    const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}`, ...lines, "", ""].join("\r\n");
    await this.write(Buffer.from(head, "latin1"));
  }

  /** Settles when the kernel has taken the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    if (!this.#socket.write(bytes)) await once(this.#socket, "drain", { signal: this.signal });
  }

  /** RST. Its promise settles when it has been sent. */
  async reset(): Promise<void> {
    await untilDelivered();
    this.#socket.resetAndDestroy();
  }

  /** FIN, after everything written. */
  close(): void {
    this.#socket.destroySoon();
  }
}

/**
 * A reset discards what the kernel still has to deliver; 20 ms let a client that reads have it all. One in this process
 * reads between two turns of the event loop, however late a busy machine comes to them.
 */
async function untilDelivered(): Promise<void> {
  await setTimeout(20);
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

function titleCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()).replace("Etag", "ETag");
}

/**
 * Reads requests off a socket, one after the other, and closes it when `answer` or the client says so. What is no
 * request is answered with 400 or 431; `onFault` is told what `answer` threw while the client was there.
 */
export function serveConnection(
  socket: Socket,
  answer: (head: Head, exchange: Exchange) => Promise<void>,
  onFault: (error: unknown) => void,
): void {
  let received = Buffer.alloc(0);
  /** Bytes of a request's body still to be dropped. */
  let skip = 0;
  let current: AbortController | undefined;

  const next = () => {
    const skipped = Math.min(skip, received.length);
    received = received.subarray(skipped);
    skip -= skipped;
    // Requests sent ahead wait in the kernel.
    if (received.length > MAX_HEAD) socket.pause();
    if (current || skip > 0 || !socket.writable) return;
    const end = received.indexOf(HEAD_END);
    if (end < 0 ? received.length > MAX_HEAD : end > MAX_HEAD) return refuse(431);
    if (end < 0) return;
    const request = parseHead(received.toString("latin1", 0, end));
    if (!request) return refuse(400);
    received = received.subarray(end + HEAD_END.length);
    skip = request.bodyLength;
    socket.resume();
    void serve(request);
  };

  const refuse = (status: 400 | 431) => {
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    received = Buffer.alloc(0);
    // A client that goes on sending is not listened to.
    socket.resume();
  };

  const serve = async ({ head, keepAlive }: ParsedHead) => {
    current = new AbortController();
    const exchange = new Exchange(socket, current.signal, keepAlive);
    try {
      await answer(head, exchange);
      if (!exchange.keepAlive) exchange.close();
    } catch (error) {
      socket.destroy();
      // A client that goes away is the everyday case; anything else is a fault of the server and must be seen.
      if (!current.signal.aborted) onFault(error);
    }
    current = undefined;
    next();
  };

  const gone = () => current?.abort(new Error("The client went away"));
  socket.on("data", (bytes: Buffer) => {
    if (!socket.writable) return;
    received = Buffer.concat([received, bytes]);
    next();
  });
  socket.on("end", () => {
    gone();
    socket.destroySoon();
  });
  socket.on("close", gone);
  socket.on("error", gone);
}

interface ParsedHead {
  readonly head: Head;
  readonly keepAlive: boolean;
  /** Bytes. */
  readonly bodyLength: number;
}

/** RFC 9112, as far as an upstream needs it; undefined for what cannot be answered. */
function parseHead(text: string): ParsedHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, method = "", path = "", minor = ""] =
    /^([!#$%&'*+.^_`|~\w-]+) (\/[^\s]*) HTTP\/1\.([01])$/.exec(first) ?? [];
  if (path === "" || lines.some((line) => !/^[^\s:]+:/.test(line))) return undefined;
  const headers = Object.fromEntries(lines.map(headerLine));
  const length = headers["content-length"] ?? "0";
  // Nobody has a reason to send an upstream a body in chunks.
  if (!/^\d{1,15}$/.test(length) || headers["transfer-encoding"] !== undefined) return undefined;
  const keepAlive = minor === "1" && headers["connection"]?.toLowerCase() !== "close";
  return { head: { method, path, headers }, keepAlive, bodyLength: Number(length) };
}

function headerLine(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
