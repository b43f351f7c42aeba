import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import { deferred } from "../data-source/aborting.ts";
import { KiB, Priority } from "../data-source/data-source.ts";
import { Need } from "../data-source/need.ts";
import type { Fill, OnFollow } from "./fill.ts";
import type { LiveVariant } from "./live-variant.ts";

export interface ReaderOptions {
  /** First byte, inclusive. */
  readonly start: number;
  /** Exclusive; Infinity: to the end of the resource. */
  readonly end: number;
  readonly level: Priority;
  readonly signal: AbortSignal;
  /** Never starts a fill. */
  readonly offline?: boolean;
  /** The consumer is done with each chunk before it pulls the next: then one buffer serves the whole reading. */
  readonly reuseBuffer?: boolean;
  readonly now: () => number;
  /** The fill that was waited for already, to learn which variant this is. */
  readonly fill?: Fill;
  readonly onFollow?: OnFollow;
}

/** Bytes given at once: what each of hundreds of slow readers holds. More would hardly be faster. */
const READ_SIZE = 64 * KiB;
/**
 * A reading that goes on for this long is no probe, and a look is taken at what it will need; then again as often, ms.
 * Whoever opens thirty tracks for their heads reads faster, or stops.
 */
const LOOK_AFTER_MS = 250;
const LOOK_EVERY_MS = 1000;
/** Fills that may end one after the other without bringing the byte that is waited for. */
const MAX_FRUITLESS = 3;

/** Where the bytes of a reading came from, and how long it took to get the first. */
export interface ReadingStats {
  diskBytes: number;
  /** From what others had fetched, and was not on disk yet. */
  memoryBytes: number;
  /** From what this reading waited for. */
  upstreamBytes: number;
  /** Ms that the first byte took from the disk, and from the upstream with the resolver's share in it. */
  cacheMs?: number;
  upstreamMs?: number;
  resolveMs?: number;
}

/**
 * One reader of a variant: takes each byte from a fill's memory, else from disk, else waits for a fill that brings it.
 * Pulled: holds nothing but what it gave last.
 */
export class VariantReader implements AsyncIterableIterator<Uint8Array> {
  readonly stats: ReadingStats = { diskBytes: 0, memoryBytes: 0, upstreamBytes: 0 };
  readonly end: number;
  level: Priority;
  /** The next byte to give. */
  position: number;
  /** Set when it has waited so long that whoever reads may leave and come back for the same bytes. */
  patient = false;
  /** The fill that this reader waits for, while it does. */
  waitingFor: Fill | undefined;

  readonly #variant: LiveVariant;
  readonly #options: ReaderOptions;
  #ahead: Need | undefined;
  #wake = deferred();
  #failure: unknown;
  #lastFill: Fill | undefined;
  #done = false;
  #buffer: Buffer | undefined;
  /** When to look ahead next, monotonic ms; undefined before the first byte. */
  #lookAt: number | undefined;

  constructor(variant: LiveVariant, options: ReaderOptions) {
    this.#variant = variant;
    this.#options = options;
    this.position = options.start;
    this.end = options.end;
    this.level = options.level;
    this.#lastFill = options.fill;
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** What is done for bytes that this reading will want later on. */
  get ahead(): Need {
    if (this.#ahead === undefined) {
      this.#ahead = new Need(this.#options.now);
      this.#options.onFollow?.(this.#ahead, undefined);
    }
    return this.#ahead;
  }

  /** Bytes given so far. */
  get received(): number {
    return this.position - this.#options.start;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.#pull();
    } catch (error) {
      this.close();
      throw error;
    }
    if (bytes !== undefined) return { done: false, value: bytes };
    this.close();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Ends it; needed also if nothing was read. Calling it again does nothing. */
  close(): void {
    if (this.#done) return;
    this.#done = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#variant.onReaderEnd(this);
    this.waitingFor = undefined;
    this.wake();
  }

  wake(): void {
    const waking = this.#wake;
    this.#wake = deferred();
    waking.resolve();
  }

  fail(error: unknown): void {
    this.#failure = error;
    this.wake();
  }

  readonly #onAbort = (): void => {
    this.close();
  };

  async #pull(): Promise<Uint8Array | undefined> {
    const began = this.#options.now();
    for (let fruitless = 0; ; ) {
      if (this.#options.signal.aborted) throw this.#reasonToEnd();
      if (this.#done || this.position >= this.end || this.#variant.endsAt(this.position)) return undefined;
      const room = Math.min(this.end - this.position, READ_SIZE);
      const awaited = this.#lastFill?.slice(this.position, room);
      if (awaited !== undefined) return this.#give(awaited, "upstream", began);
      const others = this.#variant.fromMemory(this.position, room);
      if (others !== undefined) return this.#give(others, "memory", began);
      if (this.#variant.stored.contiguousEnd(this.position) > this.position) {
        if (this.#options.reuseBuffer === true) this.#buffer ??= Buffer.allocUnsafeSlow(READ_SIZE);
        const kept = await this.#variant.fromStore(this.position, room, this.#buffer);
        if (kept !== undefined) return this.#give(kept, "disk", began);
        continue;
      }
      if (this.#options.offline === true) throw new AfterbayError("not-cached", "These bytes are not in the cache");
      const before = this.position;
      const fill = this.#variant.fillFor(this.position, this.level);
      await this.#waitFor(fill);
      const brought = fill.position > before || !fill.ended;
      fruitless = brought ? 0 : fruitless + 1;
      if (fruitless > MAX_FRUITLESS) throw new AfterbayError("transient", "The upstream does not send these bytes");
    }
  }

  /** What failed upstream is a better reason than that it took too long. */
  #reasonToEnd(): unknown {
    const reason = abortReason(this.#options.signal);
    return isAfterbayError(reason, "upstream-timeout") ? (this.#lastFill?.need.lastFailure ?? reason) : reason;
  }

  async #waitFor(fill: Fill): Promise<void> {
    this.waitingFor = fill;
    if (fill !== this.#lastFill) fill.follow(this.#options.onFollow);
    this.#lastFill = fill;
    const woken = this.#wake.promise;
    this.#variant.onReaderWaits();
    await woken;
    if (this.stats.resolveMs === undefined && fill.need.resolveMs !== undefined) {
      this.stats.resolveMs = fill.need.resolveMs;
    }
    this.waitingFor = undefined;
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failure instanceof Error
        ? failure
        : new AfterbayError("transient", "The upstream failed", { cause: failure });
    }
  }

  #give(bytes: Uint8Array, from: "disk" | "memory" | "upstream", began: number): Uint8Array {
    const now = this.#options.now();
    this.position += bytes.length;
    if (from === "disk") {
      this.stats.diskBytes += bytes.length;
      this.stats.cacheMs ??= now - began;
    } else {
      if (from === "memory") this.stats.memoryBytes += bytes.length;
      else this.stats.upstreamBytes += bytes.length;
      this.stats.upstreamMs ??= now - began;
    }
    this.#variant.onReaderMoved();
    this.#lookAhead(now);
    return bytes;
  }

  #lookAhead(now: number): void {
    if (this.level !== Priority.playback || this.#options.offline === true) return;
    this.#lookAt ??= now + LOOK_AFTER_MS;
    if (now < this.#lookAt) return;
    this.#lookAt = now + LOOK_EVERY_MS;
    this.#variant.prepareFor(this);
  }
}
