import type { Quality } from "./quality.ts";
import type { Need } from "./need.ts";
import type { Resolution } from "./resolution.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;
/** The unit of the cache, and the grid on which windows end. */
export const CHUNK_SIZE = 512 * KiB;

/** How urgent upstream work is; lower is more urgent. */
export const Priority = {
  playback: 0,
  head: 1,
  body: 2,
  background: 3,
  /** Nobody waits for it any more; it only runs out, and is the first to give way. */
  abandoned: 4,
} as const;
export type Priority = (typeof Priority)[keyof typeof Priority];

/** The names of a track: the source's key and the id within it. Opaque to everything but the resolver. */
export interface TrackKey {
  readonly source: string;
  readonly id: string;
}

/**
 * What the bytes must agree with: what is known of the variant they are to be added to. A layer that finds an answer to
 * disagree throws `variant-changed` before it yields a byte.
 */
export interface Expectation {
  readonly variant?: string;
  /** What the resolver called it, where the resolver named it: then this is held against resolutions. */
  readonly resolverVariant?: string;
  /** Total size of the resource in bytes. */
  readonly size?: number;
  readonly validator?: Validator;
}

/**
 * What one upstream answer says of its own identity (RFC 9110, section 8.8).
 * `origin` names where it came from (scheme, host, path): validators of different places are never compared.
 */
export interface Validator {
  readonly origin: string;
  /** A strong entity tag, with its quotes. Weak tags are left out: they do not name bytes. */
  readonly etag?: string;
  readonly lastModified?: string;
}

/** One upstream request: bytes from `start` (inclusive) to `end` (exclusive; absent: to the end of the resource). */
export interface Window {
  readonly start: number;
  readonly end?: number;
}

/**
 * Permission to make one upstream request. `end` may be nearer than the one asked for; if it is not above `start`,
 * nothing is wanted any more and the body ends. `release` must be called once, when the request is over; `cut` says that
 * it was ended from this side, so that the upstream may take a moment to notice.
 */
export interface Admission {
  readonly end?: number | undefined;
  release(cut: boolean): void;
}

/** A priority that can change while work waits or runs: what playback joins is promoted. */
export class Urgency {
  #level: Priority;
  readonly #listeners = new Set<() => void>();

  constructor(level: Priority) {
    this.#level = level;
  }

  get level(): Priority {
    return this.#level;
  }

  set level(level: Priority) {
    if (level === this.#level) return;
    this.#level = level;
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A track that is about to be wanted. */
export interface Upcoming extends TrackKey {
  readonly quality?: Quality;
  /** The one whose bytes are held already, as the resolver named it. */
  readonly variant?: string | undefined;
  /** Told of what is done. */
  readonly need?: Need;
}

/** What is wanted of a track. */
export interface DataSpec extends TrackKey {
  readonly quality?: Quality;
  /** The first byte wanted, from 0, inclusive. */
  readonly position: number;
  /** The end of what is wanted, exclusive. Absent: to the end of the resource. */
  readonly end?: number;
  /** Counts tries for this hole; any byte that arrives resets it. */
  readonly need: Need;
  readonly expect?: Expectation;
  /** Asked before every upstream request; may wait. Absent: granted at once. */
  readonly admit?: (window: Window, signal: AbortSignal) => Promise<Admission>;
  readonly urgency?: Urgency;
  /** True while a reader waits for the very next byte: stalls are then judged sooner. */
  readonly urgent?: () => boolean;
  /**
   * Bytes known to stand right before `position`. Given where nothing names the bytes: the upstream's must begin with
   * the same, else `variant-changed`.
   */
  readonly overlap?: Uint8Array;
}

/** A spec below the resolving layer: it has a URL. */
export interface ResolvedSpec extends DataSpec {
  readonly resolution: Resolution;
  /**
   * Asked before each request, which may have waited long for its turn: another resolution to make it with when the life
   * of the one in use is over; undefined while it serves. Absent: it always does.
   */
  readonly renew?: () => Promise<Resolution> | undefined;
  /** Ask without a Range: the whole resource is the answer. */
  readonly whole?: boolean;
}

/** An open stretch of a track. */
export interface Opened extends AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * Offset of the body's first byte. Equal to the spec's position, but 0 where the upstream answered a range with the
   * whole resource: the caller then skips, or keeps, what comes before.
   */
  readonly start: number;
  /** True if the upstream honoured the range, or no range was needed. */
  readonly ranged: boolean;
  /** Total size of the resource in bytes, where the upstream's answer gave it. */
  readonly size?: number;
  readonly contentType?: string;
  /** The name of these exact bytes: the resolver's, else one made of validators. Absent: nothing names them. */
  readonly variant?: string;
  readonly validator?: Validator;
  /** What the resolver said of the track, for display and as hints. */
  readonly resolution?: Resolution;
  /**
   * True from the moment the body has ended in a way that proves where the resource ends (Content-Length reached, last
   * chunk received). Only then may a size be learned from the number of bytes.
   */
  readonly endsCleanly: () => boolean;
  /** The bytes, once, in order. Ends at `end`, at the resource's end, or throws; never yields an empty chunk. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Where bytes come from. The contract, which `test/helpers/data-source-contract.ts` checks of every implementation:
 *
 * - `open` settles when size, type and variant are known as well as they will be, before the first byte is pulled. It
 *   throws an {@link AfterbayError}, or the signal's reason.
 * - A position at or past the end is not an error where the size is known: the body is empty.
 * - The body is pulled: nothing is read ahead of the consumer but what one read returned. It may be iterated once.
 * - An abort of `signal` ends a pending `open` or read with the signal's reason and frees everything at once.
 * - Whoever gets an Opened must dispose of it, also when its body was never started (a generator that was not started
 *   skips its `finally`). Disposing twice is harmless; an exhausted or failed body has freed its upstream already.
 *
 * After androidx/media `DataSource`, whose contract this follows.
 */
export interface DataSource<Spec extends DataSpec = DataSpec> {
  open(spec: Spec, options: { readonly signal: AbortSignal }): Promise<Opened>;
  /**
   * Told that a track will be opened soon: asks for its URL in the background, if there is none or the life of the one
   * there is nears its end. Fetches no bytes and never throws: whoever needs them learns what is wrong. Absent: no need.
   */
  prepare?(track: Upcoming): void;
}
