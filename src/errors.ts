/**
 * The errors of Afterbay. One class, told apart by a literal `code`: an error is made where the fact is known and read
 * where the decision is taken, and the layers between pass it on.
 *
 * The first group of codes is public: a client sees them as `application/problem+json`. The second group is what an
 * upstream did; layers turn those into retries, refreshes or, when tries are spent, into one of the first group.
 */
export type PublicCode =
  | "bad-request"
  | "forbidden"
  | "not-found"
  | "unplayable"
  | "variant-changed"
  | "upstream-failed"
  | "upstream-timeout"
  | "offline"
  | "busy"
  | "circuit-open"
  | "not-cached"
  | "no-space";

export type UpstreamCode =
  /** May pass by itself: 5xx, 429, a reset, a closed socket, a refused connection. Try again later. */
  | "transient"
  /** No byte for too long. Try again at once. */
  | "stalled"
  /** The upstream's host cannot be reached or named. */
  | "unreachable"
  /** 401, 403, 404 or 410: the URL is no good (any more). Another URL may be. */
  | "url-refused"
  /** 416 to a range that should exist. */
  | "range-refused"
  /** An answer that is not the bytes asked for: HTML, an encoding, another Content-Range. Nothing of it was used. */
  | "wrong-answer"
  /** An answer that does not say which version it is of, where that has to be known. Nothing of it was used. */
  | "unnamed"
  /** This work gave way to more urgent work. */
  | "preempted";

export type ErrorCode = PublicCode | UpstreamCode;

export interface ErrorDetails {
  readonly cause?: unknown;
  /** The upstream's HTTP status, where one was received. */
  readonly status?: number;
  /** Milliseconds after which another try makes sense (Retry-After). */
  readonly retryAfterMs?: number;
  /** For `variant-changed`: the variant that the upstream serves now, where it is known. */
  readonly variant?: string;
  /** For `range-refused`: the total size in bytes that the upstream named. */
  readonly size?: number;
}

/** An error with a literal `code`. Messages are plain words without URLs, tokens or ids from a request. */
export class AfterbayError extends Error {
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly variant: string | undefined;
  readonly size: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = "AfterbayError";
    this.code = code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.variant = details.variant;
    this.size = details.size;
  }
}

/** True if `error` is an {@link AfterbayError} with one of `codes` (any code, if none is named). */
export function isAfterbayError(error: unknown, ...codes: ErrorCode[]): error is AfterbayError {
  return error instanceof AfterbayError && (codes.length === 0 || codes.includes(error.code));
}

/** The reason of an aborted signal, as an Error. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new DOMException("This operation was aborted", "AbortError");
}

/** A setting that cannot work: the message is one plain line for whoever started the program. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConfigError";
  }
}
