import { AfterbayError, isAfterbayError } from "../errors.ts";
import type { DataSource, Opened, ResolvedSpec } from "./data-source.ts";
import { emptyOpened } from "./opened.ts";

/**
 * Reads a 416 by its meaning (RFC 9110, section 15.5.17): the end of the resource, another version of it, or an upstream
 * that cannot do ranges. The last is passed up once, so that another URL is tried, and then asked without a Range;
 * never where the source limits its windows, since such upstreams refuse that too.
 */
export function rangeFallback(upstream: DataSource<ResolvedSpec>): DataSource<ResolvedSpec> {
  return {
    async open(spec, { signal }) {
      try {
        return await upstream.open(spec, { signal });
      } catch (error) {
        if (!isAfterbayError(error, "range-refused")) throw error;
        const { size } = error;
        const known = spec.expect?.size;
        if (size !== undefined && known !== undefined && size !== known) {
          throw new AfterbayError("variant-changed", "The upstream's resource has another size now", { cause: error });
        }
        if (size !== undefined && spec.position >= size) {
          return emptyOpened(spec.position, { size, ...(await identify(upstream, spec, size, signal)) });
        }
        const asksForOtherUrl = spec.need.refreshes === 0;
        if (asksForOtherUrl || spec.resolution.maxWindow !== undefined) throw error;
        return await upstream.open({ ...spec, whole: true }, { signal });
      }
    },
  };
}

/** What a refusal does not say: which version it is that ends there. Its first byte is asked for, where that can tell. */
async function identify(
  upstream: DataSource<ResolvedSpec>,
  spec: ResolvedSpec,
  size: number,
  signal: AbortSignal,
): Promise<Partial<Opened>> {
  const { resolution } = spec;
  if (resolution.variant !== undefined) return { resolution, variant: resolution.variant };
  if (size === 0 || spec.expect?.variant !== undefined) return { resolution };
  const first = await upstream.open({ ...spec, position: 0, end: 1 }, { signal });
  await first[Symbol.asyncDispose]();
  return first;
}
