import type { SessionEvent } from "../events.ts";
import type { Proxy } from "../proxy.ts";
import type { OutcomeOf } from "./outcome.ts";

/** Plays that are remembered: those that can still be asked for are the current and the next one. */
const KEPT = 50;

/** What a proxy in this process says of a player's requests; `close` stops listening. */
export function proxyOutcomes(proxy: Pick<Proxy, "on" | "off">): { readonly outcomeOf: OutcomeOf; close(): void } {
  const last = new Map<string, SessionEvent>();
  const onSession = (event: SessionEvent): void => {
    const { play, request } = event;
    // An older request that ends late, a player's that has gone elsewhere, says nothing of the newer one.
    if (play === undefined || (last.get(play)?.request ?? 0) > request) return;
    last.delete(play);
    last.set(play, event);
    const [oldest] = last.keys();
    if (last.size > KEPT && oldest !== undefined) last.delete(oldest);
  };
  proxy.on("session", onSession);
  return { outcomeOf: (play) => last.get(play), close: () => proxy.off("session", onSession) };
}
