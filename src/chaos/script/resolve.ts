import type { Edition } from "../upstream/resource.ts";
import { headers, headerValue, status, version, counted } from "./faults.ts";
import {
  anyText,
  choice,
  count,
  duration,
  finite,
  list,
  needed,
  object,
  orNull,
  type Reader,
  size,
  text,
  yes,
} from "./reader.ts";

/** Fields of the resolution that are another than the proper one's; null leaves a field out. */
export interface ResolutionChanges {
  readonly url?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly variant?: string | null;
  readonly contentLength?: number | null;
  readonly contentType?: string | null;
  /** Milliseconds from now; `expiresAt` is made of it. */
  readonly expiresIn?: number;
  readonly maxWindow?: number;
  readonly id?: string;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
}

/** What the resolver does with one call, instead of or besides answering properly. */
export interface ResolverBehaviour extends Edition {
  /** Milliseconds before the answer. */
  readonly latency?: number;
  /** No answer, ever. */
  readonly hang?: true;
  readonly status?: number;
  /** Seconds. */
  readonly retryAfter?: number;
  /** 410, with these words. */
  readonly unplayable?: string;
  /** The body as it is, which need not be JSON. */
  readonly body?: string;
  readonly resolution?: ResolutionChanges;
}

export interface ResolverRule {
  /** All that are given must hold. */
  readonly when?: {
    /** The call's number for this track, from 1, or an inclusive range of it. */
    readonly call?: number | { readonly from?: number; readonly to?: number };
    readonly attempt?: number | { readonly from?: number; readonly to?: number };
    readonly reason?: string;
    readonly quality?: string;
  };
  readonly times?: number;
  readonly do: ResolverBehaviour;
}

export const resolution: Reader<ResolutionChanges> = object({
  url: orNull(anyText),
  headers: headers(headerValue),
  variant: orNull(anyText),
  contentLength: orNull(size),
  contentType: orNull(anyText),
  expiresIn: duration,
  maxWindow: size,
  id: anyText,
  title: anyText,
  artist: anyText,
  album: anyText,
  durationMs: finite,
  artwork: anyText,
  loudnessDb: finite,
});

const rule: Reader<ResolverRule> = (value, at) => {
  const read = object({
    when: object({
      call: counted,
      attempt: counted,
      reason: choice("first", "expired", "forbidden", "not-found", "mismatch"),
      quality: choice("low", "medium", "high", "ultra"),
    }),
    times: count,
    do: object({
      latency: duration,
      hang: yes,
      status,
      retryAfter: size,
      unplayable: text,
      body: anyText,
      version,
      size,
      resolution,
    }),
  })(value, at);
  return { ...read, do: needed(read.do, at, "do") };
};

export const resolverRules = list(rule);
