import { QUALITIES } from "../data-source/quality.ts";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { readConfigFile } from "./config-file.ts";
import { dataDirectory } from "../data-directory.ts";
import {
  address,
  allowedHost,
  allowedOrigin,
  choice,
  duration,
  type Flag,
  one,
  port,
  several,
  size,
  text,
  toggle,
} from "./flags.ts";
import { type Level, levels } from "./log.ts";
import type { OwnerOptions } from "./create-owner.ts";
import type { ServerOptions } from "./create-server.ts";
import { type Environment, setting } from "./settings.ts";

export const flags = {
  host: one(address, { name: "host", argument: "HOST", help: "address to listen on (127.0.0.1)" }, "127.0.0.1"),
  port: one(port, { name: "port", argument: "PORT", help: "port to listen on (8085); 0 takes a free one" }, 8085),
  cacheDir: one(text, { name: "cache-dir", argument: "DIR", help: "where songs are kept" }, undefined),
  cacheSize: one(size, { name: "cache-size", argument: "SIZE", help: "how much is kept (2G)" }, 2 * 1024 ** 3),
  sources: several(
    text,
    {
      name: "source",
      argument: "SPEC",
      help: "where songs come from (demo), as [NAME=]SPEC; the first is the default",
    },
    ["demo"],
  ),
  token: one(text, { name: "token", argument: "TOKEN", help: "a secret that clients must know" }, undefined),
  allowHosts: several(allowedHost, { name: "allow-host", argument: "HOST", help: "another name of this server" }, []),
  allowOrigins: several(
    allowedOrigin,
    { name: "allow-origin", argument: "ORIGIN", help: "let web pages of this origin in" },
    [],
  ),
  allowPrivate: toggle({ name: "allow-private", help: "let upstreams be in private networks" }),
  maxWindow: one(
    size,
    { name: "max-window", argument: "SIZE", help: "the most to ask an upstream for at once" },
    undefined,
  ),
  firstByte: one(
    duration,
    { name: "first-byte", argument: "TIME", help: "how long an upstream may take to answer (4s)" },
    4000,
  ),
  patience: one(
    duration,
    { name: "patience", argument: "TIME", help: "how long a player is kept waiting before it is told (20s)" },
    20_000,
  ),
  dataSaver: toggle({ name: "data-saver", help: "stop fetching when nobody listens" }),
  quality: one(
    choice(...QUALITIES),
    { name: "quality", argument: "QUALITY", help: `${QUALITIES.join(", ")}; where a source has a choice` },
    undefined,
  ),
  player: one(
    choice("mpv"),
    { name: "player", argument: "PLAYER", help: "mpv; plays in this room, steered by /api/player" },
    undefined,
  ),
  auto: toggle({ name: "auto", help: "with a player: add similar tracks when the queue nears its end" }),
  logLevel: one(
    choice(...levels),
    { name: "log-level", argument: "LEVEL", help: `${levels.join(", ")} (info)` },
    "info",
  ),
  json: toggle({ name: "json", help: "tell stdout in one line of JSON when ready" }),
  exitWithParent: toggle({ name: "exit-with-parent", help: "stop when stdin closes" }),
};

/** Not in `flags`: a config file names no other one. */
export const config = one(
  text,
  { name: "config", argument: "FILE", help: "a JSON file with any of these settings" },
  undefined,
);

export const serveFlags: readonly Flag<unknown>[] = [...Object.values(flags), config];

export interface ServeSettings {
  readonly server: Omit<ServerOptions, "log">;
  readonly logLevel: Level;
  readonly json: boolean;
  readonly exitWithParent: boolean;
  /** They may be read again: some of them are from a file. */
  readonly fromFile: boolean;
}

/** Answers the value of a flag. */
export type Read = <T>(flag: Flag<T>) => T;

/** Reads flags from the command line, the environment and the config file, which may also name those of `own`. */
export async function settingsReader(
  given: (name: string) => readonly string[],
  env: Environment,
  own: readonly Flag<unknown>[] = [],
): Promise<Read> {
  const path = setting(config, { given, env });
  const known = [...new Set([...Object.values(flags), ...own].map(({ name }) => name))];
  const file = path === undefined ? undefined : await readConfigFile(path, known);
  return (flag) => setting(flag, { given, env, file });
}

/** Puts together what the command line, the environment and the config file say. */
export async function serveSettings(
  given: (name: string) => readonly string[],
  env: Environment,
): Promise<ServeSettings> {
  const read = await settingsReader(given, env);
  return {
    server: {
      ...proxySettings(read, env),
      host: read(flags.host),
      port: read(flags.port),
      token: read(flags.token),
      allowHosts: read(flags.allowHosts),
      allowOrigins: read(flags.allowOrigins),
      player: read(flags.player),
      auto: read(flags.auto),
    },
    logLevel: read(flags.logLevel),
    json: read(flags.json),
    exitWithParent: read(flags.exitWithParent),
    fromFile: setting(config, { given, env }) !== undefined,
  };
}

/** What a proxy needs, whether it listens to others or not. */
export function proxySettings(read: Read, env: Environment): Omit<OwnerOptions, "log" | "background" | "sparing"> {
  return {
    cacheDir: cacheDirOf(read, env),
    cacheSize: read(flags.cacheSize),
    sources: read(flags.sources),
    allowPrivate: read(flags.allowPrivate),
    maxWindow: read(flags.maxWindow),
    firstByteMs: read(flags.firstByte),
    patienceMs: read(flags.patience),
    dataSaver: read(flags.dataSaver),
    quality: read(flags.quality),
  };
}

/** An absolute path. */
function cacheDirOf(read: Read, env: Environment): string {
  return resolve(read(flags.cacheDir) ?? dataDirectory(process.platform, env, homedir()));
}
