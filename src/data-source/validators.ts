import { createHash } from "node:crypto";
import type { Validator } from "./data-source.ts";

/** The validator in an answer's headers; `url` is the resolved URL, before redirects, without its query. */
export function validatorOf(url: URL, etag: string | undefined, lastModified: string | undefined): Validator {
  const strong = etag !== undefined && /^"[^"]*"$/.test(etag) ? etag : undefined;
  return {
    origin: `${url.protocol}//${url.host}${url.pathname}`,
    ...(strong === undefined ? {} : { etag: strong }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}

/** True if both come from the same place and cannot name the same bytes. */
export function validatorsConflict(a: Validator | undefined, b: Validator | undefined): boolean {
  if (a === undefined || b === undefined || a.origin !== b.origin) return false;
  if (a.etag !== undefined && b.etag !== undefined) return a.etag !== b.etag;
  if (a.lastModified !== undefined && b.lastModified !== undefined) return a.lastModified !== b.lastModified;
  return false;
}

/**
 * The name of the bytes that a validator identifies: by the strong entity tag, else by (Last-Modified, size), else
 * undefined: nothing names them.
 */
export function variantOf(validator: Validator, size: number | undefined): string | undefined {
  if (validator.etag !== undefined) return `etag-${shortHash(validator.etag)}`;
  if (validator.lastModified !== undefined && size !== undefined) {
    return `date-${shortHash(`${validator.lastModified}\n${size}`)}`;
  }
  return undefined;
}

/** 16 hexadecimal digits of SHA-256. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
