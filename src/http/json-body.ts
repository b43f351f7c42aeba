import type { IncomingMessage } from "node:http";
import { AfterbayError } from "../errors.ts";

/** Longest JSON body that is read, bytes: a wish list of 20,000 long ids. */
const MAX_BODY = 8 * 1024 * 1024;

/** The JSON body of a request, or `empty` where there is none. Throws `bad-request` for what is no JSON, or is too long. */
export async function readJson(request: IncomingMessage, empty?: unknown): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_BODY) throw new AfterbayError("bad-request", "The body is too long");
    parts.push(part);
  }
  if (length === 0 && empty !== undefined) return empty;
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch (cause) {
    throw new AfterbayError("bad-request", "The body is not JSON", { cause });
  }
}
