import { type Dispatcher, request } from "undici";
import type { Artwork } from "../data-source/resolution.ts";
import { imageType } from "../data-source/image-type.ts";
import { AfterbayError } from "../errors.ts";

/** What is taken for a cover. */
const TYPES: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/webp"]);
const MAX_BYTES = 2 * 1024 ** 2;
const MAX_REDIRECTS = 3;

export interface FetchOptions {
  /** Its connector judges addresses. */
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
}

/**
 * Fetches a picture: jpeg, png or webp by its own bytes, of at most 2 MiB. Nothing but the address itself is sent.
 *
 * Rejects with `not-found` where there is no such picture and another try would find none, `transient` for what may pass,
 * or the signal's reason. Errors quote no address.
 */
export async function fetchImage(address: string, options: FetchOptions): Promise<Artwork> {
  try {
    const bytes = await readBody(await get(address, options));
    const contentType = imageType(bytes);
    if (contentType === undefined || !TYPES.has(contentType)) throw none("This is no picture");
    return { contentType, bytes };
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof AfterbayError) throw error.code === "wrong-answer" ? none(error.message) : error;
    // Without its cause: what undici throws may quote the address.
    throw new AfterbayError("transient", "The cover cannot be fetched");
  }
}

async function get(address: string, { dispatcher, signal }: FetchOptions): Promise<Dispatcher.ResponseData> {
  let url = target(address);
  for (let hop = 0; ; hop += 1) {
    const answer = await request(url, {
      dispatcher,
      headers: { accept: "image/webp,image/png,image/jpeg", "accept-encoding": "identity" },
      signal,
    });
    const { statusCode: status, headers, body } = answer;
    if (status === 200 && (headers["content-encoding"] ?? "identity") === "identity") return answer;
    // Leaves the connection, where it is cheap to read on; else ends it.
    await body.dump({ limit: 16 * 1024, signal }).catch(() => {});
    const { location } = headers;
    const redirected = [301, 302, 303, 307, 308].includes(status) && typeof location === "string";
    if (status === 408 || status === 429 || status >= 500) {
      throw new AfterbayError("transient", `The cover cannot be fetched (${status})`, { status });
    }
    if (!redirected || hop === MAX_REDIRECTS) throw none("There is no picture at the cover's address");
    url = target(location, url);
  }
}

function target(address: string, base?: URL): URL {
  const url = URL.canParse(address, base?.href) ? new URL(address, base) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isHttp || url.username !== "" || url.password !== "")
    throw none("The cover has no address");
  return url;
}

async function readBody({ body, headers }: Dispatcher.ResponseData): Promise<Uint8Array> {
  const tooLarge = (): AfterbayError => none("The cover is larger than 2 MiB");
  if (Number(headers["content-length"] ?? 0) > MAX_BYTES) {
    body.destroy();
    throw tooLarge();
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Leaving the loop destroys the body.
    if (length > MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function none(message: string): AfterbayError {
  return new AfterbayError("not-found", message);
}
