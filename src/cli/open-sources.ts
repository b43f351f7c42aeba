import { ConfigError } from "../errors.ts";
import { openSource, type OpenOptions, type Source } from "../resolvers/index.ts";

/** Opens each `[NAME=]SPEC`. Whatever fails, nothing is left open. */
export async function openSources(specs: readonly string[], options: OpenOptions): Promise<Source[]> {
  const sources: Source[] = [];
  try {
    for (const spec of specs) {
      const source = await openSource(spec, options);
      sources.push(source);
      if (sources.some((other) => other !== source && other.key === source.key)) {
        throw new ConfigError(`Two sources are called ${source.key}; name one with --source NAME=SPEC`);
      }
    }
    return sources;
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
}

export async function closeAll(sources: readonly Source[]): Promise<void> {
  for (const { resolver } of sources) await resolver.close?.();
}

/** The key of the source that `[NAME=]SPEC` names. */
export async function sourceKeyOf(spec: string): Promise<string> {
  const { key, resolver } = await openSource(spec);
  await resolver.close?.();
  return key;
}
