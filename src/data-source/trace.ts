import type { ErrorCode } from "../errors.ts";
import type { ResolveReason } from "./resolution.ts";

/**
 * What is done to fill a need, as it is told to whoever watches. `at` is the pipeline's monotonic ms; durations are ms.
 * An event that lasts is told when it begins and filled in as it goes on. Nothing in here is secret: no header, no query's
 * values, no message of another program.
 */
export type TraceEvent = { readonly at: number } & (
  | ResolveTrace
  | WindowTrace
  | RetryTrace
  | RefreshTrace
  | PlaceTrace
  | CircuitTrace
  | PreemptedTrace
);

/** How something ended that was not in vain: `cut` says that nobody wanted the rest. */
type End = "ok" | "cut" | ErrorCode;

/** Waiting for the resolver, whose call others may share. */
export interface ResolveTrace {
  readonly event: "resolve";
  readonly reason: ResolveReason;
  readonly attempt: number;
  /** Before anyone waited. */
  readonly ahead?: boolean;
  /** Absent while it goes on. */
  ms?: number;
  ended?: End;
}

/** One upstream request. */
export interface WindowTrace {
  readonly event: "window";
  /** Origin and path; see `publicUrl`. */
  readonly url: string;
  /** Bytes [start, end) that were asked for; without an end, all that follows. */
  readonly start: number;
  readonly end?: number;
  /** The hosts that it was redirected to. */
  redirects?: string[];
  status?: number;
  /** Until the answer's headers, and its first byte. */
  headersMs?: number;
  firstByteMs?: number;
  bytes: number;
  /** Absent while it goes on. */
  ms?: number;
  ended?: End;
}

/** A failure that may pass: tried again after a wait. */
export interface RetryTrace {
  readonly event: "retry";
  /** Counts from 1. */
  readonly retry: number;
  readonly waitMs: number;
  readonly code: ErrorCode;
  /** The upstream's. */
  readonly status?: number;
}

/** A URL that was refused: another one is asked for. */
export interface RefreshTrace {
  readonly event: "refresh";
  /** Counts from 1. */
  readonly refresh: number;
  readonly reason: ResolveReason;
  readonly code: ErrorCode;
  readonly status?: number;
}

/** Had to wait until others gave up their place at the scheduler. */
export interface PlaceTrace {
  readonly event: "place";
  readonly ms: number;
}

/** Waits since its source fails for all tracks just now. */
export interface CircuitTrace {
  readonly event: "circuit";
  readonly waitMs: number;
}

/** Gave way to more urgent work. */
export interface PreemptedTrace {
  readonly event: "preempted";
}

const MAX_URL_LENGTH = 200;
const MAX_PLAIN_SEGMENT = 16;
const SECRET_NAME = /^(sig|signature|token|key|auth|password|secret|lsig)$/i;

/**
 * A URL that can be shown: without credentials, fragment, and the values of its query. Parts of its path that look like
 * signatures or keys (long, with digits and letters; after a name that says so; after a semicolon) are left out as well.
 */
export function publicUrl({ origin, pathname, searchParams }: URL): string {
  const segments = pathname.split("/");
  const path = segments.map((segment, at) => {
    const [plain = "", ...parameters] = segment.split(";");
    const looksSecret = plain.length >= MAX_PLAIN_SEGMENT && /\d/.test(plain) && /[a-z]/i.test(plain);
    if (looksSecret || SECRET_NAME.test(segments[at - 1] ?? "")) return "…";
    return parameters.length === 0 ? plain : `${plain};…`;
  });
  const url = `${origin}${path.join("/")}${searchParams.size === 0 ? "" : "?…"}`;
  return url.length <= MAX_URL_LENGTH ? url : `${url.slice(0, MAX_URL_LENGTH)}…`;
}
