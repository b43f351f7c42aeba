import { createCipheriv, createHash, createHmac } from "node:crypto";
import { type FakeFormat, lastModified, type UrlRules } from "./video.ts";

/** What a URL of googlevideo's was made for. */
export interface Grant {
  readonly url: string;
  readonly videoId: string;
  readonly client: string;
  readonly format: FakeFormat;
  readonly rules: UrlRules;
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly ip: string;
  readonly signature: string;
  /** What `n` must have become. */
  readonly n?: string;
  readonly dead: boolean;
}

const MAX_FILES = 20;
const files = new Map<string, Uint8Array>();

/** The bytes of a file: the same for the same video, itag and lmt, whoever asks. Not to be written to. */
export function bytesOf(videoId: string, format: FakeFormat): Uint8Array {
  const name = `${videoId}/${format.itag}/${lastModified(format)}/${format.size}`;
  const known = files.get(name);
  if (known !== undefined) return known;
  const key = createHash("sha256").update(name).digest();
  const cipher = createCipheriv("aes-128-ctr", key.subarray(0, 16), key.subarray(16));
  const bytes = cipher.update(new Uint8Array(format.size));
  const [oldest] = files.keys();
  if (files.size >= MAX_FILES && oldest !== undefined) files.delete(oldest);
  files.set(name, bytes);
  return bytes;
}

export function sign(path: string): string {
  return createHmac("sha256", "googlevideo").update(path).digest("hex").slice(0, 40);
}

/** A bounded range, inclusive ends; "open" without an end; undefined for none, or what is none. */
export function parseRange(header: string | undefined): { from: number; to: number } | "open" | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  if (from === undefined) return undefined;
  return to === "" || to === undefined ? "open" : { from: Number(from), to: Number(to) };
}

export type Judged =
  /** `to`: the last byte that is served. */
  | { readonly status: 206; readonly to: number; readonly why?: undefined }
  | { readonly status: 403 | 416; readonly why: string };

/** Googlevideo's verdict on a bounded range of a URL that it knows. */
export function judge(
  grant: Grant,
  url: URL,
  range: { from: number; to: number },
  about: { readonly now: number; readonly ip: string; readonly maxRange: number },
): Judged {
  const { rules, format } = grant;
  const refused = (why: string): Judged => ({ status: 403, why });
  const length = range.to - range.from + 1;
  if (url.searchParams.get("sig") !== grant.signature) return refused("signature");
  if (grant.n !== undefined && url.searchParams.get("n") !== grant.n) return refused("n");
  if (about.now >= grant.expiresAt) return refused("expired");
  if (grant.ip !== about.ip) return refused("ip");
  if (grant.dead) return refused("dead");
  if (length > (rules.maxRange ?? about.maxRange)) return refused("range too large");
  const last = Math.min(range.to, format.size - 1);
  const { at, crossing } = wallOf(rules);
  if (range.from >= at || (last >= at && crossing === "refused")) return refused("beyond the first part");
  if (range.from >= format.size) return { status: 416, why: "beyond the end" };
  return { status: 206, to: Math.min(last, at - 1) };
}

function wallOf({ upTo = Number.POSITIVE_INFINITY }: UrlRules): { at: number; crossing: "short" | "refused" } {
  return typeof upTo === "number" ? { at: upTo, crossing: "short" } : upTo;
}
