import { AfterbayError, isAfterbayError } from "../errors.ts";
import {
  CHUNK_SIZE,
  type DataSource,
  type Expectation,
  MiB,
  type Opened,
  Priority,
  type Validator,
} from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import { OVERLAP } from "../data-source/resuming.ts";
import type { StoredVariant } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { Fill, isAbort } from "./fill.ts";
import { type Span, subtract } from "./piece-table.ts";
import { VariantReader, type ReaderOptions } from "./variant-reader.ts";

/** What is known of a variant besides its bytes. */
export interface VariantFacts {
  /** Its name as the upstream's answers give it; undefined where nothing names it. */
  readonly upstreamName?: string;
  readonly resolverVariant?: string;
  readonly validator?: Validator;
  /** Bytes; learned from the upstream's answers only. */
  readonly size?: number;
  readonly contentType?: string;
}

/** A player that is this near to bytes that are missing will soon want them. */
const PREPARE_AHEAD = 4 * MiB;

/** Stands between a variant's name and what tells a later copy of the same bytes from it. */
export const COPY_MARK = "^";

export interface LiveVariantHooks {
  /** Bytes were stored, or lost if negative. */
  onStored(variant: LiveVariant, bytes: number): void;
  onStorageError(error: unknown): void;
  /** The upstream has other bytes for this track now. */
  onLost(variant: LiveVariant, error: AfterbayError): void;
  /** Facts changed, or it became complete. */
  onChanged(variant: LiveVariant): void;
  /** The resolver was asked again: what it says of the track may have changed. */
  onDescribed(variant: LiveVariant, opened: Opened): void;
  /** Nobody reads or fills it any more. */
  onIdle(variant: LiveVariant): void;
  /** False while the disk refuses writes. */
  isStoring(): boolean;
  now(): number;
  /** The returned function cancels. */
  after(ms: number, act: () => void): () => void;
}

export interface LiveVariantOptions {
  readonly name: VariantName;
  /** What the index calls it. */
  readonly stem: string;
  readonly quality?: Quality;
  readonly stored: StoredVariant;
  readonly facts: VariantFacts;
  readonly upstream: DataSource;
  readonly hooks: LiveVariantHooks;
  readonly dataSaver: boolean;
}

/**
 * One variant while it is in use: its stored bytes, the fills that bring more, and the readers that follow them. Each
 * missing byte is fetched once, however many readers want it.
 */
export class LiveVariant {
  readonly name: VariantName;
  readonly stem: string;
  readonly stored: StoredVariant;
  readonly dataSaver: boolean;
  /** Monotonic ms of the last reader's end; undefined before the first. */
  lastReadAt: number | undefined;
  /** The same, of those that read for a player. */
  lastPlayedAt: number | undefined;

  readonly #options: LiveVariantOptions;
  readonly #hooks: LiveVariantHooks;
  readonly #fills = new Set<Fill>();
  readonly #runs = new Set<Promise<void>>();
  readonly #readers = new Set<VariantReader>();
  #facts: VariantFacts;
  #holds = 0;
  /** Why no fill is begun any more. */
  #ended: Error | undefined;
  /** Answers to a range with the whole resource. */
  #wholeAnswers = 0;
  /** Where an answer of unknown length ended without proof that nothing is missing. */
  #unprovenEnd: number | undefined;

  constructor(options: LiveVariantOptions) {
    this.#options = options;
    this.#hooks = options.hooks;
    this.#facts = options.facts;
    this.name = options.name;
    this.stem = options.stem;
    this.stored = options.stored;
    this.dataSaver = options.dataSaver;
    if (options.facts.size !== undefined) this.stored.learnSize(options.facts.size);
  }

  get facts(): VariantFacts {
    return this.#facts;
  }

  get size(): number | undefined {
    return this.#facts.size;
  }

  get contentType(): string | undefined {
    return this.#facts.contentType;
  }

  /** The size is learned and every byte is stored. */
  get complete(): boolean {
    return this.size !== undefined && this.stored.hasAllChunks(this.size);
  }

  /** True where nothing names the bytes: each request may be answered with others. */
  get unnamed(): boolean {
    return this.#facts.upstreamName === undefined;
  }

  /** What names these bytes to clients: copies of the same bytes have the same. */
  get publicName(): string {
    return this.name.variant.split(COPY_MARK)[0] ?? "";
  }

  /** Someone reads, fills or holds it. */
  get busy(): boolean {
    return this.#readers.size > 0 || this.#fills.size > 0 || this.#holds > 0;
  }

  get isRead(): boolean {
    return this.#readers.size > 0;
  }

  get isPlayed(): boolean {
    for (const { level } of this.#readers) if (level === Priority.playback) return true;
    return false;
  }

  get storing(): boolean {
    return this.#hooks.isStoring();
  }

  /** Where fills run: [edge, end of the request), for a track's map. */
  fillSpans(): { start: number; end: number }[] {
    return [...this.#fills]
      .filter((fill) => !fill.ended)
      .map((fill) => ({ start: fill.position, end: Math.min(fill.windowEnd ?? fill.position, this.size ?? Infinity) }));
  }

  /** Keeps it from going idle until the returned function is called. */
  hold(): () => void {
    this.#holds += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds === 0 && this.#readers.size === 0) for (const fill of this.#fills) fill.stopUnread();
      this.#checkIdle();
    };
  }

  /** Reads [start, end), from disk, from memory and, where bytes are missing, from the upstream. */
  read(options: Omit<ReaderOptions, "now">): VariantReader {
    const reader = new VariantReader(this, { ...options, now: () => this.#hooks.now() });
    this.#readers.add(reader);
    return reader;
  }

  /** Goes on with a fill that was opened before it was known to belong here. */
  adopt(fill: Fill, opened: Opened): void {
    fill.attach(this);
    // Another request for the rest would be answered with other bytes.
    if (this.unnamed) fill.bound = Number.POSITIVE_INFINITY;
    this.#fills.add(fill);
    this.#track(this.#run(fill, opened));
  }

  /** Stops all fills. */
  stop(reason: Error): void {
    for (const fill of this.#fills) fill.stop(reason);
  }

  /** Stops all fills, and begins no more: whoever needs one gets the reason. */
  end(reason: Error): void {
    this.#ended = reason;
    this.stop(reason);
  }

  /** What is being fetched and written: each settles when all that came is stored. */
  get runs(): readonly Promise<void>[] {
    return [...this.#runs];
  }

  learnSize(size: number): void {
    if (this.size === size) return;
    this.#facts = { ...this.#facts, size };
    this.stored.learnSize(size);
    this.#hooks.onChanged(this);
    for (const reader of this.#readers) reader.wake();
  }

  endAt(position: number): void {
    this.#unprovenEnd = position;
    for (const reader of this.#readers) reader.wake();
  }

  /** True if nothing follows `position`. */
  endsAt(position: number): boolean {
    return this.size !== undefined ? position >= this.size : position === this.#unprovenEnd;
  }

  // What readers ask.

  /** Bytes at `position` from the memory of a fill, at most `max`. */
  fromMemory(position: number, max: number): Uint8Array | undefined {
    for (const fill of this.#fills) {
      const bytes = fill.slice(position, max);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  /** Bytes at `position` from the store, at most `max` and up to a chunk's end; undefined if they turned out bad. */
  async fromStore(position: number, max: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const index = Math.floor(position / CHUNK_SIZE);
    const from = position % CHUNK_SIZE;
    const end = Math.min(this.stored.contiguousEnd(position), position + max, (index + 1) * CHUNK_SIZE);
    const before = this.stored.bytes;
    const bytes = await this.stored.readChunk(index, from, from + end - position, into);
    if (bytes === undefined) {
      this.#hooks.onStored(this, this.stored.bytes - before);
      this.#hooks.onChanged(this);
    }
    return bytes;
  }

  /** The holes in [start, end) that neither the store nor a fill's memory can serve. */
  missing(start: number, end: number): Span[] {
    let holes = this.stored.missing(start, end);
    for (const { memoryStart, position } of this.#fills) {
      holes = holes.flatMap((hole) => subtract(hole, { start: memoryStart, end: position }));
    }
    return holes;
  }

  /** The fill that will bring the byte at `position`; a new one, if none will. Throws the reason given to {@link end}. */
  fillFor(position: number, level: Priority): Fill {
    for (const fill of this.#fills) {
      if (fill.ended || fill.signal.aborted) continue;
      if (fill.position === position && position < fill.bound) return fill;
      const sole = this.unnamed || (fill.sequential && this.#wholeAnswers >= 2);
      if (sole && fill.position <= position) return fill;
    }
    if (this.#ended !== undefined) throw this.#ended;
    return this.#startFill(position, level);
  }

  onReaderWaits(): void {
    for (const fill of this.#fills) fill.reconsider();
  }

  /**
   * A player that reads on will need an upstream again: its URL is to be there by then. Not if what it reads is all here
   * or on its way, or while the next hole is far.
   */
  prepareFor(reader: VariantReader): void {
    const { source, id } = this.name;
    const { quality, upstream } = this.#options;
    const hole = this.#holeAfter(reader.position);
    if (hole >= Math.min(reader.end, this.size ?? reader.end) || hole - reader.position > PREPARE_AHEAD) return;
    const variant = this.#facts.resolverVariant;
    const { ahead: need } = reader;
    upstream.prepare?.({ source, id, variant, need, ...(quality === undefined ? {} : { quality }) });
  }

  onReaderMoved(): void {
    for (const fill of this.#fills) fill.wake();
  }

  onReaderEnd(reader: VariantReader): void {
    if (!this.#readers.delete(reader)) return;
    this.lastReadAt = this.#hooks.now();
    if (reader.level === Priority.playback) this.lastPlayedAt = this.lastReadAt;
    for (const fill of this.#fills) fill.reconsider(reader);
    this.onFillStored();
  }

  // What fills ask.

  after(ms: number, act: () => void): () => void {
    return this.#hooks.after(ms, act);
  }

  isWaitedFor(fill: Fill): boolean {
    for (const reader of this.#readers) {
      if (reader.waitingFor === fill && reader.level === Priority.playback) return true;
    }
    return false;
  }

  /** The most urgent of the readers that are coming to what `fill` brings; undefined if there is none. */
  levelFor(fill: Fill): Priority | undefined {
    let level: Priority | undefined;
    for (const reader of this.#followers(fill)) {
      if (level === undefined || reader.level < level) level = reader.level;
    }
    return level;
  }

  /** The position of the reader that is nearest to the edge of `fill`. */
  nearestReader(fill: Fill): number | undefined {
    let nearest: number | undefined;
    for (const reader of this.#followers(fill)) nearest = Math.max(nearest ?? 0, reader.position);
    return nearest;
  }

  /** The position of the last reader that reads from the memory of `fill`. */
  slowestReader(fill: Fill): number {
    let slowest = Number.POSITIVE_INFINITY;
    for (const reader of this.#followers(fill)) {
      if (reader.position >= fill.memoryStart) slowest = Math.min(slowest, reader.position);
    }
    return slowest;
  }

  onArrived(fill: Fill): void {
    for (const reader of this.#readers)
      if (reader.waitingFor === fill && reader.position < fill.position) reader.wake();
  }

  onStored(bytes: number): void {
    if (bytes === 0) return;
    this.#hooks.onStored(this, bytes);
    if (this.complete) this.#hooks.onChanged(this);
  }

  onStorageError(error: unknown): void {
    this.#hooks.onStorageError(error);
  }

  onFillEnd(fill: Fill, failure: unknown): void {
    if (isAfterbayError(failure, "variant-changed")) this.#hooks.onLost(this, failure);
    const fatal = failure !== undefined && !isAbort(failure);
    for (const reader of this.#readers) {
      if (reader.waitingFor !== fill) continue;
      if (fatal) reader.fail(failure);
      else reader.wake();
    }
    this.onFillStored();
  }

  /** Forgets fills that have ended and hold no bytes that a reader still needs. */
  onFillStored(): void {
    for (const fill of this.#fills) {
      if (fill.ended && fill.settled && this.slowestReader(fill) === Number.POSITIVE_INFINITY) this.#fills.delete(fill);
    }
    this.#checkIdle();
  }

  *#followers(fill: Fill): Generator<VariantReader> {
    const memoryStart = fill.memoryStart;
    for (const reader of this.#readers) {
      if (reader.waitingFor === fill) yield reader;
      else if (reader.position > fill.position || reader.end <= fill.position) continue;
      else if (reader.position >= memoryStart || this.stored.contiguousEnd(reader.position) >= memoryStart)
        yield reader;
    }
  }

  /** Where the first byte after `position` is that is neither stored nor asked for. */
  #holeAfter(position: number): number {
    for (let at = position; ; ) {
      const stored = this.stored.contiguousEnd(at);
      const fills = [...this.#fills].filter((fill) => fill.memoryStart <= stored && fill.position >= stored);
      const ends = fills.map((fill) => {
        if (fill.sequential && !fill.ended) return Number.POSITIVE_INFINITY;
        return Math.max(fill.position, fill.windowEnd ?? 0);
      });
      const end = Math.max(stored, ...ends);
      if (end === at || end === Number.POSITIVE_INFINITY) return end;
      at = end;
    }
  }

  #startFill(position: number, level: Priority): Fill {
    const { source, id } = this.name;
    const { quality } = this.#options;
    const start = this.unnamed ? this.#resumePoint(position) : position;
    const about = { source, id, position: start, ...(quality === undefined ? {} : { quality }) };
    const fill = new Fill(about, this.#hooks);
    fill.attach(this);
    fill.urgency.level = level;
    fill.sequential = this.unnamed;
    for (const other of this.#fills) {
      // What another brought is stored, or in its memory on the way there. Where nothing is stored, what left its memory
      // is missing again, and so is what it brought before.
      if ((!other.sequential || other.ended) && other.memoryStart > position)
        fill.bound = Math.min(fill.bound, other.memoryStart);
      if (!other.ended && !other.sequential && other.position <= position)
        other.bound = Math.min(other.bound, position);
    }
    this.#fills.add(fill);
    this.#unprovenEnd = undefined;
    this.#track(this.#open(fill));
    return fill;
  }

  /** The end of the kept bytes before `position`: only from there can an answer be held against them. */
  #resumePoint(position: number): number {
    const before = this.stored.spans().filter((span) => span.end <= position);
    return before.at(-1)?.end ?? position;
  }

  #track(run: Promise<void>): void {
    this.#runs.add(run);
    void run.finally(() => this.#runs.delete(run));
  }

  async #open(fill: Fill): Promise<void> {
    let opened: Opened;
    try {
      const overlap = this.unnamed ? await this.#overlapBefore(fill.position) : undefined;
      opened = await fill.open(this.#options.upstream, {
        expect: this.#expectation(),
        ...(overlap === undefined ? {} : { overlap }),
      });
    } catch (error) {
      fill.ended = true;
      fill.settled = true;
      this.onFillEnd(fill, fill.signal.aborted ? fill.signal.reason : error);
      return;
    }
    await this.#run(fill, opened);
  }

  async #run(fill: Fill, opened: Opened): Promise<void> {
    if (!opened.ranged) {
      this.#wholeAnswers += 1;
      const running = [...this.#fills].some((other) => other !== fill && other.sequential && !other.ended);
      if (running && this.storing) {
        // One such answer brings everything already; this reader waits for it.
        await opened[Symbol.asyncDispose]();
        this.#wholeAnswers = Math.max(this.#wholeAnswers, 2);
        for (const other of this.#fills) if (!other.opened && other !== fill) other.stop(notAlone());
        fill.ended = true;
        fill.settled = true;
        this.onFillEnd(fill, undefined);
        return;
      }
    }
    // Those that have not been answered would be answered the same: their readers wait for this one.
    if (this.#wholeAnswers >= 2)
      for (const other of this.#fills) if (!other.opened && other !== fill) other.stop(notAlone());
    this.#learn(opened);
    await fill.run(this, opened);
  }

  #learn(opened: Opened): void {
    const { validator, contentType } = opened;
    const elsewhere = validator !== undefined && validator.origin !== this.#facts.validator?.origin;
    if (elsewhere || (contentType !== undefined && this.contentType === undefined)) {
      this.#facts = {
        ...this.#facts,
        ...(validator === undefined ? {} : { validator }),
        ...(this.contentType === undefined && contentType !== undefined ? { contentType } : {}),
      };
      this.#hooks.onChanged(this);
    }
    if (opened.size !== undefined && this.size === undefined) this.learnSize(opened.size);
    this.#hooks.onDescribed(this, opened);
  }

  #expectation(): Expectation {
    const { upstreamName, resolverVariant, size, validator } = this.#facts;
    return {
      ...(upstreamName === undefined ? {} : { variant: upstreamName }),
      ...(resolverVariant === undefined ? {} : { resolverVariant }),
      ...(size === undefined ? {} : { size }),
      ...(validator === undefined ? {} : { validator }),
    };
  }

  /** The kept bytes right before `position`. Without them nothing tells whether an answer belongs here. */
  async #overlapBefore(position: number): Promise<Uint8Array> {
    const span = this.stored.spans().find(({ start, end }) => start < position && end >= position);
    if (span === undefined)
      throw new AfterbayError("variant-changed", "Nothing tells whether these bytes belong together");
    const parts: Uint8Array[] = [];
    for (let at = Math.max(span.start, position - OVERLAP); at < position; ) {
      const bytes = await this.fromStore(at, position - at);
      if (bytes === undefined) throw new AfterbayError("variant-changed", "The kept bytes went bad");
      parts.push(bytes);
      at += bytes.length;
    }
    return Buffer.concat(parts);
  }

  #checkIdle(): void {
    if (!this.busy) this.#hooks.onIdle(this);
  }
}

function notAlone(): DOMException {
  return new DOMException("Another answer brings these bytes", "AbortError");
}
