import type { Resolver } from "../data-source/resolution.ts";
import { shortHash } from "../data-source/validators.ts";
import { AfterbayError, ConfigError } from "../errors.ts";

/** A source as a spec opened it: its key names its tracks in paths and in the cache. */
export interface Source {
  readonly key: string;
  readonly resolver: Resolver;
}

/** How each kind of spec is opened; `argument` is what stands behind its colon. Only what is used is loaded. */
const KINDS: Readonly<Record<string, { readonly takesArgument: boolean; open(argument: string): Promise<Resolver> }>> =
  {
    demo: { takesArgument: false, open: async () => await (await import("./demo/demo.ts")).createDemo() },
    url: { takesArgument: true, open: async (template) => (await import("./url.ts")).createUrlResolver(template) },
    folder: { takesArgument: true, open: openFolder },
    module: {
      takesArgument: true,
      open: async (file) => await (await import("./module.ts")).createModuleResolver(file),
    },
    webhook: {
      takesArgument: true,
      open: async (template) => (await import("./webhook.ts")).createWebhookResolver(template),
    },
  };

/** Opens `[NAME=]SPEC`. Throws a ConfigError with one plain line that holds no credentials. */
export async function openSource(text: string): Promise<Source> {
  const { name, kind, argument } = parseSpec(text);
  const found = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (found === undefined) {
    throw new ConfigError(`There is no source ${kind}; there are ${Object.keys(KINDS).join(", ")}`);
  }
  if (found.takesArgument !== (argument !== undefined)) {
    throw new ConfigError(
      `The source ${kind} takes ${found.takesArgument ? "an address: " : "no address; write "}${kind}${found.takesArgument ? ":…" : ""}`,
    );
  }
  try {
    return { key: name ?? sourceKey(kind, argument), resolver: await found.open(argument ?? "") };
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
    local: folder.local,
    list: () => folder.list(),
    close: () => folder.close(),
    resolve: () => Promise.reject(new AfterbayError("not-found", "The tracks of a folder have no URLs")),
  };
}

function parseSpec(text: string): { name: string | undefined; kind: string; argument: string | undefined } {
  const named = /^([a-z][a-z0-9-]*)=(.*)$/s.exec(text);
  const spec = named?.[2] ?? text;
  const colon = spec.indexOf(":");
  return {
    name: named?.[1],
    kind: colon < 0 ? spec : spec.slice(0, colon),
    argument: colon < 0 ? undefined : spec.slice(colon + 1),
  };
}

/** The scheme alone without an argument; else with a short hash of it, so that two templates never share tracks. */
function sourceKey(kind: string, argument: string | undefined): string {
  if (argument === undefined) return kind;
  const withoutCredentials = argument.replace(/\/\/[^/@]*@/, "//");
  return `${kind}-${shortHash(withoutCredentials).slice(0, 8)}`;
}
