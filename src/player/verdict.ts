import type { RequestOutcome } from "./outcome.ts";

/** How a track ended in the player. */
export interface TrackEnd {
  /** `end`: no more came, whatever the reason. `failed`: it could not be opened or understood. */
  readonly reason: "end" | "failed";
  readonly positionMs: number;
  readonly durationMs: number | undefined;
  /** Since the last seek; Infinity if there was none. */
  readonly sinceSeekMs: number;
  /** In the player's words. */
  readonly why?: string;
}

/** What was tried already for the track that ended. */
export interface Trouble {
  /** How often it was loaded again. */
  readonly reloads: number;
  /** Since its first failure, ms. */
  readonly forMs: number;
}

export type Verdict =
  | { readonly kind: "finished" }
  /** Load it again where it was. `waits`: something outside has to come back first. */
  | { readonly kind: "reload"; readonly afterMs: number; readonly waits: boolean; readonly code: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** An end this far before the track's own is none, ms. */
const EARLY_MS = 3000;
/** An end so soon after a seek may be the seek's: it has to be where the track's own is, but for what is buffered, ms. */
const SEEK_MS = 1000;
const EARLY_AFTER_SEEK_MS = 1000;
/** Pauses before a track is loaded again that ended without reason, ms; then it counts as failed. */
const PAUSES_MS = [0, 500, 1000] as const;
/**
 * While the source cannot be had, a track is tried again after 1, 2, 4 and then each 5 s, or when the proxy says, and it
 * counts as failed after three tries and half a minute: an outage of 20 s skips nothing, and is over 5 s after its end.
 */
const WAITS_MS = [1000, 2000, 4000, 5000] as const;
const MAX_WAIT_MS = 15_000;
const MIN_TRIES = 3;
const OUTAGE_MS = 30_000;

/** Errors that no later try mends. Only these skip at once. */
const FINAL = ["not-found", "unplayable"];

const WORDS = new Map(
  Object.entries({
    "not-found": "the source has no such track",
    unplayable: "it cannot be played",
    "variant-changed": "it was replaced by another version while it played",
    "upstream-failed": "the source did not deliver it",
    "upstream-timeout": "the source took too long",
    offline: "the source cannot be reached",
    busy: "there is too much to do",
    "circuit-open": "the source fails too often",
    "not-cached": "it is not in the cache",
    forbidden: "the server refuses this player",
    unreachable: "the server cannot be reached",
    "no-address": "the proxy has no address for it",
    "cut-short": "it ends before its end",
    "not-audio": "it holds no sound that the player understands",
  }),
);

/** True for an end that nobody need look into: the track's own. */
export function isOwnEnd({ reason, positionMs, durationMs, sinceSeekMs }: TrackEnd): boolean {
  const early = sinceSeekMs < SEEK_MS ? EARLY_AFTER_SEEK_MS : EARLY_MS;
  return reason === "end" && durationMs !== undefined && positionMs > durationMs - early;
}

/** What an end means, and what to do about it. `outcome` is undefined where the proxy could not be asked. */
export function judge(end: TrackEnd, outcome: RequestOutcome | undefined, trouble: Trouble): Verdict {
  if (isOwnEnd(end)) return { kind: "finished" };
  const code = codeOf(end, outcome);
  if (code === undefined) {
    // Everything was sent, and it has been looked at twice: the length was a wrong guess.
    if (end.durationMs === undefined || (outcome?.outcome === "complete" && trouble.reloads > 0)) {
      return { kind: "finished" };
    }
    return again("cut-short", trouble);
  }
  if (FINAL.includes(code)) return failed(code);
  return isOutage(code, outcome) ? waited(code, outcome?.retryAfterMs, trouble) : again(code, trouble);
}

/** The error that ended it; undefined if none is known. */
function codeOf({ reason }: TrackEnd, outcome: RequestOutcome | undefined): string | undefined {
  const isBad = outcome?.outcome === "failed" || outcome?.outcome === "cut";
  if (isBad) return outcome.code ?? codeOfStatus(outcome.status);
  if (reason === "end") return undefined;
  // No request arrived: the server itself is away.
  return outcome === undefined ? "unreachable" : "not-audio";
}

function codeOfStatus(status: number | undefined): string {
  if (status === 404) return "not-found";
  if (status === 410) return "unplayable";
  return status === undefined || status >= 500 ? "upstream-failed" : `status-${status}`;
}

/** True if it may pass by itself: another try has to wait for that. */
function isOutage(code: string, outcome: RequestOutcome | undefined): boolean {
  if (outcome?.outcome === "failed") return (outcome.status ?? 500) >= 500;
  // Cut after its headers, which were those of a success.
  if (outcome?.outcome === "cut") return code !== "variant-changed";
  return code === "unreachable";
}

function again(code: string, { reloads }: Trouble): Verdict {
  const afterMs = PAUSES_MS[reloads];
  return afterMs === undefined ? failed(code) : { kind: "reload", afterMs, waits: false, code };
}

function waited(code: string, retryAfterMs: number | undefined, { reloads, forMs }: Trouble): Verdict {
  if (reloads >= MIN_TRIES && forMs >= OUTAGE_MS) return failed(code);
  const pause = retryAfterMs ?? WAITS_MS[Math.min(reloads, WAITS_MS.length - 1)] ?? MAX_WAIT_MS;
  return { kind: "reload", afterMs: Math.min(Math.max(0, pause), MAX_WAIT_MS), waits: true, code };
}

function failed(code: string): Verdict {
  return { kind: "failed", code, message: wordsFor(code) };
}

/** An error's code in plain words. */
export function wordsFor(code: string): string {
  return WORDS.get(code) ?? `it failed (${code})`;
}
