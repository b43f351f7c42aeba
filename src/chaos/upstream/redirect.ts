import { type Answer, textAnswer } from "./answer.ts";
import type { Redirect } from "./behaviour.ts";

const HOPS = "hops";
const STATUS = "via";

/**
 * The first redirect. The rest of a chain is in its location, so that no script has to match each step. `elsewhere` is
 * the origin to name for that.
 */
export function redirectAnswer(url: URL, { status = 302, to, chain = 1, loop }: Redirect, elsewhere: string): Answer {
  if (to === "elsewhere") {
    const next = new URL(url.pathname + url.search, elsewhere);
    next.searchParams.set(HOPS, "0");
    return textAnswer(status, undefined, { location: next.href });
  }
  if (to !== undefined) return textAnswer(status, undefined, { location: to });
  return hop(url, status, loop ? "loop" : String(chain - 1));
}

/** The next redirect of a chain, for a URL within one. */
export function nextRedirect(url: URL): Answer | undefined {
  const hops = url.searchParams.get(HOPS);
  if (hops === null || hops === "0") return undefined;
  return hop(url, Number(url.searchParams.get(STATUS)), hops === "loop" ? hops : String(Number(hops) - 1));
}

/** True behind the last redirect. */
export function isRedirected(url: URL): boolean {
  return url.searchParams.has(HOPS);
}

function hop(url: URL, status: number, hops: string): Answer {
  const next = new URL(url);
  next.searchParams.set(HOPS, hops);
  next.searchParams.set(STATUS, String(status));
  return textAnswer(status, undefined, { location: next.pathname + next.search });
}
