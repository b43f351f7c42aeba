import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Chaos, startChaos } from "../../src/chaos/index.ts";
import { type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { tmpDir } from "../helpers/process.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";

/** Bytes of `song.bin`, which scripts may serve: none of its words is like another. */
export const SONG = bytesOf(99, "song", 1, 0, 100_000);

export interface ChaosRig {
  readonly chaos: Chaos;
  readonly port: number;
  /** Milliseconds of virtual time: whoever waits lets them pass at once. */
  now(): number;
  /** What went wrong in the server itself. */
  readonly faults: unknown[];
  get(path: string, options?: Partial<RawRequest>): Promise<RawResponse>;
  json(path: string): Promise<never>;
  post(path: string): Promise<unknown>;
  /** What the resolver says of a track, and the path that its URL names. */
  resolve(id: string, query?: string): Promise<{ resolution: Record<string, unknown>; path: string }>;
  close(): Promise<void>;
}

/** A chaos server with this script, beside a file `song.bin`. */
export async function startChaosRig(script: unknown, seed?: number): Promise<ChaosRig> {
  const dir = await tmpDir();
  await writeFile(join(dir.path, "song.bin"), SONG);
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  let time = 0;
  const clock = {
    now: () => time,
    delay: async (ms: number) => {
      time += ms;
    },
  };
  const chaos = await startChaos({ script, directory: dir.path, onFault, clock, ...(seed !== undefined && { seed }) });
  const port = Number(new URL(chaos.url).port);
  const get: ChaosRig["get"] = (path, options = {}) => request({ port, path, ...options });
  const json: ChaosRig["json"] = async (path) => JSON.parse(textOf(await get(path))) as never;
  return {
    chaos,
    port,
    faults,
    now: clock.now,
    get,
    json,
    post: async (path) => JSON.parse(textOf(await get(path, { method: "POST" }))),
    async resolve(id, query = "") {
      const resolution: Record<string, unknown> = await json(`/resolve/${id}${query}`);
      const url = typeof resolution["url"] === "string" ? new URL(resolution["url"]) : undefined;
      return { resolution, path: url === undefined ? "" : url.pathname + url.search };
    },
    async close() {
      await chaos.close();
      await dir.remove();
    },
  };
}

export function textOf({ body }: Pick<RawResponse, "body">): string {
  return Buffer.from(body).toString();
}
