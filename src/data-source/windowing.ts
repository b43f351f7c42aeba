import { AfterbayError, isAfterbayError } from "../errors.ts";
import {
  type Admission,
  CHUNK_SIZE,
  type DataSource,
  KiB,
  MiB,
  type Opened,
  type ResolvedSpec,
} from "./data-source.ts";
import { emptyOpened, withBody } from "./opened.ts";
import { expectationOf } from "./resuming.ts";
import { DEFAULT_MAX_WINDOW, WINDOW_FLOOR, type WindowLimits } from "./window-limits.ts";

export interface WindowingOptions {
  readonly limits: WindowLimits;
  /** Largest window in bytes, where neither the resolution nor experience says less. */
  readonly maxWindow?: number;
}

/** The first window ends at the first chunk boundary at least this far away. */
const FIRST_WINDOW_MIN = 64 * KiB;
/** Instead of skipping this much of a whole resource, bytes, a URL that did ranges before is asked once more. */
const INSIST_MIN = MiB;

/**
 * Asks for bounded windows only: the first ends at the first chunk boundary at least 64 KiB away, each next one doubles,
 * and opens when the one before has ended and `admit` lets it. A refused window is tried once more, smaller, on the same
 * URL. An answer that ignores the range is passed on whole; if it comes from a URL that did ranges and much of
 * it would have to be skipped, it is asked for once more. Where nothing names the bytes, each answer may be another
 * version: then one open-ended request replaces the windows.
 */
export function windowing(
  upstream: DataSource<ResolvedSpec>,
  { limits, maxWindow = DEFAULT_MAX_WINDOW }: WindowingOptions,
): DataSource<ResolvedSpec> {
  return {
    async open(spec, { signal }) {
      const series = new WindowSeries(upstream, limits, maxWindow, spec, signal);
      const first = await series.next();
      const { size } = spec.expect ?? {};
      if (first === undefined) return emptyOpened(spec.position, size === undefined ? {} : { size });
      return withBody(first, {
        endsCleanly: () => series.endsCleanly,
        body: series.body(first),
        dispose: () => series.dispose(),
      });
    },
  };
}

class WindowSeries {
  readonly #upstream: DataSource<ResolvedSpec>;
  readonly #limits: WindowLimits;
  readonly #maxWindow: number;
  readonly #signal: AbortSignal;
  /** What the next request is to say: it expects what the first answer said, and its URL may be a renewed one. */
  #spec: ResolvedSpec;
  /** Largest window to ask for, bytes. */
  #ceiling = 0;
  /** Largest window that this URL honoured, bytes. */
  #honoured = 0;
  /** Smallest window that this URL refused although it accepted a smaller one, bytes. */
  #refused = Number.POSITIVE_INFINITY;
  #position: number;
  /** Lengths of the last answered window, and of the one that was asked for last, bytes. */
  #lastLength = 0;
  #askedLength = 0;
  #openEnded = false;
  /** Where a range was asked for once more, since the answer ignored it. */
  #insistedAt = -1;
  /** Open-ended only since other answers of this host were. */
  #presumed = false;
  #current: { opened: Opened; exhausted: boolean; release(): void } | undefined;
  #latest: Opened | undefined;
  #size: number | undefined;
  #disposed = false;

  constructor(
    upstream: DataSource<ResolvedSpec>,
    limits: WindowLimits,
    maxWindow: number,
    spec: ResolvedSpec,
    signal: AbortSignal,
  ) {
    this.#upstream = upstream;
    this.#limits = limits;
    this.#maxWindow = maxWindow;
    this.#spec = spec;
    this.#signal = signal;
    this.#position = spec.position;
    this.#size = spec.expect?.size;
    this.#beginUrl();
  }

  /** True once the last answer has ended at a proven end of the resource. */
  get endsCleanly(): boolean {
    return this.#latest?.endsCleanly() ?? false;
  }

  /** Opens the next window, or answers undefined if nothing more is wanted. */
  async next(): Promise<Opened | undefined> {
    try {
      return await this.#open();
    } catch (error) {
      if (!isAfterbayError(error, "url-refused") || error.status !== 403) throw error;
      if (this.#presumed) {
        // Others of this host are named by nothing; this one may be, and allow windows alone.
        this.#presumed = false;
        this.#openEnded = false;
        return await this.next();
      }
      if (this.#openEnded) throw error;
      const smaller = this.#honoured > 0 ? this.#honoured : WINDOW_FLOOR;
      if (this.#askedLength <= smaller) {
        this.#unlearn();
        throw error;
      }
      return await this.#openSmaller(smaller, error);
    }
  }

  async *body(first: Opened): AsyncGenerator<Uint8Array> {
    this.#position = first.start;
    try {
      for (let opened: Opened | undefined = first; opened !== undefined; opened = await this.next()) {
        const before = this.#position;
        // A later window may be answered with the whole resource: what came already is skipped.
        let at = opened.start;
        for await (const chunk of opened.body) {
          const skip = Math.min(chunk.length, this.#position - at);
          at += chunk.length;
          if (skip === chunk.length) continue;
          this.#position += chunk.length - skip;
          yield skip === 0 ? chunk : chunk.subarray(skip);
        }
        if (this.#current !== undefined) this.#current.exhausted = true;
        await this.#free();
        if (!opened.ranged || this.#openEnded) return;
        const end = Math.min(this.#spec.end ?? Number.POSITIVE_INFINITY, this.#size ?? Number.POSITIVE_INFINITY);
        if (this.#position >= end) return;
        // It was to have all. What goes on here has to overlap what is kept, as a resume does.
        if (opened.variant === undefined) {
          throw new AfterbayError("transient", "The answer ended early, and nothing names its bytes");
        }
        if (this.#position === before) {
          throw new AfterbayError("transient", "The upstream answered a range with no bytes");
        }
      }
    } finally {
      await this.#free();
    }
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#free();
  }

  /** Frees the request that is open, and its place. */
  async #free(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.opened[Symbol.asyncDispose]();
    current?.release();
  }

  /** What is known of this URL's limits. */
  #beginUrl(): void {
    const { source, resolution, expect } = this.#spec;
    const max = this.#maxWindow;
    const learned = this.#limits.limit(source, resolution.url) ?? max;
    this.#ceiling = Math.max(WINDOW_FLOOR, Math.min(resolution.maxWindow ?? max, max, learned));
    this.#honoured = 0;
    this.#refused = Number.POSITIVE_INFINITY;
    const isNamed = resolution.variant !== undefined || expect?.variant !== undefined;
    this.#openEnded = !isNamed && this.#limits.isUnnamed(source, resolution.url);
    this.#presumed = this.#openEnded;
  }

  async #openSmaller(length: number, firstError: unknown): Promise<Opened | undefined> {
    const { resolution } = this.#spec;
    const refused = this.#askedLength;
    let opened: Opened | undefined;
    try {
      opened = await this.#open(length);
    } catch (error) {
      if (!isAfterbayError(error, "url-refused")) throw error;
      // Refused as well: it is not the size. The first refusal is the one to act on.
      this.#unlearn();
      throw firstError;
    }
    if (opened?.ranged === true && this.#spec.resolution === resolution) {
      this.#refused = Math.min(this.#refused, refused);
      this.#limits.confirm(this.#spec.source, resolution.url, this.#lastLength, refused);
    }
    return opened;
  }

  /** What is refused now is no larger than what was accepted: the refusals before were not about the size either. */
  #unlearn(): void {
    if (this.#refused === Number.POSITIVE_INFINITY) return;
    this.#refused = Number.POSITIVE_INFINITY;
    this.#limits.withdraw(this.#spec.source, this.#spec.resolution.url);
  }

  /** Asks for the window that is next by plan, and of that at most `most` bytes. */
  async #open(most = Number.POSITIVE_INFINITY): Promise<Opened | undefined> {
    const start = this.#position;
    let end = Number.POSITIVE_INFINITY;
    let admission: Admission;
    for (let renewed = false; ; renewed = true) {
      end = Math.min(this.#plan() ?? Number.POSITIVE_INFINITY, start + most);
      admission = await this.#admit(start, end);
      end = Math.min(end, admission.end ?? Number.POSITIVE_INFINITY);
      // Once at most: a resolver whose URLs live for a moment is not asked again for the same window.
      const renewal = renewed || end <= start ? undefined : this.#spec.renew?.();
      if (renewal === undefined) break;
      // It waited so long for its turn that the URL's life is over. No place is held while another is asked for.
      admission.release(false);
      this.#spec = { ...this.#spec, resolution: await renewal };
      this.#beginUrl();
    }
    if (end <= start) {
      admission.release(false);
      return undefined;
    }
    this.#askedLength = end - start;
    let opened: Opened;
    try {
      opened = await this.#request(start, end);
    } catch (error) {
      admission.release(this.#signal.aborted || wasAnswered(error));
      throw error;
    }
    if (this.#needsAll(opened, start, end)) {
      // Another window might be cut from another version: this answer is dropped, unread, for one that has it all.
      await opened[Symbol.asyncDispose]();
      admission.release(true);
      this.#limits.markUnnamed(this.#spec.source, this.#spec.resolution.url);
      this.#openEnded = true;
      return await this.#open();
    }
    if (this.#skipsMuch(opened, start)) {
      await opened[Symbol.asyncDispose]();
      admission.release(true);
      this.#insistedAt = start;
      return await this.#open(most);
    }
    await this.#hold(opened, admission);
    this.#size ??= opened.size;
    this.#spec = { ...this.#spec, expect: expectationOf(opened, this.#spec.expect) };
    if (opened.ranged && !this.#openEnded) {
      this.#lastLength = end - start;
      this.#honoured = Math.max(this.#honoured, this.#lastLength);
      this.#limits.accepted(this.#spec.source, this.#spec.resolution.url, this.#lastLength);
    }
    return opened;
  }

  /** Makes it the current one. An abort gives its place back at once, not when somebody reads on. */
  async #hold(opened: Opened, admission: Admission): Promise<void> {
    const onAbort = (): void => void this.#free();
    const current = {
      opened,
      exhausted: false,
      release: (): void => {
        this.#signal.removeEventListener("abort", onAbort);
        admission.release(!current.exhausted);
      },
    };
    this.#latest = opened;
    this.#current = current;
    if (this.#disposed || this.#signal.aborted) await this.#free();
    else this.#signal.addEventListener("abort", onAbort, { once: true });
  }

  /** `end` is exclusive, and Infinity where a request is to be open-ended. */
  async #request(start: number, end: number): Promise<Opened> {
    const { end: _wanted, ...spec } = this.#spec;
    const about = { ...spec, position: start };
    if (this.#openEnded) return await this.#upstream.open(about, { signal: this.#signal });
    const bounded = end === Number.POSITIVE_INFINITY ? about : { ...about, end };
    return await this.#upstream.open(bounded, { signal: this.#signal });
  }

  /** True for an answer that ignores the range, and would keep the reader waiting for bytes that it has already. */
  #skipsMuch({ ranged, start: first }: Opened, start: number): boolean {
    return (
      !ranged && !this.#openEnded && this.#honoured > 0 && this.#insistedAt !== start && start - first >= INSIST_MIN
    );
  }

  /** True for a part that nothing names. */
  #needsAll({ variant, ranged, size }: Opened, start: number, end: number): boolean {
    if (this.#openEnded || variant !== undefined || !ranged) return false;
    return size === undefined || start > 0 || end < size;
  }

  async #admit(start: number, end: number): Promise<Admission> {
    const window = end === Number.POSITIVE_INFINITY ? { start } : { start, end };
    return (await this.#spec.admit?.(window, this.#signal)) ?? { release() {} };
  }

  /** The exclusive end of the next window; undefined for an open-ended request. */
  #plan(): number | undefined {
    if (this.#openEnded) return undefined;
    const start = this.#position;
    const wish = this.#lastLength === 0 ? FIRST_WINDOW_MIN : this.#lastLength * 2;
    // A doubled window reaches up to a size that was refused, never again to it.
    const ceiling =
      this.#refused === Number.POSITIVE_INFINITY ? this.#ceiling : Math.max(this.#honoured, this.#refused / 2);
    let end = Math.ceil((start + Math.min(wish, ceiling)) / CHUNK_SIZE) * CHUNK_SIZE;
    if (end - start > ceiling) {
      const below = Math.floor((start + ceiling) / CHUNK_SIZE) * CHUNK_SIZE;
      end = below > start ? below : start + ceiling;
    }
    return Math.min(end, this.#spec.end ?? end, this.#size ?? end);
  }
}

/** True if the upstream was sending bytes that were not wanted: it takes a moment to notice that nobody reads them. */
function wasAnswered(error: unknown): boolean {
  if (isAfterbayError(error, "variant-changed", "unnamed")) return true;
  return isAfterbayError(error, "wrong-answer") && error.status !== undefined && error.status < 300;
}
