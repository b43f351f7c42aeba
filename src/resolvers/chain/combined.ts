import { AfterbayError, type ErrorCode } from "../../errors.ts";

/** The most hopeful first: what may pass by itself, what may pass in a while, what another URL may mend, what is final. */
const HOPEFUL: readonly ErrorCode[] = [
  "transient",
  "stalled",
  "unreachable",
  "busy",
  "wrong-answer",
  "url-refused",
  "upstream-failed",
  "unplayable",
  "not-found",
];

/**
 * What to say where all members of a chain have failed: the most hopeful of what they said; of equals, what the first of
 * them said. So a track is unknown only where all say so.
 */
export function combined(failures: readonly AfterbayError[]): AfterbayError {
  const [best] = failures.toSorted((a, b) => rank(a) - rank(b));
  if (best === undefined) return new AfterbayError("transient", "No source of the chain could be asked");
  if (best.code !== "busy") return best;
  const waits = failures.filter(({ code }) => code === "busy").map(({ retryAfterMs = 0 }) => retryAfterMs);
  return new AfterbayError("busy", best.message, { retryAfterMs: Math.min(...waits) });
}

/** What is not listed is no verdict on the track either. */
function rank({ code }: AfterbayError): number {
  return Math.max(0, HOPEFUL.indexOf(code));
}
