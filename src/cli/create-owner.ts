import { ownerSocketPath } from "../cache/cache-dir.ts";
import { createProxy } from "../proxy.ts";
import { validateResolution } from "../resolvers/validate-resolution.ts";
import type { ServerOptions } from "./create-server.ts";
import { closeAll, openSources } from "./open-sources.ts";
import { version } from "../version.ts";

/** A server's options without its doors: it listens nowhere but on the owner's socket. */
export interface OwnerOptions
  extends Omit<ServerOptions, "host" | "port" | "token" | "allowHosts" | "allowOrigins" | "player" | "auto"> {
  /** Whether it may fetch of itself what is pinned and not whole. A command that only looks must not. */
  readonly background: boolean;
  /** Where more than `cacheSize` is kept already, another server has a larger one: then nothing is given up for it. */
  readonly sparing: boolean;
}

/** The owner of a cache directory for as long as one command runs. */
export interface TemporaryOwner {
  /** Where it serves the control API. */
  readonly socketPath: string;
  close(): Promise<void>;
}

export type CreateOwner = (options: OwnerOptions) => Promise<TemporaryOwner>;

/** Opens the sources and puts a proxy before them, which claims the directory. Whatever fails, nothing is left open. */
export const createOwner: CreateOwner = async ({ sources: specs, ...options }) => {
  const sources = await openSources(specs, options);
  try {
    const proxy = await createProxy({ ...options, healBudget: 0, sources, validate: validateResolution, version });
    return { socketPath: ownerSocketPath(options.cacheDir), close: () => proxy.close() };
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
};
