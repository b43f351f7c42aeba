import { AfterbayError } from "../errors.ts";
import type { HttpExchange } from "./http-exchange.ts";
import type { Expectation, ResolvedSpec, Validator } from "./data-source.ts";
import { validatorOf, validatorsConflict, variantOf } from "./validators.ts";

/** An upstream's answer that was found to be the bytes asked for. */
export interface Answer {
  /** Offset of the first byte of the body. */
  readonly start: number;
  readonly ranged: boolean;
  /** Total size of the resource, bytes. */
  readonly size: number | undefined;
  /** Bytes that the body must have; undefined where only the connection's end tells. */
  readonly length: number | undefined;
  /** True if the end of the body proves that nothing is missing. */
  readonly framed: boolean;
  readonly contentType: string | undefined;
  readonly validator: Validator;
  readonly variant: string | undefined;
  readonly exchange: HttpExchange;
}

/** Types that are no music: login pages, error messages, manifests and playlists, ranges wrapped in parts. */
const NOT_AUDIO =
  /^(text\/|multipart\/byteranges|(audio|application)\/(vnd\.apple\.|x-)?(mpegurl|scpls)|application\/(json|xml|xhtml|javascript|dash|[\w.-]+\+(json|xml)))/i;

/**
 * Holds an answer against what was asked. Throws an AfterbayError, having freed the body, if it does not fit. `wallNow`,
 * epoch ms, is what a date in Retry-After is held against.
 */
export function judgeAnswer(exchange: HttpExchange, spec: ResolvedSpec, url: URL, wallNow: number): Answer {
  try {
    return judge(exchange, spec, url, wallNow);
  } catch (error) {
    exchange.finish();
    throw error;
  }
}

function judge(exchange: HttpExchange, spec: ResolvedSpec, url: URL, wallNow: number): Answer {
  const { statusCode: status, headers } = exchange;
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  if (status !== 200 && status !== 206) throw statusError(status, header, wallNow);
  const encodings = [header("content-encoding") ?? "", header("transfer-encoding") ?? ""];
  if (encodings.some((encoding) => !/^(|identity|chunked)$/i.test(encoding.trim()))) {
    throw new AfterbayError("wrong-answer", "The upstream sent an encoded body", { status });
  }
  const contentType = header("content-type");
  if (contentType !== undefined && NOT_AUDIO.test(contentType)) {
    throw new AfterbayError("wrong-answer", "The upstream sent a page or a message instead of audio", { status });
  }
  const validator = validatorOf(url, header("etag"), header("last-modified"));
  const length = parseLength(header("content-length"));
  const range = status === 206 ? parseContentRange(header("content-range")) : undefined;
  if (status === 206 && (range === undefined || range.start !== spec.position)) {
    throw new AfterbayError("wrong-answer", "The upstream sent another range than the one asked for", { status });
  }
  const size = status === 206 ? range?.size : length;
  const variant = spec.resolution.variant ?? scoped(spec.resolution.validatorScope, variantOf(validator, size));
  holdAgainst(spec.expect, { size, variant, validator });
  const asked = spec.end === undefined ? Number.POSITIVE_INFINITY : spec.end - spec.position;
  return {
    start: range?.start ?? 0,
    ranged: status === 206,
    size,
    length: range === undefined ? length : Math.min(range.end - range.start, asked),
    framed: length !== undefined || header("transfer-encoding") !== undefined,
    contentType,
    validator,
    variant,
    exchange,
  };
}

function scoped(scope: string | undefined, variant: string | undefined): string | undefined {
  return scope === undefined || variant === undefined ? variant : `${scope}/${variant}`;
}

function holdAgainst(
  expect: Expectation | undefined,
  answer: { size: number | undefined; variant: string | undefined; validator: Validator },
): void {
  if (expect === undefined) return;
  const changed = (): AfterbayError =>
    new AfterbayError("variant-changed", "The upstream serves other bytes now", variantDetail(answer.variant));
  if (expect.size !== undefined && answer.size !== undefined && expect.size !== answer.size) throw changed();
  if (validatorsConflict(expect.validator, answer.validator)) throw changed();
  if (expect.variant === undefined) return;
  if (answer.variant === undefined) {
    throw new AfterbayError("unnamed", "The upstream does not say which version it serves");
  }
  if (answer.variant !== expect.variant) throw changed();
}

function variantDetail(variant: string | undefined): { variant?: string } {
  return variant === undefined ? {} : { variant };
}

function statusError(status: number, header: (name: string) => string | undefined, wallNow: number): AfterbayError {
  const details = { status };
  if (status === 416) {
    const size = /^bytes \*\/(\d+)$/i.exec(header("content-range")?.trim() ?? "")?.[1];
    return new AfterbayError("range-refused", "The upstream refused the range", {
      ...details,
      ...(size === undefined ? {} : { size: Number(size) }),
    });
  }
  if ([401, 403, 404, 410].includes(status)) {
    return new AfterbayError("url-refused", `The upstream refused the request (${status})`, details);
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const wait = retryAfterMs(header("retry-after"), wallNow);
    return new AfterbayError("transient", `The upstream failed (${status})`, {
      ...details,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    });
  }
  return new AfterbayError("wrong-answer", `The upstream answered ${status}`, details);
}

function parseLength(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** RFC 9110, section 14.4. `end` is exclusive here. */
function parseContentRange(value: string | undefined): { start: number; end: number; size?: number } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(value?.trim() ?? "");
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  if (match[3] === "*") return end > start ? { start, end } : undefined;
  const size = Number(match[3]);
  return end > start && end <= size ? { start, end, size } : undefined;
}

/** Milliseconds to wait by a Retry-After header (RFC 9110, section 10.2.3): seconds, or a date held against `wallNow`. */
export function retryAfterMs(value: string | undefined, wallNow: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallNow);
}
