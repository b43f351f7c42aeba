import { type ServerResponse, STATUS_CODES } from "node:http";
import { type AfterbayError, type ErrorCode, isAfterbayError, type PublicCode } from "../errors.ts";
import { redactText } from "../redact.ts";

/** Errors as clients see them: `application/problem+json`, RFC 9457. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
}

const STATUS: Readonly<Record<PublicCode, number>> = {
  "bad-request": 400,
  forbidden: 403,
  "not-found": 404,
  unplayable: 410,
  "variant-changed": 410,
  "upstream-failed": 502,
  offline: 503,
  busy: 503,
  "circuit-open": 503,
  "upstream-timeout": 504,
  "not-cached": 504,
  "no-space": 507,
};

const PUBLIC: Readonly<Record<ErrorCode, PublicCode>> = {
  "bad-request": "bad-request",
  forbidden: "forbidden",
  "not-found": "not-found",
  unplayable: "unplayable",
  "variant-changed": "variant-changed",
  "upstream-failed": "upstream-failed",
  "upstream-timeout": "upstream-timeout",
  offline: "offline",
  busy: "busy",
  "circuit-open": "circuit-open",
  "not-cached": "not-cached",
  "no-space": "no-space",
  transient: "upstream-failed",
  "wrong-answer": "upstream-failed",
  unnamed: "upstream-failed",
  "url-refused": "upstream-failed",
  "range-refused": "upstream-failed",
  stalled: "upstream-timeout",
  unreachable: "offline",
  preempted: "busy",
};

/** Seconds to wait where the error itself does not say. The circuit breaker stays open for 5 s. */
const DEFAULT_RETRY_AFTER: Readonly<Partial<Record<PublicCode, number>>> = { offline: 5, busy: 1, "circuit-open": 5 };

const MAX_RETRY_AFTER = 3600;
const MAX_DETAIL_LENGTH = 300;

/** Said instead of the message of an error that was made for the layers below, not for a listener. */
const UPSTREAM_DETAILS: Readonly<Partial<Record<PublicCode, string>>> = {
  "not-found": "The source has no such track",
  "upstream-failed": "The source did not deliver the track",
  "upstream-timeout": "The source took too long to answer",
  offline: "The source cannot be reached",
  busy: "More urgent work came first; try again",
};

/** What a client gets to know of an error. */
export interface ErrorVerdict {
  readonly code: PublicCode | "internal";
  readonly status: number;
  /** After which another try makes sense; the Retry-After header. */
  readonly retryAfterMs?: number;
}

export function verdictOf(error: unknown): ErrorVerdict {
  if (!isAfterbayError(error)) return { code: "internal", status: 500 };
  const code = publicCode(error);
  const seconds = retryAfter(code, error.retryAfterMs);
  return { code, status: STATUS[code], ...(seconds === undefined ? {} : { retryAfterMs: 1000 * seconds }) };
}

function publicCode(error: AfterbayError): PublicCode {
  const gone = error.code === "url-refused" && (error.status === 404 || error.status === 410);
  return gone ? "not-found" : PUBLIC[error.code];
}

/**
 * The answer to a request that failed before its first byte. Errors that are not Afterbay's own are a 500 that says
 * nothing else: their messages may hold anything.
 */
export function problemOf(error: unknown): Problem {
  const { status, code, retryAfterMs } = verdictOf(error);
  if (!isAfterbayError(error) || code === "internal") return problem(status, code, undefined, undefined);
  const detail = code === error.code ? plain(error.message) : UPSTREAM_DETAILS[code];
  return problem(status, code, detail, retryAfterMs === undefined ? undefined : retryAfterMs / 1000);
}

/** Answers a request with what {@link problemOf} makes of `error`. */
export function sendProblem(
  response: ServerResponse,
  error: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { status, headers: own, body } = problemOf(error);
  response.writeHead(status, { ...headers, ...own });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function problem(status: number, code: string, detail: string | undefined, wait: number | undefined): Problem {
  // RFC 9457, section 4.2.1: the title of about:blank is the status phrase.
  const body = JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status, code, detail });
  const headers: Record<string, string> = {
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(body)),
    "cache-control": "no-store",
  };
  if (wait !== undefined) headers["retry-after"] = String(wait);
  return { status, headers, body };
}

/** Whole seconds, at least 1 (RFC 9110, section 10.2.3). */
function retryAfter(code: PublicCode, milliseconds: number | undefined): number | undefined {
  if (milliseconds === undefined || !Number.isFinite(milliseconds)) return DEFAULT_RETRY_AFTER[code];
  return Math.min(MAX_RETRY_AFTER, Math.max(1, Math.ceil(milliseconds / 1000)));
}

/** Messages are plain words already, but a resolver's own may quote what it failed at, signature, key and all. */
function plain(message: string): string {
  const bare = message.replace(/[a-z][a-z0-9+.-]*:\/\/\S*/gi, "(address removed)");
  const words = redactText(bare).replace(/\p{Cc}+/gu, " ");
  return words.length <= MAX_DETAIL_LENGTH ? words : `${words.slice(0, MAX_DETAIL_LENGTH - 1)}…`;
}
