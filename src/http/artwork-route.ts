import { createHash } from "node:crypto";
import { type Call, goneSignal, trackOf } from "./routing.ts";

/** Nothing in a picture may act, whatever a browser takes it for. */
const HEADERS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; sandbox",
  "cache-control": "private, max-age=3600",
};

/** `GET /api/tracks/{source}/{id}/artwork`: the cover, from the cache, else fetched now; `?offline=1` never fetches. */
export async function artwork(call: Call): Promise<void> {
  const { site, request, response, query } = call;
  const key = trackOf("/api/tracks/", call, "artwork");
  const offline = query.get("offline") === "1";
  const { contentType, bytes } = await site.artwork.find(key, { offline, signal: goneSignal(response) });
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 27)}"`;
  const isKnown = (request.headers["if-none-match"] ?? "").split(",").some((tag) => tag.trim() === etag);
  if (isKnown) {
    response.writeHead(304, { etag, "cache-control": HEADERS["cache-control"] }).end();
    return;
  }
  response.writeHead(200, { ...HEADERS, etag, "content-type": contentType, "content-length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
}
