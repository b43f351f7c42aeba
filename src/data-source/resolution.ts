import type { Quality } from "./quality.ts";

/** Where the bytes of a track are to be had now, and what is known of them. See the contract in `docs/resolvers.md`. */
export interface Resolution {
  /** http: or https:. */
  readonly url: string;
  /** Sent with every request for these bytes. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Names the exact bytes: equal variant, equal bytes. */
  readonly variant?: string;
  /** Where no variant is named: the upstream's validators of another scope, though equal, are of other bytes. */
  readonly validatorScope?: string;
  /** Bytes. A hint, trusted only until the bytes say otherwise. */
  readonly contentLength?: number;
  readonly contentType?: string;
  /** Epoch milliseconds; the URL is not used after it. */
  readonly expiresAt?: number;
  /** The largest range to ask for in one request, in bytes. */
  readonly maxWindow?: number;
  /** The id these bytes really belong to; another than the one asked for is refused. */
  readonly id?: string;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
}

/** Why a resolver is asked. */
export type ResolveReason = "first" | "expired" | "forbidden" | "not-found" | "mismatch";

export interface ResolveRequest {
  readonly signal: AbortSignal;
  /** Counts from 1 within one need for bytes, so that a resolver can try another way each time. */
  readonly attempt: number;
  readonly reason: ResolveReason;
  readonly quality?: Quality;
  /**
   * The variant whose bytes are wanted: some are held, or playing. Another one can only begin anew. A name that ends with a
   * slash is a `validatorScope`, of bytes that the upstream named.
   */
  readonly variant?: string;
}

/**
 * Turns an id into a Resolution.
 *
 * Throws an AfterbayError: `not-found` (no such id), `unplayable` (can never play), `url-refused` (may not), anything
 * else is taken for transient. Must end soon after `signal` aborts.
 */
export interface Resolver {
  resolve(id: string, request: ResolveRequest): Promise<Resolution>;
  /** The tracks of a source that knows them. */
  list?(): Promise<readonly CatalogueTrack[]>;
  /**
   * The id by which a track is kept, of whatever else names it (a link, say), and of such an id itself. Undefined for what
   * names nothing here, which is then taken for an id as it is. Quick, asks nobody and never throws.
   */
  canonical?(text: string): string | undefined;
  /** The tracks that fit some words, the best first; none is no error. Throws as `resolve` does. */
  search?(words: string, request: FindRequest): Promise<readonly CatalogueTrack[]>;
  /**
   * The tracks that an id stands for, in order, where it is one of a list of tracks: a playlist, an album. Undefined where
   * it is not. Rejects as `resolve` does.
   */
  expand?(id: string, request: FindRequest): Promise<readonly CatalogueTrack[]> | undefined;
  /** What to play after a track, the most alike first, without the track itself. Throws as `resolve` does. */
  similar?(id: string, request: FindRequest): Promise<readonly CatalogueTrack[]>;
  /** `host:port` pairs that the user configured: exempt from the ban on private addresses. */
  readonly hosts?: readonly string[];
  /** The largest range to ask this source's upstreams for in one request, in bytes. Default 8 MiB. */
  readonly maxWindow?: number;
  /** Resolvers of one family give the same names to the same bytes. Default: a family of its own. */
  readonly variantFamily?: string;
  /** The files of a source whose tracks are on this machine: served from where they are, never resolved or cached. */
  readonly local?: LocalFiles;
  close?(): Promise<void>;
}

/** How tracks are looked for. */
export interface FindRequest {
  readonly signal: AbortSignal;
  /** At most so many are of use. */
  readonly limit: number;
}

/** Tracks that are files of this machine. */
export interface LocalFiles {
  /** Throws `not-found` for an unknown id, or the signal's reason. */
  open(id: string, options: { readonly signal: AbortSignal }): Promise<LocalFile>;
  /** The cover; undefined without one. Throws `not-found` for an unknown id. Absent: there are none. */
  artwork?(id: string): Promise<Artwork | undefined>;
}

/** A cover. */
export interface Artwork {
  /** One of image/jpeg, image/png, image/gif, image/webp: by the bytes, not by what others call them. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

/** One version of a local track, open. */
export interface LocalFile extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  readonly contentType: string;
  readonly variant: string;
  /** Bytes [start, end), once, pulled. Throws before it yields a byte of another version. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** A track as a source lists it. */
export interface CatalogueTrack {
  readonly id: string;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
  /** Bytes, where known. */
  readonly size?: number;
  readonly contentType?: string;
}
