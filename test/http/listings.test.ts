import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import { TrackCache } from "../../src/cache/track-cache.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { systemClock } from "../../src/data-source/clock.ts";
import type { ApiTrack } from "../../src/http/api-track.ts";
import { Catalogue } from "../../src/http/catalogue.ts";
import { playlistPieces } from "../../src/http/playlist.ts";
import { sendPieces } from "../../src/http/send-pieces.ts";
import { connect, request } from "../helpers/http-client.ts";
import { eventually, tmpDir } from "../helpers/process.ts";
import { Turns } from "../helpers/turns.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe("many tracks", () => {
  const COUNT = 20_000;

  async function catalogue(): Promise<Catalogue> {
    const dir = await tmpDir();
    closers.push(() => dir.remove());
    const index = new TrackIndex(join(dir.path, "index.log"), () => {});
    for (let n = 0; n < COUNT; n += 1) {
      index.put(n.toString(16).padStart(32, "0"), {
        source: "u",
        id: `track ${n}`,
        variant: "1",
        qualities: [""],
        facts: { size: 4_000_000, contentType: "audio/flac" },
        meta: { title: `Title ${n}`, artist: "Artist", durationMs: 200_000 },
        bytes: n % 2 === 0 ? 4_000_000 : 1000,
        complete: n % 2 === 0,
        playedAt: 1_800_000_000_000 + n,
      });
    }
    await index.flush();
    const cache = new TrackCache({
      store: new MemoryChunkStore(),
      index,
      upstream: { open: () => Promise.reject(new Error("not asked")) },
      clock: systemClock,
      log: { info() {}, warn() {} },
      budget: Number.MAX_SAFE_INTEGER,
    });
    return new Catalogue({ cache, resolvers: new Map(), isPinned: () => false });
  }

  test("are listed without holding up anyone else, even where none of them is wanted", async () => {
    const all = await catalogue();
    const turns = new Turns();
    const seen = new Set<string>();
    for await (const { key } of all.list()) seen.add(key);
    expect(turns.stop()).toBeLessThan(60);
    expect(seen.size).toBe(COUNT);

    const others = new Turns();
    let lines = 0;
    const playlist = playlistPieces(all.list(), { origin: "http://host", onlyComplete: true });
    for await (const piece of playlist) lines += piece.split("\n").length - 1;
    expect(others.stop()).toBeLessThan(60);
    expect(lines).toBe(1 + COUNT);
  });
});

describe("an answer in pieces", () => {
  async function serving(answer: (response: ServerResponse) => Promise<void>): Promise<number> {
    const server = createServer((_request, response) => {
      void answer(response);
    });
    server.listen(0, "127.0.0.1");
    closers.push(() => server.closeAllConnections() ?? server.close());
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  test("has its length where it is short, and none where it is long", async () => {
    async function* pieces(count: number): AsyncGenerator<string> {
      for (let n = 0; n < count; n += 1) yield "ü".repeat(100);
    }
    let count = 10;
    const port = await serving((response) => sendPieces(response, "text/plain", pieces(count)));
    const short = await request({ port });
    expect([short.headers["content-length"], short.body.length]).toEqual(["2000", 2000]);
    expect((await request({ port, method: "HEAD" })).headers["content-length"]).toBe("2000");
    count = 10_000;
    const long = await request({ port });
    expect([long.headers["content-length"], long.body.length, long.complete]).toEqual([undefined, 2_000_000, true]);
  });

  test("is made no faster than it is read, and no further when the client has left", async () => {
    let made = 0;
    let ended = false;
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) {
          made += 1000;
          yield "x".repeat(1000);
          if (made % 10_000 === 0) await delay(0);
        }
      } finally {
        ended = true;
      }
    }
    const port = await serving((response) => sendPieces(response, "text/plain", endless()));
    const connection = await connect({ port });
    const left = new AbortController();
    const reading = connection.request({ rate: 1, signal: left.signal }).catch(() => {});
    let before = -1;
    await eventually(
      () => {
        const grown = made > before;
        before = made;
        expect(grown).toBe(false);
      },
      { timeoutMs: 10_000, intervalMs: 200 },
    );
    left.abort(new Error("left"));
    await reading;
    await eventually(() => expect(ended).toBe(true));
  });
});

test("a playlist has titles that stay on their line", async () => {
  const track = { source: "u", id: "a/b", durationMs: 1500, title: "One\nTwo", artist: "Three", complete: false };
  async function* tracks(): AsyncGenerator<ApiTrack> {
    yield track as unknown as ApiTrack;
  }
  const pieces: string[] = [];
  for await (const piece of playlistPieces(tracks(), { origin: "http://h", token: "a b", onlyComplete: false })) {
    pieces.push(piece);
  }
  expect(pieces.join("")).toBe("#EXTM3U\n#EXTINF:2,Three - One Two\nhttp://h/stream/u/a%2Fb?token=a%20b\n");
});
