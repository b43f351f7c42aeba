import type { Quality } from "../data-source/quality.ts";
import { createProxy, type Logger, type Proxy } from "../proxy.ts";
import type { Source } from "../resolvers/index.ts";
import { validateResolution } from "../resolvers/validate-resolution.ts";
import { closeAll, openSources } from "./open-sources.ts";
import { playInRoom } from "./player/room.ts";
import { version } from "../version.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly cacheDir: string;
  /** Bytes. */
  readonly cacheSize: number;
  /** Each `[NAME=]SPEC`; the first is the default one. */
  readonly sources: readonly string[];
  readonly token?: string;
  readonly allowHosts: readonly string[];
  readonly allowOrigins: readonly string[];
  readonly allowPrivate: boolean;
  /** Bytes. */
  readonly maxWindow?: number;
  readonly firstByteMs: number;
  readonly patienceMs: number;
  readonly dataSaver: boolean;
  readonly quality?: Quality;
  /** Plays in this room, too. */
  readonly player?: "mpv";
  /** Adds similar tracks there when the queue nears its end. */
  readonly auto?: boolean;
  readonly log: Logger;
}

export interface Server {
  readonly url: string;
  /** The address of some track of the default source, without a token, where that can list its tracks. */
  sampleUrl(): Promise<string | undefined>;
  /** Changes the cache's budget, bytes. */
  setCacheSize(bytes: number): void;
  close(): Promise<void>;
}

export type CreateServer = (options: ServerOptions) => Promise<Server>;

/** Opens the sources, puts a proxy before them and listens. Whatever fails, nothing is left open. */
export const createServer: CreateServer = async (options) => {
  const { host, port, token, allowHosts, allowOrigins, player, auto = false, ...rest } = options;
  const sources = await openSources(rest.sources, rest);
  let close = () => closeAll(sources);
  try {
    const proxy = await createProxy({ ...rest, sources, validate: validateResolution, version });
    close = () => proxy.close();
    if (player !== undefined) {
      const room = await playInRoom(proxy, { ...rest, auto });
      close = async () => {
        await room.close();
        await proxy.close();
      };
    }
    const { url } = await proxy.listen({ host, port, token, allowHosts, allowOrigins });
    const setCacheSize = (bytes: number): void => {
      proxy.cacheSize = bytes;
    };
    return { url, close: () => close(), setCacheSize, sampleUrl: () => sample(sources, proxy) };
  } catch (error) {
    await close();
    throw error;
  }
};

async function sample([first]: readonly Source[], proxy: Proxy): Promise<string | undefined> {
  const [track] = (await first?.resolver.list?.()) ?? [];
  return track === undefined ? undefined : proxy.urlFor(track.id).split("?")[0];
}
