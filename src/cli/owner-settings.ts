import type { OwnerOptions } from "./create-owner.ts";
import type { Flag } from "./flags.ts";
import type { Level } from "./log.ts";
import type { Input } from "./command.ts";
import { config, flags, proxySettings, type Read, settingsReader } from "./serve-settings.ts";
import type { Environment } from "./settings.ts";

const json = { ...flags.json, help: "write JSON to stdout" };

/** The flags of every command that speaks to the owner of a cache directory. */
export const commonFlags: readonly Flag<unknown>[] = [json, flags.cacheDir, config];

/** And of those for which bytes may have to be fetched. */
export const upstreamFlags: readonly Flag<unknown>[] = [
  ...commonFlags,
  flags.sources,
  flags.allowPrivate,
  flags.cacheSize,
];

export interface OwnerSettings {
  readonly options: Omit<OwnerOptions, "log">;
  readonly logLevel: Level;
  readonly json: boolean;
  /** The first source that the command line itself names. */
  readonly namedSource?: string;
  readonly read: Read;
}

export interface Doing {
  /** Bytes may be fetched for it. */
  readonly fetches: boolean;
  /** Bytes are added: the budget counts. Without that, nothing is given up for a budget that nobody named here. */
  readonly stores: boolean;
  /** Flags of this command alone. */
  readonly own?: readonly Flag<unknown>[];
}

/** What a command needs to know in order to speak to the owner of the cache directory, or to become it. */
export async function ownerSettings(
  { given }: Input,
  env: Environment,
  { fetches, stores, own = [] }: Doing,
): Promise<OwnerSettings> {
  const read = await settingsReader(given, env, own);
  const options = proxySettings(read, env);
  const [namedSource] = fetches ? given(flags.sources.name) : [];
  const named = namedSource === undefined ? undefined : await configuredSources(namedSource, given, env, own);
  return {
    options: {
      ...options,
      ...(named !== undefined && { sources: named }),
      ...(!stores && { cacheSize: Number.MAX_SAFE_INTEGER }),
      background: fetches,
      sparing: read<number | undefined>({ ...flags.cacheSize, fallback: undefined }) === undefined,
    },
    // What a server tells of its doings is not what a command is asked for.
    logLevel: read({ ...flags.logLevel, fallback: "warn" }),
    json: read(json),
    ...(namedSource !== undefined && { namedSource }),
    read,
  };
}

/** The sources of the environment or the config file, where `name` is that of one of them, and no spec of its own. */
async function configuredSources(
  name: string,
  given: Input["given"],
  env: Environment,
  own: readonly Flag<unknown>[],
): Promise<readonly string[] | undefined> {
  const read = await settingsReader((flag) => (flag === flags.sources.name ? [] : given(flag)), env, own);
  const sources = read(flags.sources);
  return sources.some((spec) => spec.startsWith(`${name}=`)) ? sources : undefined;
}
