import { startUpstream as start, type Upstream, type UpstreamOptions } from "../../src/chaos/index.ts";

export * from "../../src/chaos/index.ts";

/** As in `src/chaos`; what goes wrong in the upstream itself is seen in the test's output. */
export function startUpstream(options: Omit<UpstreamOptions, "onFault"> = {}): Promise<Upstream> {
  return start({ ...options, onFault: (error) => console.error("scripted upstream:", error) });
}
