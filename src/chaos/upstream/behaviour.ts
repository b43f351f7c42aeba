import type { Version } from "./bytes.ts";

/**
 * Where a response is disturbed: instead of the headers, after so many bytes of its body, or where its body reaches an
 * offset of the resource (never, if it does not).
 */
export type At = "headers" | number | { readonly offset: number };

/** What to do with one request, instead of or besides answering it properly. Everything composes. */
export interface Behaviour {
  // Before the answer
  /** Milliseconds before the headers. */
  readonly latency?: number;

  // Another resource
  /** The file has changed: other bytes, another ETag, and the same length unless `size` says otherwise. */
  readonly version?: Version;
  /** The file has another length, in bytes. */
  readonly size?: number;

  // Another answer
  /** A short text with this status; 200 and 206 only replace the status of the proper answer. */
  readonly status?: number;
  /** Retry-After: seconds, or a date. */
  readonly retryAfter?: number | string | Date;
  /** A 200 that is not the resource: a login page, an error as JSON. */
  readonly page?: "html" | "json" | { readonly contentType: string; readonly text: string };
  readonly redirect?: Redirect;
  /** 403 (also to HEAD) unless a bounded range of at most this many bytes is asked for. */
  readonly rangeLimit?: number;
  /** Nothing from this offset on: 403 to what starts there; what crosses it is cut short cleanly, or refused too. */
  readonly wall?: number | { readonly at: number; readonly crossing?: "short" | "refuse"; readonly status?: number };
  /** 416 with the true size, with another one, or without Content-Range. */
  readonly unsatisfiable?: true | number | "bare";

  // The proper answer, bent
  /** Headers to add, replace, or (null) leave out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** 200 with everything. */
  readonly ignoreRange?: true;
  /** Bytes of a range moved by so much, truthfully labelled. */
  readonly shiftRange?: number;
  /** The label of a range alone: left out, moved by `shift`, with another total, as asked for, or as given. */
  readonly contentRange?:
    | "missing"
    | "asked"
    | { readonly shift?: number; readonly total?: number | "*" }
    | { readonly as: string };
  /** The range as the only part of a multipart/byteranges. */
  readonly multipart?: true;
  /** A clean answer with only the first so many of the bytes asked for. */
  readonly truncate?: number;
  /**
   * So many bytes after the range: counted in Content-Length (default), in Content-Range as well, or raw on the wire
   * after the body's end.
   */
  readonly surplus?: number | { readonly bytes: number; readonly counted: "length" | "range" | "raw" };
  /** A content coding that nobody asked for. */
  readonly encode?: "gzip" | "br" | "deflate";
  /** Wrong by `add`, as given, absent (the end of the connection ends the body), or replaced by chunks. */
  readonly contentLength?: { readonly add: number } | { readonly as: number } | "close" | "chunked";
  /** Other bytes in each answer, all or those in [from, to), and no validators: inserted advertisements. */
  readonly vary?: true | { readonly from: number; readonly to: number };

  // The body on its way
  /** RST. */
  readonly reset?: At;
  /** FIN. */
  readonly close?: At;
  /** The socket stays open and silent, until `release()`. */
  readonly stall?: At;
  /** Silence for a while. */
  readonly pause?: { readonly at: At; readonly ms: number };
  /** From there on, so many bytes a second. */
  readonly trickle?: { readonly at: At; readonly rate: number };
  /** Bytes a second. */
  readonly pace?: number;
}

export interface Redirect {
  /** 301, 302 (default), 303, 307 or 308. */
  readonly status?: number;
  /**
   * Where to: a URL; `elsewhere` for the same path on another port of this machine, the next one each time. Default:
   * this server.
   */
  readonly to?: string;
  /** How many redirects in a row lead to the resource, on this server. Default 1; of no use with `to`. */
  readonly chain?: number;
  /** It never ends. */
  readonly loop?: true;
}
