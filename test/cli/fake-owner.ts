import { mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { json } from "node:stream/consumers";
import { ownerSocketPath } from "../../src/cache/cache-dir.ts";

export interface FakeTrack {
  readonly key: string;
  readonly title?: string;
  readonly artist?: string;
  readonly size?: number;
  cachedBytes: number;
  pinned?: boolean;
  readonly lastPlayedAt?: string;
  readonly chunks?: string;
  readonly contentType?: string;
  readonly durationMs?: number;
  /** Where an export finds its bytes. */
  readonly path?: string;
  /** A reader holds it. */
  readonly inUse?: boolean;
  /** What a prefetch of it ends with, in place of its bytes. */
  readonly fails?: string;
  /** Bytes that a prefetch gains between two questions. Default: all of them. */
  readonly step?: number;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

type Override = (request: Seen, response: ServerResponse) => boolean | Promise<boolean>;

export interface FakeOptions {
  readonly tracks?: readonly FakeTrack[];
  /** What `/control/about` says of itself. */
  readonly about?: object;
  /** Answers a request in place of the fake, if it says true. */
  readonly override?: Override;
}

export interface FakeOwner {
  readonly socketPath: string;
  readonly seen: readonly Seen[];
  readonly tracks: Map<string, FakeTrack>;
  readonly lists: Map<string, { ids: string[]; mode: string }>;
  close(): Promise<void>;
}

const CHUNK = 524_288;

/** A control server of a cache directory's owner, over a real Unix socket, which keeps everything in memory. */
export async function fakeOwner(cacheDir: string, options: FakeOptions = {}): Promise<FakeOwner> {
  const socketPath = ownerSocketPath(cacheDir);
  await mkdir(dirname(socketPath), { recursive: true });
  await rm(socketPath, { force: true });
  const tracks = new Map((options.tracks ?? []).map((track) => [track.key, { ...track }]));
  const lists = new Map<string, { ids: string[]; mode: string }>();
  const seen: Seen[] = [];
  const about = {
    pid: 4711,
    version: "0.1.0",
    url: "http://127.0.0.1:8085",
    cacheDir,
    root: `${cacheDir}/v1`,
    budget: 2 * 1024 ** 3,
    defaultSource: "demo",
    sources: ["demo", "other"],
    ...options.about,
  };

  const server = createServer((incoming, response) => {
    void answer(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = incoming;
    const body: unknown = Number(incoming.headers["content-length"] ?? 0) === 0 ? undefined : await json(incoming);
    const request = { method, path: url, body };
    seen.push(request);
    if ((await options.override?.(request, response)) === true) return;
    const send = (status: number, value: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    const key = /^\/(?:api|control)\/(?:tracks|file|prefetch)\/([^/]+\/[^/?]+)/.exec(url)?.[1] ?? "";
    const track = tracks.get(key);
    const bytes = [...tracks.values()].reduce((sum, { cachedBytes }) => sum + cachedBytes, 0);

    if (url === "/control/about") return void send(200, { ...about, bytes });
    if (url === "/api/expand") {
      return void send(200, { tracks: (body as { ids: string[] }).ids.map((id) => ({ key: id })) });
    }
    if (url === "/api/tracks") return void send(200, { tracks: [...tracks.values()].map(apiTrack) });
    if (url.endsWith("/pin")) {
      const pinned = track ?? { key, cachedBytes: 0 };
      tracks.set(key, { ...pinned, pinned: method === "PUT" });
      return void send(200, apiTrack({ ...pinned, pinned: method === "PUT" }));
    }
    if (url.startsWith("/api/prefetch")) {
      if (method === "PUT") {
        const name = new URL(url, "http://x").searchParams.get("list") ?? "default";
        const list = body as { ids: string[]; mode: string };
        if (list.ids.length === 0) lists.delete(name);
        else lists.set(name, list);
        return void response.writeHead(204).end();
      }
      return void send(200, { lists: Object.fromEntries(lists), tracks: fetching(tracks, lists) });
    }
    if (url === "/control/clear") {
      const stored = [...tracks.values()].filter(({ cachedBytes }) => cachedBytes > 0);
      const kept = stored.reduce((sum, { inUse, cachedBytes }) => sum + (inUse === true ? cachedBytes : 0), 0);
      tracks.clear();
      return void send(200, { removed: stored.length, bytes: bytes - kept, kept });
    }
    if (track === undefined) return problem(response, 404, "not-found", "There is no such track");
    if (url.startsWith("/control/file")) {
      const { path, size = 0, contentType = "", title, artist } = track;
      if (path === undefined) return problem(response, 409, "not-cached", "Not all of this track is cached");
      return void send(200, { path, size, contentType, complete: true, title, artist });
    }
    if (method === "GET") return void send(200, apiTrack(track));
    tracks.delete(key);
    response.writeHead(track.inUse === true ? 202 : 204).end();
  }

  await new Promise<void>((listening) => server.listen(socketPath, listening));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
  return { socketPath, seen, tracks, lists, close };
}

export function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  response.writeHead(status, { "content-type": "application/problem+json" }).end(JSON.stringify({ code, detail }));
}

function apiTrack(track: FakeTrack) {
  const [source = "", id = ""] = track.key.split("/");
  const { size = 0, cachedBytes, chunks, path: _path, fails: _fails, step: _step, inUse: _inUse, ...rest } = track;
  return {
    ...rest,
    source,
    id: decodeURIComponent(id),
    ...(track.size !== undefined && { size }),
    cachedBytes,
    complete: track.size !== undefined && cachedBytes >= size,
    pinned: track.pinned ?? false,
    chunkSize: CHUNK,
    chunks: chunks ?? "#".repeat(Math.floor(cachedBytes / CHUNK)).padEnd(Math.ceil(size / CHUNK), "."),
    spans: [[0, cachedBytes]],
  };
}

/** Each question finds the tracks further on. */
function fetching(tracks: Map<string, FakeTrack>, lists: FakeOwner["lists"]) {
  return [...lists.values()].flatMap(({ ids }) =>
    ids.map((key) => {
      const track = tracks.get(key);
      if (track === undefined) return { key, state: "failed", code: "not-found", cachedBytes: 0 };
      const { size = 0, step = size, fails } = track;
      if (fails !== undefined) return { key, state: "failed", code: fails, size, cachedBytes: track.cachedBytes };
      track.cachedBytes = Math.min(size, track.cachedBytes + step);
      const state = track.cachedBytes >= size ? "done" : "fetching";
      return { key, state, size, cachedBytes: track.cachedBytes };
    }),
  );
}
