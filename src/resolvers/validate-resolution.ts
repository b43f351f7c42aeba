import type { Resolution } from "../data-source/resolution.ts";
import { AfterbayError } from "../errors.ts";

/** Reads one field, whose value is neither undefined nor null; throws where it does not fit. */
type Check<T> = (name: string, value: unknown) => T;

const MAX_URL_LENGTH = 16_384;
const MAX_HEADERS = 64;
const MAX_HEADER_LENGTH = 8192;
const MAX_NAME_LENGTH = 512;
const MAX_LABEL_LENGTH = 1000;

/** RFC 9110, sections 5.6.2 and 5.5. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9110, section 8.3.1, with parameters left unread. */
const MEDIA_TYPE = /^[!#$&^_.+\-0-9A-Za-z]+\/[!#$&^_.+\-0-9A-Za-z]+ *(;[\x20-\x7e]*)?$/;

/**
 * Headers that belong to one connection or one request, which Afterbay writes itself. Resolvers copy whole header sets
 * from other programs (yt-dlp's `http_headers`), so these are left out rather than held against the resolution.
 */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Checks what a resolver answered, whatever it is written in: every known field strictly, unknown fields not at all.
 * `null` counts as absent, since many languages write it so. Header names come out in lower case.
 *
 * Throws `wrong-answer` with a reason that names the field and never its value.
 */
export function validateResolution(value: unknown): Resolution {
  if (!isRecord(value)) throw wrong("no object");
  const optional = <T>(name: keyof Resolution, check: Check<T>): T | undefined => {
    const field = value[name];
    return field === undefined || field === null ? undefined : check(name, field);
  };
  const url = optional("url", httpUrl);
  if (url === undefined) throw wrong("no url");
  return {
    url,
    headers: optional("headers", headers),
    variant: optional("variant", exactName),
    validatorScope: optional("validatorScope", exactName),
    contentLength: optional("contentLength", byteCount),
    contentType: optional("contentType", mediaType),
    expiresAt: optional("expiresAt", amount),
    maxWindow: optional("maxWindow", windowSize),
    id: optional("id", exactName),
    title: optional("title", label),
    artist: optional("artist", label),
    album: optional("album", label),
    durationMs: optional("durationMs", amount),
    artwork: optional("artwork", httpUrl),
    loudnessDb: optional("loudnessDb", finite),
  };
}

const httpUrl: Check<string> = (name, value) => {
  const written = text(name, value);
  if (written.length > MAX_URL_LENGTH) throw wrong(`${name} is too long`);
  // URL parsers drop these silently: the URL would not be the one that was checked.
  if (/[\s\p{Cc}]/u.test(written) || !URL.canParse(written)) throw wrong(`${name} is no absolute URL`);
  const url = new URL(written);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw wrong(`${name} is neither http nor https`);
  if (url.username !== "" || url.password !== "") throw wrong(`${name} holds credentials; use headers`);
  return written;
};

const headers: Check<Record<string, string>> = (name, value) => {
  if (!isRecord(value)) throw wrong(`${name} are no object`);
  const entries = Object.entries(value);
  if (entries.length > MAX_HEADERS) throw wrong(`${name} are too many`);
  const kept = entries.map(([header, content]): [string, string] => {
    if (!TOKEN.test(header)) throw wrong(`${name} have a malformed name`);
    if (typeof content !== "string" || content.length > MAX_HEADER_LENGTH || !FIELD_VALUE.test(content)) {
      throw wrong(`${name} have a malformed value`);
    }
    return [header.toLowerCase(), content];
  });
  return Object.fromEntries(kept.filter(([header]) => !OWN_HEADERS.has(header)));
};

/** A name that is compared, not shown. */
const exactName: Check<string> = (name, value) => {
  const written = text(name, value);
  if (written === "" || written.length > MAX_NAME_LENGTH) throw wrong(`${name} is empty or too long`);
  if (/[\p{Cc}\p{Cs}]/u.test(written)) throw wrong(`${name} has control characters`);
  return written;
};

/** Words for display, of which only their harmlessness matters. */
const label: Check<string> = (name, value) =>
  text(name, value)
    .replace(/[\p{Cc}\p{Cs}]+/gu, " ")
    .slice(0, MAX_LABEL_LENGTH);

const mediaType: Check<string> = (name, value) => {
  const written = text(name, value);
  if (written.length > MAX_NAME_LENGTH || !MEDIA_TYPE.test(written)) throw wrong(`${name} is no media type`);
  return written;
};

const finite: Check<number> = (name, value) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${name} is no number`);
  return value;
};

const amount: Check<number> = (name, value) => {
  const number = finite(name, value);
  if (number < 0) throw wrong(`${name} is negative`);
  return number;
};

const byteCount: Check<number> = (name, value) => {
  const number = amount(name, value);
  if (!Number.isSafeInteger(number)) throw wrong(`${name} is no whole number`);
  return number;
};

const windowSize: Check<number> = (name, value) => {
  const number = byteCount(name, value);
  if (number === 0) throw wrong(`${name} is zero`);
  return number;
};

function text(name: string, value: unknown): string {
  if (typeof value !== "string") throw wrong(`${name} is no string`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(reason: string): AfterbayError {
  return new AfterbayError("wrong-answer", `The resolution is not valid: ${reason}`);
}
