import { once } from "node:events";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";

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

/** A reset discards what the kernel still has to deliver; 20 ms let a client that reads have it all. */
async function untilDelivered(): Promise<void> {
  await setTimeout(20);
}

function titleCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()).replace("Etag", "ETag");
}

/** Reads requests off a socket, one after the other, and closes it when `answer` or the client says so. */
export function serveConnection(
  socket: Socket,
  answer: (head: Head, exchange: Exchange) => Promise<void>,
  onFault: (error: unknown) => void,
): void {
  let received = Buffer.alloc(0);
  let skip = 0;
  let current: AbortController | undefined;

  const next = () => {
    const skipped = Math.min(skip, received.length);
    received = received.subarray(skipped);
    skip -= skipped;
    const end = received.indexOf(HEAD_END);
    if (current || skip > 0 || !socket.writable) return;
    if (end < 0) {
      if (received.length > MAX_HEAD) socket.destroy();
      return;
    }
    const lines = received.toString("latin1", 0, end).split("\r\n");
    received = received.subarray(end + HEAD_END.length);
    const [method = "", path = "", protocol = ""] = lines[0]?.split(" ") ?? [];
    const headers = Object.fromEntries(lines.slice(1).map(headerLine));
    skip = Number(headers["content-length"] ?? 0);
    void serve({ method, path, headers }, protocol === "HTTP/1.1" && headers["connection"]?.toLowerCase() !== "close");
  };

  const serve = async (head: Head, keepAlive: boolean) => {
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

function headerLine(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
