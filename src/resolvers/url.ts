import type { Resolver } from "../data-source/resolution.ts";
import { abortReason } from "../errors.ts";
import { parseTemplate } from "./template.ts";

/**
 * The `url:TEMPLATE` source: the id is filled into a URL, and that is where the bytes are. It names no variant: the
 * upstream's own validators do. Throws an Error with one line for a template that is none.
 */
export function createUrlResolver(template: string): Resolver {
  const { host, headers, fill } = parseTemplate(template);
  return {
    hosts: [host],
    async resolve(id, { signal }) {
      if (signal.aborted) throw abortReason(signal);
      return { url: fill(id), headers };
    },
  };
}
