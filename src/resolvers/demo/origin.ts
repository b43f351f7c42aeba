import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pieceById, variantOf } from "./pieces/catalogue.ts";
import { requestedRange } from "./range.ts";
import type { Blocks } from "./rendering.ts";
import type { Signer } from "./signing.ts";
import type { Piece } from "./synth/piece.ts";
import { WAV_TYPE, wavBytes, wavSize } from "./wav.ts";

/** Longer than a player's pause between two ranges. */
const KEEP_ALIVE_MS = 30_000;

/** The path under which the origin serves a piece. */
export function pathOf(piece: Piece): string {
  return `/${piece.id}.wav`;
}

/** An HTTP server on the loopback interface for the pieces, behind signed URLs. */
export class Origin {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly #server: Server;
  readonly #blocks: Blocks;

  private constructor(server: Server, blocks: Blocks) {
    this.#server = server;
    this.#blocks = blocks;
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async listen(blocks: Blocks, signer: Signer): Promise<Origin> {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      answer(request, response, blocks, signer).catch((error: unknown) => {
        // Once headers are out, a broken connection is the only way to say that the body is not whole.
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Origin(server, blocks);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await Promise.all([closed, this.#blocks.close()]);
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  blocks: Blocks,
  signer: Signer,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, { Allow: "GET, HEAD" });
  const address = `http://127.0.0.1${request.url}`;
  if (!URL.canParse(address)) return refuse(response, 400);
  const url = new URL(address);
  if (!signer.verify(url)) return refuse(response, 403);
  const piece = pieceById(url.pathname.slice(1, -".wav".length));
  if (!piece) return refuse(response, 404);

  const size = wavSize(piece);
  const etag = `"${variantOf(piece)}"`;
  const headers = {
    "Accept-Ranges": "bytes",
    "Content-Type": WAV_TYPE,
    ETag: etag,
    "Cache-Control": "private, no-transform",
  };
  if (request.method === "HEAD") {
    response.writeHead(200, { ...headers, "Content-Length": size }).end();
    return;
  }
  const condition = request.headers["if-range"];
  const range = condition === undefined || condition === etag ? requestedRange(request.headers.range, size) : "whole";
  if (range === "unsatisfiable") return refuse(response, 416, { ...headers, "Content-Range": `bytes */${size}` });
  const { start, end } = range === "whole" ? { start: 0, end: size } : range;
  const length = { "Content-Length": end - start };
  if (range === "whole") response.writeHead(200, { ...headers, ...length });
  else response.writeHead(206, { ...headers, ...length, "Content-Range": `bytes ${start}-${end - 1}/${size}` });
  await send(response, (signal) => wavBytes(piece, { start, end }, (index) => blocks.block(piece.id, index, signal)));
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8" }).end(`${status}\n`);
}

/** Writes no faster than the client reads; a client that leaves stops the rendering. */
async function send(response: ServerResponse, body: (signal: AbortSignal) => AsyncIterable<Uint8Array>): Promise<void> {
  const left = new AbortController();
  response.once("close", () => left.abort());
  try {
    for await (const bytes of body(left.signal)) {
      if (!response.write(bytes)) await once(response, "drain", { signal: left.signal });
    }
    response.end();
  } catch (error) {
    if (!left.signal.aborted) throw error;
  }
}
