import type { ServerResponse } from "node:http";
import { send } from "./routing.ts";

/** Characters that are sent at once. */
const BATCH = 64 * 1024;

/**
 * Sends a text of any length as its pieces are made, and no faster than it is read. A short one is sent with its length.
 * Rejects with what making them failed with; when the client has left, nothing more is made.
 */
export async function sendPieces(
  response: ServerResponse,
  contentType: string,
  pieces: AsyncIterable<string> | Iterable<string>,
): Promise<void> {
  let batch: string[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    if (!response.headersSent) {
      response.writeHead(200, {
        "content-type": contentType,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      });
    }
    const goesOn = response.write(batch.join(""));
    batch = [];
    length = 0;
    if (!goesOn) await drained(response);
  };
  for await (const piece of pieces) {
    if (response.closed) return;
    batch.push(piece);
    length += piece.length;
    if (length >= BATCH) await flush();
  }
  if (!response.headersSent) return send(response, 200, contentType, batch.join(""));
  if (length > 0) await flush();
  response.end();
}

/** Until more can be written, or the client has left. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
    if (response.closed) done();
  });
}
