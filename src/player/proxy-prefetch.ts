import type { TrackKey } from "../data-source/data-source.ts";
import type { Proxy } from "../proxy.ts";

/** Wishes for tracks at a proxy in this process; each call replaces the one before, and what is in both goes on. */
export function proxyPrefetch(proxy: Pick<Proxy, "prefetch">): (tracks: readonly TrackKey[]) => void {
  let last = new AbortController();
  return (tracks) => {
    const before = last;
    last = new AbortController();
    const { signal } = last;
    for (const source of new Set(tracks.map((track) => track.source))) {
      const ids = tracks.filter((track) => track.source === source).map(({ id }) => id);
      // How each track ends is told by events; what is given up here is rejected.
      proxy.prefetch(ids, { source, signal }).catch(() => {});
    }
    before.abort();
  };
}
