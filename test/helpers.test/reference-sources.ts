import { type DataSource, type DataSpec, type Opened } from "../../src/data-source/data-source.ts";
import { Need } from "../../src/data-source/need.ts";
import { AfterbayError } from "../../src/errors.ts";
import type { DataSourceFixture } from "../helpers/data-source-contract.ts";
import { bytesOf, startUpstream } from "../helpers/scripted-upstream.ts";

const SIZE = 300_000;
const spec = (wanted: { position: number; end?: number }): DataSpec => ({
  source: "test",
  id: "song",
  need: new Need(),
  ...wanted,
});

/** The smallest source that keeps the contract, in memory. */
function memorySource(bytes: Uint8Array): DataSource {
  return {
    async open({ position, end = bytes.length }, { signal }): Promise<Opened> {
      signal.throwIfAborted();
      let clean = false;
      async function* body() {
        for (let at = position; at < Math.min(end, bytes.length); at += 65_536) {
          signal.throwIfAborted();
          yield bytes.subarray(at, Math.min(at + 65_536, end, bytes.length));
        }
        clean = end >= bytes.length;
      }
      return {
        start: position,
        ranged: true,
        size: bytes.length,
        endsCleanly: () => clean,
        body: body(),
        [Symbol.asyncDispose]: async () => {},
      };
    },
  };
}

export async function memoryFixture(): Promise<DataSourceFixture> {
  const bytes = bytesOf(1, "song", 1, 0, SIZE);
  return { source: memorySource(bytes), spec, bytes, close: async () => {} };
}

/** A source over HTTP that keeps the contract, by fetch. */
function fetchSource(url: string): DataSource {
  return {
    async open({ position, end }, { signal }): Promise<Opened> {
      const freeing = new AbortController();
      const either = AbortSignal.any([signal, freeing.signal]);
      const range = `bytes=${position}-${end === undefined ? "" : end - 1}`;
      const response = await fetch(url, { headers: { range }, signal: either });
      if (response.status !== 206 && response.status !== 416) {
        await response.body?.cancel();
        throw new AfterbayError("transient", "Refused", { status: response.status });
      }
      const size = Number(response.headers.get("content-range")?.split("/")[1]);
      let clean = false;
      async function* body() {
        try {
          if (response.status === 416) await response.body?.cancel();
          else for await (const chunk of response.body ?? []) yield chunk as Uint8Array;
          clean = (end ?? Infinity) >= size;
        } finally {
          freeing.abort();
        }
      }
      return {
        start: position,
        ranged: true,
        size,
        endsCleanly: () => clean,
        body: body(),
        [Symbol.asyncDispose]: async () => freeing.abort(),
      };
    },
  };
}

/** `wrap` may break the source, to see whether a check notices. */
export async function upstreamFixture(wrap = (source: DataSource) => source): Promise<DataSourceFixture> {
  const up = await startUpstream();
  up.resource("song", { size: SIZE });
  return {
    source: wrap(fetchSource(up.url("song"))),
    spec,
    bytes: up.bytes("song"),
    upstream: {
      live: () => up.live("song"),
      hangBeforeHeaders: () => up.script("song", [{ do: { stall: "headers" } }]),
      hangAfter: (stall) => up.script("song", [{ do: { stall } }]),
      fail: () => up.script("song", [{ do: { status: 500 } }]),
    },
    close: () => up.close(),
  };
}
