import type { Resolver } from "../data-source/resolution.ts";
import { shortHash } from "../data-source/validators.ts";
import { splitChain } from "./chain/spec.ts";
import { abortReason, AfterbayError, ConfigError } from "../errors.ts";

/** A source as a spec opened it: its key names its tracks in paths and in the cache. */
export interface Source {
  readonly key: string;
  readonly resolver: Resolver;
}

interface Kind {
  /** What follows its name: `:ADDRESS`, `?OPTIONS` or nothing. */
  readonly takes: "address" | "options" | "nothing";
  /** `argument`: what stands behind the colon or the question mark. */
  open(argument: string, options: OpenOptions): Promise<Resolver>;
}

export interface OpenOptions {
  /** Lets a source that follows links itself do so to private addresses. */
  readonly allowPrivate?: boolean | undefined;
}

/** How each kind of spec is opened. Only what is used is loaded. */
const KINDS: Readonly<Record<string, Kind>> = {
  demo: { takes: "nothing", open: async () => await (await import("./demo/demo.ts")).createDemo() },
  url: { takes: "address", open: async (template) => (await import("./url.ts")).createUrlResolver(template) },
  folder: { takes: "address", open: openFolder },
  module: { takes: "address", open: async (file) => await (await import("./module.ts")).createModuleResolver(file) },
  webhook: {
    takes: "address",
    open: async (template) => (await import("./webhook.ts")).createWebhookResolver(template),
  },
  youtube: {
    takes: "options",
    open: async (query) => await (await import("./youtube/youtube.ts")).createYouTube(query),
  },
  "yt-dlp": {
    takes: "options",
    open: async (query, { allowPrivate = false }) =>
      await (await import("./yt-dlp/yt-dlp.ts")).createYtDlp(query, { allowPrivate }),
  },
};

const CHAIN_EXAMPLE = "youtube,yt-dlp";
const MARKS = { address: ":", options: "?", nothing: "" } as const;
const WORDS = { address: "an address: ", options: "options: ", nothing: "no address; write " } as const;

/**
 * Opens `[NAME=]SPEC`, or `NAME=SPEC,SPEC…`, a chain. Throws a ConfigError with one plain line that holds no credentials.
 */
export async function openSource(text: string, options: OpenOptions = {}): Promise<Source> {
  const { name, spec } = parseName(text);
  const specs = splitChain(spec, Object.keys(KINDS));
  if (specs.length === 1) return await openOne(name, spec, options);
  if (name === undefined) throw new ConfigError(`A chain of sources needs a name, as in NAME=${CHAIN_EXAMPLE}`);
  return { key: name, resolver: await openChain(specs, options) };
}

async function openChain(specs: readonly string[], options: OpenOptions): Promise<Resolver> {
  const { createChain } = await import("./chain/chain.ts");
  const links: Source[] = [];
  try {
    for (const spec of specs) {
      const { key, resolver } = await openOne(undefined, spec, options);
      // Two of one kind, with other options.
      const before = links.filter((link) => link.key.split("+")[0] === key).length;
      links.push({ key: before === 0 ? key : `${key}+${before}`, resolver });
      if (resolver.local !== undefined) {
        throw new ConfigError("A folder cannot be part of a chain: its tracks are files, and have no URLs");
      }
    }
    return createChain(links);
  } catch (error) {
    for (const { resolver } of links) await resolver.close?.();
    throw error;
  }
}

async function openOne(name: string | undefined, spec: string, options: OpenOptions): Promise<Source> {
  const { kind, mark, argument } = parseSpec(spec);
  const found = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (found === undefined) {
    throw new ConfigError(`There is no source ${kind}; there are ${Object.keys(KINDS).join(", ")}`);
  }
  const wants = MARKS[found.takes];
  if (mark !== wants && !(mark === "" && found.takes === "options")) {
    throw new ConfigError(`The source ${kind} takes ${WORDS[found.takes]}${kind}${wants}${wants && "…"}`);
  }
  try {
    return { key: name ?? sourceKey(kind, mark, argument), resolver: await found.open(argument, options) };
  } catch (error) {
    throw new ConfigError(
      `The source ${kind} cannot be used: ${error instanceof Error ? error.message : "unknown error"}`,
      {
        cause: error,
      },
    );
  }
}

async function openFolder(dir: string): Promise<Resolver> {
  const { createFolder } = await import("./folder/folder.ts");
  const folder = await createFolder(dir);
  return {
    local: {
      open: (id, about) => folder.local.open(id, about),
      artwork: (id) => folder.artwork(id),
    },
    list: () => folder.list(),
    close: () => folder.close(),
    async resolve(_id, { signal }) {
      if (signal.aborted) throw abortReason(signal);
      throw new AfterbayError("not-found", "The tracks of a folder have no URLs");
    },
  };
}

function parseName(text: string): { name: string | undefined; spec: string } {
  const named = /^([a-z][a-z0-9-]*)=(.*)$/s.exec(text);
  return { name: named?.[1], spec: named?.[2] ?? text };
}

function parseSpec(text: string): { kind: string; mark: string; argument: string } {
  const [, kind = "", mark = "", argument = ""] = /^([^:?]*)([:?]?)(.*)$/s.exec(text) ?? [];
  return { kind, mark, argument };
}

/** The scheme alone without an address; else with a short hash of it, so that two templates never share tracks. */
function sourceKey(kind: string, mark: string, argument: string): string {
  if (mark !== MARKS.address) return kind;
  const withoutCredentials = argument.replace(/\/\/[^/@]*@/, "//");
  return `${kind}-${shortHash(withoutCredentials).slice(0, 8)}`;
}
