/** The bytes are no HTTP response, or not one that ends where it says. */
export class FramingError extends Error {
  override name = "FramingError";
}

type Framing = { kind: "none" | "chunked" | "close" } | { kind: "length"; length: number };

/** Takes one response apart, byte by byte as it comes, and keeps what does not belong to it. */
export class ResponseParser {
  status = 0;
  statusText = "";
  headers: Record<string, string> = {};
  rawHeaders: (readonly [name: string, value: string])[] = [];
  headersDone = false;
  /** Content-Length or the last chunk was reached exactly, or the body ended with the connection as it should. */
  complete = false;
  bodyLength = 0;
  readonly #body: Uint8Array[] = [];
  readonly #method: string;
  #framing: Framing = { kind: "none" };
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes left of the current chunk, its CRLF included; absent before its size line. */
  #chunkLeft: number | undefined;
  #inTrailers = false;

  constructor(method: string) {
    this.#method = method;
  }

  /** Bytes that came after the response's end. */
  get extra(): Buffer {
    return this.complete ? this.#buffer : Buffer.alloc(0);
  }

  body(limit = Infinity): Uint8Array {
    return Buffer.concat(this.#body).subarray(0, Math.min(limit, this.bodyLength));
  }

  push(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#buffer, bytes]);
    while (!this.complete && this.#step());
  }

  /** The connection has ended. */
  end(): void {
    if (this.headersDone && this.#framing.kind === "close") this.complete = true;
  }

  /** True while there may be more to read from what is buffered. */
  #step(): boolean {
    if (!this.headersDone) return this.#readHead();
    if (this.#framing.kind === "chunked") return this.#readChunk();
    const left = this.#framing.kind === "length" ? this.#framing.length - this.bodyLength : Infinity;
    this.#take(Math.min(left, this.#buffer.length));
    this.complete = this.#framing.kind === "length" && this.bodyLength === this.#framing.length;
    return false;
  }

  #readHead(): boolean {
    const opening = this.#buffer.toString("latin1", 0, 7);
    if (!"HTTP/1.".startsWith(opening)) throw new FramingError(`Not a response: ${JSON.stringify(opening)}`);
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [statusLine = "", ...lines] = this.#buffer.toString("latin1", 0, end).split("\r\n");
    this.#buffer = this.#buffer.subarray(end + 4);
    const [, status = "", statusText = ""] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(statusLine) ?? [];
    if (status === "") throw new FramingError(`Not a status line: ${statusLine}`);
    if (status.startsWith("1")) return true;
    this.status = Number(status);
    this.statusText = statusText;
    this.rawHeaders = lines.map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new FramingError(`Not a header: ${line}`);
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    for (const [name, value] of this.rawHeaders) {
      const known = this.headers[name.toLowerCase()];
      this.headers[name.toLowerCase()] = known === undefined ? value : `${known}, ${value}`;
    }
    this.headersDone = true;
    this.#framing = framingOf(this.#method, this.status, this.headers);
    this.complete = this.#framing.kind === "none" || (this.#framing.kind === "length" && this.#framing.length === 0);
    return true;
  }

  #readChunk(): boolean {
    if (this.#chunkLeft === undefined) {
      const end = this.#buffer.indexOf("\r\n");
      if (end < 0) return false;
      const line = this.#buffer.toString("latin1", 0, end);
      this.#buffer = this.#buffer.subarray(end + 2);
      if (this.#inTrailers) {
        this.complete = line === "";
        return true;
      }
      const [, size] = /^([0-9a-f]+)(;.*)?$/i.exec(line) ?? [];
      if (size === undefined) throw new FramingError(`Not a chunk size: ${JSON.stringify(line)}`);
      this.#inTrailers = Number.parseInt(size, 16) === 0;
      if (!this.#inTrailers) this.#chunkLeft = Number.parseInt(size, 16) + 2;
      return true;
    }
    this.#chunkLeft -= this.#take(Math.min(this.#chunkLeft - 2, this.#buffer.length));
    if (this.#chunkLeft > 2 || this.#buffer.length < 2) return false;
    if (this.#buffer.toString("latin1", 0, 2) !== "\r\n") throw new FramingError("A chunk does not end with CRLF");
    this.#buffer = this.#buffer.subarray(2);
    this.#chunkLeft = undefined;
    return true;
  }

  #take(count: number): number {
    if (count === 0) return 0;
    this.#body.push(this.#buffer.subarray(0, count));
    this.#buffer = this.#buffer.subarray(count);
    this.bodyLength += count;
    return count;
  }
}

function framingOf(method: string, status: number, headers: Readonly<Record<string, string>>): Framing {
  if (method === "HEAD" || status === 204 || status === 304) return { kind: "none" };
  if (headers["transfer-encoding"]?.toLowerCase() === "chunked") {
    if (headers["content-length"] !== undefined) throw new FramingError("Both Content-Length and Transfer-Encoding");
    return { kind: "chunked" };
  }
  const length = headers["content-length"];
  if (length === undefined) return { kind: "close" };
  if (!/^\d+$/.test(length)) throw new FramingError(`Not a Content-Length: ${length}`);
  return { kind: "length", length: Number(length) };
}
