import type { Resolution } from "../../src/data-source/resolution.ts";
import { createProxy, type Proxy, type ProxyOptions } from "../../src/proxy.ts";
import { createUrlResolver } from "../../src/resolvers/url.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { createWebhookResolver } from "../../src/resolvers/webhook.ts";
import { type RawRequest, type RawResponse, request } from "./http-client.ts";
import { tmpDir } from "./process.ts";
import { startUpstream, type Upstream, type Webhook, type WebhookOptions } from "./scripted-upstream.ts";

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

/** A scripted upstream and a proxy in front of it: source `u` by URL template (the default), source `w` by webhook. */
export interface Rig {
  readonly up: Upstream;
  readonly hook: Webhook;
  readonly log: LogLine[];
  readonly cacheDir: string;
  proxy: Proxy;
  port: number;
  /** GET (or what `options` say) of `/stream/{path}`. */
  get(path: string, options?: Partial<RawRequest>): Promise<RawResponse>;
  json(path: string): Promise<never>;
  /** Closes the proxy and starts another on the same cache directory. */
  restart(changes?: Partial<ProxyOptions>): Promise<void>;
  close(): Promise<void>;
}

export interface RigOptions extends Partial<ProxyOptions> {
  readonly resolve?: WebhookOptions["resolve"];
  readonly signed?: boolean;
}

export async function startRig({ resolve, ...options }: RigOptions = {}): Promise<Rig> {
  const up = await startUpstream();
  const hook = up.webhook({ resolve: resolve ?? ((id: string): Resolution => up.resolution(id)) });
  const dir = await tmpDir();
  const log: LogLine[] = [];
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      log.push({ level, fields, message });
    };
  const start = async (changes: Partial<ProxyOptions> = {}): Promise<{ proxy: Proxy; port: number }> => {
    const proxy = await createProxy({
      sources: [
        { key: "u", resolver: createUrlResolver(`${up.origin}/{id}`) },
        { key: "w", resolver: createWebhookResolver(hook.template) },
      ],
      cacheDir: dir.path,
      cacheSize: 2 * 1024 ** 3,
      validate: validateResolution,
      version: "0.0.0",
      log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
      ...options,
      ...changes,
    });
    const { url } = await proxy.listen({ port: 0 });
    return { proxy, port: Number(new URL(url).port) };
  };
  const rig: Rig = {
    up,
    hook,
    log,
    cacheDir: dir.path,
    ...(await start()),
    get: (path, more = {}) => request({ port: rig.port, path: `/stream/${path}`, ...more }),
    json: async (path) => JSON.parse(Buffer.from((await request({ port: rig.port, path })).body).toString()) as never,
    async restart(changes) {
      await rig.proxy.close();
      Object.assign(rig, await start(changes));
    },
    async close() {
      await rig.proxy.close();
      await up.close();
      await dir.remove();
    },
  };
  return rig;
}
