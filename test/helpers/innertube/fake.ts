import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { playerAnswer } from "./answer.ts";
import { FakeLibrary, type Instead } from "./library.ts";
import { bytesOf, type Grant, judge, parseRange, sign } from "./media.ts";
import { type FakeScript, makeScript } from "./player-script.ts";
import { type ClientView, type FakeFormat, type FakeVideo, lastModified } from "./video.ts";

/** A question to `/youtubei/v1/player`. */
export interface PlayerCall {
  readonly videoId: string;
  readonly client: string;
  readonly version: string;
  readonly userAgent: string;
  readonly visitor: string;
  readonly signatureTimestamp: number | undefined;
  readonly authorization: string | undefined;
}

/** A request for bytes. */
export interface MediaCall {
  readonly videoId: string;
  readonly itag: number;
  readonly client: string;
  readonly method: string;
  readonly range: string | undefined;
  readonly status: number;
  readonly why: string | undefined;
  /** Bytes of the body. */
  readonly bytes: number;
}

export interface FakeYouTubeOptions {
  /** Bytes; longer ranges are refused. Default 1 MiB. */
  readonly maxRange?: number;
  /** What an open-ended range gets: 403, or 32 KB a second. Default 403. */
  readonly openEnded?: "refused" | "paced";
  /** What a wrong `n` gets. Default 403. */
  readonly wrongN?: "refused" | "paced";
  /** Epoch ms. */
  readonly now?: () => number;
}

const LIFETIME_MS = 6 * 3_600_000;
const PACE_BYTES = 32 * 1024;

/** Innertube, the player script and googlevideo on one port of 127.0.0.1. Everything is counted, and nothing left to chance. */
export async function startFakeYouTube(options: FakeYouTubeOptions = {}): Promise<FakeYouTube> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return new FakeYouTube(server, options);
}

export class FakeYouTube {
  readonly origin: string;
  readonly music = new FakeLibrary();
  calls: PlayerCall[] = [];
  media: MediaCall[] = [];
  /** Paths of the player script and of the page that names it. */
  scripts: string[] = [];
  /** Requests that no test expects. */
  strange: string[] = [];
  script: FakeScript = makeScript(0);
  /** What the player script is answered with instead. */
  scriptAnswer: { readonly status: number; readonly body: string } | undefined;
  readonly #server: Server;
  readonly #options: FakeYouTubeOptions;
  readonly #videos = new Map<string, FakeVideo>();
  readonly #grants = new Map<string, Grant>();
  readonly #hanging = new Set<ServerResponse>();
  readonly #asked = new Map<string, number>();
  #count = 0;

  constructor(server: Server, options: FakeYouTubeOptions) {
    this.#server = server;
    this.#options = options;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        console.error("fake YouTube:", error);
        response.destroy();
      });
    });
  }

  /** A source spec that leads here. */
  spec(more = ""): string {
    return `youtube?base=${encodeURIComponent(this.origin)}${more}`;
  }

  video(id: string, video: FakeVideo): void {
    this.#videos.set(id, video);
  }

  /** The bytes of one of a video's files. */
  bytes(id: string, itag: number, formats = this.#videos.get(id)?.formats ?? []): Uint8Array {
    return bytesOf(id, formats.find((format) => format.itag === itag) as FakeFormat);
  }

  /** YouTube publishes another player script; what the one before makes is refused from then on. */
  nextScript(): void {
    this.script = makeScript(this.script.signatureTimestamp - 20_399);
    for (const [path, grant] of this.#grants)
      if (grant.n !== undefined) this.#grants.set(path, { ...grant, dead: true });
  }

  /** All URLs that were made so far are over. */
  expireAll(): void {
    for (const [path, grant] of this.#grants) this.#grants.set(path, { ...grant, dead: true });
  }

  /** How many questions are waiting. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /** What must appear in no log, answer or error: signatures, visitors, and what names a URL. */
  get secrets(): readonly string[] {
    const signed = [...this.#grants.values()].flatMap(({ signature, n }) => [
      signature,
      ...(n === undefined ? [] : [n]),
    ]);
    return [...new Set([...signed, ...this.calls.map(({ visitor }) => visitor), "SECRET-IN-ANSWER"])];
  }

  reset(): void {
    this.calls = [];
    this.media = [];
    this.scripts = [];
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    if (url.pathname === "/youtubei/v1/player" && request.method === "POST")
      return await this.#player(request, response);
    const [, part] = /^\/youtubei\/v1\/(search|browse|next)$/.exec(url.pathname) ?? [];
    if (part !== undefined && request.method === "POST") return await this.#list(request, response, part);
    if (url.pathname === "/videoplayback") return await this.#playback(request, response, url);
    if (url.pathname === "/iframe_api" || url.pathname.startsWith("/s/player/")) return this.#script(response, url);
    this.strange.push(`${request.method} ${url.pathname}`);
    response.writeHead(404).end();
  }

  #script(response: ServerResponse, { pathname }: URL): void {
    this.scripts.push(pathname);
    const { id, source } = this.script;
    if (pathname === "/iframe_api") {
      response.end(`var scriptUrl = 'https:\\/\\/www.youtube.com\\/s\\/player\\/${id}\\/www-widgetapi.vflset\\/x.js';`);
      return;
    }
    const { status = 200, body = source } = this.scriptAnswer ?? {};
    response.writeHead(pathname.startsWith(`/s/player/${id}/`) ? status : 404).end(body);
  }

  async #player(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = (await readJson(request)) as {
      videoId: string;
      context: { client: { clientName: string; clientVersion: string; visitorData: string } };
      playbackContext?: { contentPlaybackContext?: { signatureTimestamp?: number } };
    };
    const { videoId, context, playbackContext } = asked;
    const call: PlayerCall = {
      videoId,
      client: context.client.clientName,
      version: String(request.headers["x-youtube-client-version"]),
      userAgent: String(request.headers["user-agent"]),
      visitor: context.client.visitorData,
      signatureTimestamp: playbackContext?.contentPlaybackContext?.signatureTimestamp,
      authorization: request.headers.authorization,
    };
    if (call.version !== context.client.clientVersion) this.strange.push(`version ${context.client.clientVersion}`);
    this.calls.push(call);
    this.#asked.set(`${call.client}/${videoId}`, this.#answersTo(call) + 1);
    const video = this.#videos.get(videoId);
    const view = video?.clients?.[call.client] ?? video?.clients?.["*"] ?? {};
    if (view.hangs === true) return this.#hang(response);
    if (view.http !== undefined) return sendInstead(response, view.http);
    const answer =
      video === undefined
        ? { playabilityStatus: { status: "ERROR", reason: "Video unavailable" } }
        : playerAnswer(videoId, video, view, (format) => this.#mint(call, format, view));
    sendAnswer(response, answer);
  }

  /** Searches, playlists, albums and radios. */
  async #list(request: IncomingMessage, response: ServerResponse, endpoint: string): Promise<void> {
    const { context, ...asked } = (await readJson(request)) as {
      context: { client: { clientName: string; clientVersion: string } };
    };
    const version = String(request.headers["x-youtube-client-version"]);
    if (version !== context.client.clientVersion) this.strange.push(`version ${context.client.clientVersion}`);
    const answer = this.music.answer({ ...asked, endpoint, client: context.client.clientName, version });
    if (answer === undefined) return this.#hang(response);
    await this.music.gate;
    if ("status" in answer) sendInstead(response, answer);
    else sendAnswer(response, answer);
  }

  #hang(response: ServerResponse): void {
    this.#hanging.add(response);
    response.once("close", () => this.#hanging.delete(response));
  }

  /** A new URL for a format: as `url` or, ciphered, as `signatureCipher`. */
  #mint(call: PlayerCall, format: FakeFormat, view: ClientView): Record<string, string> {
    const { urls: rules = {}, ciphered = false, throttled = false } = view;
    const now = this.#options.now?.() ?? Date.now();
    this.#count += 1;
    const expiresAt = now + (rules.lifetimeMs ?? LIFETIME_MS);
    const ip = rules.ip ?? "127.0.0.1";
    const n = Array.from(`clientn${this.#count}`, (letter) =>
      /[a-z]/.test(letter) ? letter : "abcdefghij"[Number(letter)],
    ).join("");
    const query = new URLSearchParams({
      expire: String(Math.floor(expiresAt / 1000)),
      ei: `ei${this.#count}`,
      ip,
      id: `o-${call.videoId}`,
      itag: String(format.itag),
      source: "youtube",
      ...(format.unsized !== true && { clen: String(format.size) }),
      lmt: lastModified(format),
      c: call.client,
      rqh: "1",
      ...(throttled && { n }),
    });
    const path = `/videoplayback?${query.toString()}`;
    const signature = sign(path);
    // Signatures are for the script that the client names; without one, for another.
    const current = call.signatureTimestamp === this.script.signatureTimestamp;
    const script = current ? this.script : makeScript(99);
    const url = `${this.origin}${path}`;
    this.#grants.set(query.get("ei") ?? "", {
      url,
      videoId: call.videoId,
      client: call.client,
      format,
      rules,
      expiresAt,
      ip,
      signature,
      ...(throttled && { n: this.script.transform(n) }),
      dead: rules.dead === true || this.#answersTo(call) <= (rules.dead ?? 0),
    });
    if (!ciphered) return { url: `${url}&sig=${signature}` };
    return { signatureCipher: new URLSearchParams({ s: script.scramble(signature), sp: "sig", url }).toString() };
  }

  /** How often a client has asked for a video. */
  #answersTo({ client, videoId }: PlayerCall): number {
    return this.#asked.get(`${client}/${videoId}`) ?? 0;
  }

  async #playback(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const grant = this.#grants.get(url.searchParams.get("ei") ?? "");
    const { range: header } = request.headers;
    const log = (status: number, bytes: number, why?: string): void => {
      this.media.push({
        videoId: grant?.videoId ?? "",
        itag: grant?.format.itag ?? 0,
        client: grant?.client ?? "",
        method: request.method ?? "",
        range: header,
        status,
        why,
        bytes,
      });
    };
    const refuse = (status: 403 | 416, why?: string): void => {
      log(status, 0, why);
      response.writeHead(status, { "content-type": "text/plain" }).end();
    };
    if (grant === undefined) return refuse(403, "unknown");
    const { maxRange = 1024 * 1024, openEnded = "refused", wrongN = "refused" } = this.#options;
    if (request.method !== "GET") return refuse(403, "method");
    const asked = parseRange(header);
    const last = grant.format.size - 1;
    const bytes = bytesOf(grant.videoId, grant.format);
    const queried = /^(\d+)-(\d+)$/.exec(url.searchParams.get("range") ?? "");
    if (queried !== null && asked === undefined) {
      // Answered as if the piece were everything.
      const piece = bytes.subarray(Number(queried[1]), Number(queried[2]) + 1);
      log(200, piece.length);
      response.writeHead(200, { "content-length": piece.length }).end(piece);
      return;
    }
    if (asked === undefined) return refuse(403, "no range");
    if (asked === "open" && openEnded === "refused") return refuse(403, "open-ended");
    const range = asked === "open" ? { from: Number(/\d+/.exec(header ?? "")?.[0]), to: last } : asked;
    const about = {
      now: this.#options.now?.() ?? Date.now(),
      ip: "127.0.0.1",
      maxRange: asked === "open" ? Number.POSITIVE_INFINITY : maxRange,
    };
    const judged = judge(grant, url, range, about);
    const slowN = judged.why === "n" && wrongN === "paced";
    if (judged.status !== 206 && !slowN) return refuse(judged.status, judged.why);
    const to = judged.status === 206 ? judged.to : Math.min(range.to, last);
    const piece = bytes.subarray(range.from, to + 1);
    log(206, piece.length);
    response.writeHead(206, {
      "content-type": grant.format.mime ?? "audio/webm",
      "content-length": piece.length,
      "content-range": `bytes ${range.from}-${to}/${grant.format.size}`,
      "last-modified": new Date(Number(lastModified(grant.format)) / 1000).toUTCString(),
    });
    if (asked === "open" || slowN) await paced(response, piece);
    else response.end(piece);
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString());
}

function sendAnswer(response: ServerResponse, answer: object): void {
  response.writeHead(200, { "content-type": "application/json; charset=UTF-8" });
  response.end(JSON.stringify({ responseContext: { note: "SECRET-IN-ANSWER" }, ...answer }));
}

function sendInstead(response: ServerResponse, { status, headers, body = "" }: Instead): void {
  response.writeHead(status, { "content-type": "text/html", ...headers }).end(body);
}

/** 32 KB a second, in four pieces. */
async function paced(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length && !response.destroyed; at += PACE_BYTES / 4) {
    response.write(bytes.subarray(at, at + PACE_BYTES / 4));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  response.end();
}
