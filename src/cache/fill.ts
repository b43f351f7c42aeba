import { deferred } from "../data-source/aborting.ts";
import type { Clock } from "../data-source/clock.ts";
import {
  type Admission,
  CHUNK_SIZE,
  type DataSource,
  type DataSpec,
  type Expectation,
  KiB,
  MiB,
  type Opened,
  Priority,
  type TrackKey,
  Urgency,
  type Window,
} from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import { Need } from "../data-source/need.ts";
import { PauseWatch } from "../data-source/pause-watch.ts";
import { abortReason, isAfterbayError } from "../errors.ts";
import type { LiveVariant } from "./live-variant.ts";
import { PieceWriter } from "./piece-writer.ts";

/** The next window opens when a reader is within this many bytes of where it begins. */
const AHEAD = 1 * MiB;
/** Without readers, a fill's first window runs on at most this many bytes past its last reader. */
const RUN_ON = 512 * KiB;
/** And at most this long, ms: an upstream that trickles would be held for minutes, for nobody. */
const RUN_ON_MS = 30_000;
/** Bytes handed to the disk and not written yet; then the upstream waits for the disk. */
const MAX_PENDING = 1 * MiB;
/** What is fetched of a track of which nothing but the size is wanted, bytes. */
const SIZE_PROBE = 64 * KiB;
/** A wish list may let go at any moment. So that what is on its way can be finished then, windows end at the next chunk's. */
const WISHED_WINDOW_MIN = 64 * KiB;
/** What is not finished is cut in the first pause, at the latest after so long (ms); of playback, after this many bytes. */
const PAUSE_WITHIN_MS = 200;
const IN_FLIGHT = 64 * KiB;
/** Bytes kept in memory behind the edge although they are stored, for readers that follow closely. */
const TAIL = 128 * KiB;
/** Bytes kept in memory that are not stored; then the upstream waits for the slowest reader. */
const MAX_UNSTORED = 4 * MiB;

/** A reader that ends, as far as a fill cares. */
interface LeavingReader {
  readonly position: number;
  /** Bytes that it was given. */
  readonly received: number;
  /** It waited so long that it will come back. */
  readonly patient: boolean;
}

/**
 * Told of each need that a reading comes to wait for. `joined` is the priority of what had been begun for others; undefined
 * where it was begun for this one.
 */
export type OnFollow = (need: Need, joined: Priority | undefined) => void;

/** What a fill needs to be told before the variant it belongs to is known. */
export interface FillStart extends TrackKey {
  readonly position: number;
  readonly quality?: Quality;
}

/**
 * One upstream request series that runs forward from one byte, stores what arrives, and lets any number of readers follow
 * it from memory. Begun with {@link open}; attached to its variant as soon as that is known.
 */
export class Fill {
  readonly start: FillStart;
  readonly need: Need;
  readonly urgency = new Urgency(Priority.playback);
  /** The next byte to arrive. */
  position: number;
  /** True if the upstream sends the whole resource in one answer: then nobody else may ask for parts of it. */
  sequential = false;
  /** Exclusive end: another fill has begun there. */
  bound = Number.POSITIVE_INFINITY;
  /** True once the upstream has answered. */
  opened = false;
  /** True once no more bytes come. What is still in memory can be read. */
  ended = false;
  /** True once all that came is stored, or was given up. */
  settled = false;

  readonly #controller = new AbortController();
  #variant: LiveVariant | undefined;
  #writer: PieceWriter | undefined;
  #followed = false;
  #windows = 0;
  /** True while the next window waits for a reader to come near. */
  #idle = false;
  #window: Window | undefined;
  #accepted = 0;
  readonly #pauses: PauseWatch;
  /** Oldest first, without gaps, up to `position`. */
  #memory: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  #memoryBytes = 0;
  /** Exclusive end while nobody reads. */
  #runOnEnd = Number.POSITIVE_INFINITY;
  /** Ends the wait for {@link RUN_ON_MS}. */
  #cancelRunOn = (): void => {};
  /** Resolved whenever readers or storage move. */
  #moved = deferred();

  constructor(start: FillStart, clock: Pick<Clock, "now" | "after">) {
    this.start = start;
    this.need = new Need(() => clock.now());
    this.#pauses = new PauseWatch((ms, act) => clock.after(ms, act));
    this.position = start.position;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Fetches little, as long as nobody asks for more: a HEAD and the end of a track want to know its size first. */
  probeSize(): void {
    this.bound = this.position + SIZE_PROBE;
  }

  /** Says which variant it fills. */
  attach(variant: LiveVariant): void {
    this.#variant = variant;
  }

  /** Someone comes to wait for it. */
  follow(onFollow: OnFollow | undefined): void {
    onFollow?.(this.need, this.#followed ? this.urgency.level : undefined);
    this.#followed = true;
  }

  /** Opens the upstream. Rejects with an AfterbayError, or the reason given to {@link stop}. */
  async open(upstream: DataSource, about: { expect?: Expectation; overlap?: Uint8Array } = {}): Promise<Opened> {
    const spec: DataSpec = {
      ...this.start,
      ...about,
      need: this.need,
      urgency: this.urgency,
      admit: (window) => this.#admit(window),
      urgent: () => this.#variant?.isWaitedFor(this) ?? true,
    };
    const opened = await upstream.open(spec, { signal: this.#controller.signal });
    this.#pauses.came();
    return opened;
  }

  /** Takes what {@link open} gave and runs until the hole is filled, nobody wants more, or it fails. Never rejects. */
  async run(variant: LiveVariant, opened: Opened): Promise<void> {
    this.attach(variant);
    this.opened = true;
    this.position = opened.start;
    this.sequential ||= !opened.ranged;
    this.#writer = new PieceWriter(
      variant.stored,
      variant,
      (bytes) => {
        variant.onStored(bytes);
        this.#trim();
        this.wake();
      },
      (error) => variant.onStorageError(error),
    );
    let failure: unknown;
    try {
      this.#pauses.waits();
      for await (const chunk of opened.body) {
        this.#pauses.came();
        this.#accept(chunk);
        if (this.position >= this.#limit()) break;
        while (this.#isAhead() && !this.signal.aborted) await this.#moved.promise;
        this.#pauses.waits();
      }
      const whole = !opened.ranged && this.position < this.#limit();
      if (variant.size === undefined && whole) {
        if (opened.endsCleanly()) variant.learnSize(this.position);
        else variant.endAt(this.position);
      }
    } catch (error) {
      failure = this.signal.aborted ? abortReason(this.signal) : error;
    }
    this.ended = true;
    this.#cancelRunOn();
    await opened[Symbol.asyncDispose]().catch(() => {});
    // Whoever waits at the edge learns now how it ended; storing what came takes its time.
    variant.onFillEnd(this, failure);
    await this.#writer.finish();
    this.#trim();
    this.settled = true;
    variant.onFillStored();
  }

  /** Ends it now. What arrived is kept. */
  stop(reason: Error): void {
    this.#controller.abort(reason);
    this.wake();
  }

  /** True while nobody follows it. */
  get isUnread(): boolean {
    return this.#variant?.levelFor(this) === undefined;
  }

  /** Ends it if it never had a reader: a HEAD wanted its headers only. */
  stopUnread(): void {
    if (this.#runOnEnd !== Number.POSITIVE_INFINITY) return;
    if (this.urgency.level === Priority.playback)
      this.stop(new DOMException("Only the headers were wanted", "AbortError"));
    else this.stopInPause(() => this.isUnread);
  }

  /** Bytes in memory from `position` on, at most `max`; undefined if they are not there. */
  slice(position: number, max: number): Uint8Array | undefined {
    const first = this.#memory[0];
    if (first === undefined || position < first.start || position >= this.position) return undefined;
    let low = 0;
    let high = this.#memory.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#memory[middle]?.start ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    const entry = this.#memory[low];
    if (entry === undefined) return undefined;
    const offset = position - entry.start;
    return entry.bytes.subarray(offset, Math.min(entry.bytes.length, offset + max));
  }

  /** Offset of the oldest byte in memory; the edge, if there is none. */
  get memoryStart(): number {
    return this.#memory[0]?.start ?? this.position;
  }

  /** Where the request that runs now ends, if that is known. */
  get windowEnd(): number | undefined {
    return this.ended ? undefined : this.#window?.end;
  }

  /** Readers came, moved or left. `leaving` is the one that left now. */
  reconsider(leaving?: LeavingReader): void {
    const variant = this.#variant;
    if (variant === undefined || this.ended) return;
    const level = variant.levelFor(this);
    if (level !== undefined) {
      this.urgency.level = level;
      this.#runOnEnd = Number.POSITIVE_INFINITY;
      this.#cancelRunOn();
    } else if (leaving !== undefined && this.#runOnEnd === Number.POSITIVE_INFINITY) {
      this.#runOn(leaving);
    }
    this.#trim();
    this.wake();
  }

  wake(): void {
    const moved = this.#moved;
    this.#moved = deferred();
    moved.resolve();
  }

  /** Ends it where nothing of what was sent is lost, unless someone wants it by then, or it soon ends by itself. */
  stopInPause(isUnwanted: () => boolean): void {
    const latest = this.need.now() + PAUSE_WITHIN_MS;
    const cut = (): void => {
      if (this.ended || !isUnwanted()) return;
      if (this.#endsSoon) return this.#limitRunOn(isUnwanted);
      const left = latest - this.need.now();
      // An upstream that was asked is sending already, or soon will.
      if (left > 0 && this.need.awaitsAnswer) this.#pauses.cutSoon(cut, left);
      else this.stop(unwanted());
    };
    this.#pauses.cutSoon(cut, PAUSE_WITHIN_MS);
  }

  /** The last reader left: finish what is cheap to finish. */
  #runOn(leaving: LeavingReader): void {
    const variant = this.#variant as LiveVariant;
    const nothingCame = this.#accepted === 0 && leaving.received === 0;
    const isPrefetch = this.urgency.level !== Priority.playback;
    if (!leaving.patient && !isPrefetch && (nothingCame || variant.dataSaver)) {
      this.stop(unwanted());
      return;
    }
    const rest = (this.#window?.end ?? Number.POSITIVE_INFINITY) - leaving.position;
    // The first window is what a player probes with and comes back to; a later one may be larger than all it played.
    // What a wish list let go of may be wished for again soon.
    const cheap = isPrefetch ? rest <= RUN_ON && !nothingCame : this.#windows <= 1;
    const finishes = ((cheap || this.sequential) && !variant.dataSaver) || leaving.patient;
    const inFlight = isPrefetch ? Number.POSITIVE_INFINITY : IN_FLIGHT;
    const farthest = finishes ? leaving.position + RUN_ON : this.position + inFlight;
    this.#runOnEnd = Math.min(this.#window?.end ?? Number.MAX_SAFE_INTEGER, farthest);
    // Prefetch goes on giving way to playback; and what gives way here has ended.
    this.urgency.level = isPrefetch ? Priority.background : Priority.abandoned;
    const isUnwanted = (): boolean => this.#runOnEnd !== Number.POSITIVE_INFINITY;
    if (!finishes) this.stopInPause(isUnwanted);
    else if (!leaving.patient) this.#limitRunOn(isUnwanted);
    // What is asked for already and would end here ends by itself.
    if (this.position >= this.#runOnEnd) this.stop(unwanted());
  }

  #limitRunOn(isUnwanted: () => boolean): void {
    this.#cancelRunOn();
    this.#cancelRunOn = (this.#variant as LiveVariant).after(RUN_ON_MS, () => {
      if (!this.ended && isUnwanted()) this.stop(unwanted());
    });
  }

  async #admit(window: Window): Promise<Admission> {
    const variant = this.#variant;
    if (variant !== undefined && this.#windows > 0) {
      for (;;) {
        if (this.signal.aborted) throw abortReason(this.signal);
        const nearest = variant.nearestReader(this);
        if (nearest === undefined || this.position >= this.#limit()) return { end: window.start, release() {} };
        if (window.start - nearest <= AHEAD) break;
        // Whoever follows is far behind, and reads from disk.
        this.#idle = true;
        this.#trim();
        await this.#moved.promise;
      }
      this.#idle = false;
    }
    // The same again after a refusal, or once its URL is renewed, is no further one.
    if (window.start !== this.#window?.start) this.#windows += 1;
    const most = this.#mostOf(window);
    this.#window = most < (window.end ?? Number.POSITIVE_INFINITY) ? { ...window, end: most } : window;
    const limit = (): number => Math.min(most, this.#limit());
    return {
      // Asked for when the request is made: by then the hole may have shrunk.
      get end() {
        return limit();
      },
      release() {},
    };
  }

  /** Exclusive end of what may be asked for at once. A pin is let go of seldom, and is cheaper in large windows. */
  #mostOf({ start, end }: Window): number {
    const { level } = this.urgency;
    const isWished = level === Priority.head || level === Priority.body;
    // Where one answer has to bring everything, it has no end.
    if (!isWished || end === undefined || this.sequential) return Number.POSITIVE_INFINITY;
    return Math.ceil((start + WISHED_WINDOW_MIN) / CHUNK_SIZE) * CHUNK_SIZE;
  }

  /** It was fetched ahead, and what is left of its window costs less to take than to cut: that is on its way by now. */
  get #endsSoon(): boolean {
    const { level } = this.urgency;
    const isPrefetch = level !== Priority.playback && level !== Priority.abandoned;
    if (!isPrefetch || this.#accepted === 0 || this.#variant?.dataSaver === true) return false;
    return (this.#window?.end ?? Number.POSITIVE_INFINITY) - this.position <= RUN_ON;
  }

  /** More came than the disk, or where nothing is stored the slowest reader, has taken. */
  #isAhead(): boolean {
    return this.#memoryBytes > MAX_UNSTORED || (this.#writer?.pendingBytes ?? 0) > MAX_PENDING;
  }

  /** Exclusive end of what this fill is to fetch, as things stand. */
  #limit(): number {
    const variant = this.#variant;
    if (this.sequential) return this.#runOnEnd;
    const hole = variant?.stored.nextStart(this.position) ?? Number.POSITIVE_INFINITY;
    return Math.min(this.bound, this.#runOnEnd, hole);
  }

  #accept(chunk: Uint8Array): void {
    const variant = this.#variant as LiveVariant;
    const room = this.#limit() - this.position;
    const bytes = chunk.length > room ? chunk.subarray(0, Math.max(0, room)) : chunk;
    if (bytes.length === 0) return;
    const start = this.position;
    this.#memory.push({ start, bytes });
    this.#memoryBytes += bytes.length;
    this.#accepted += bytes.length;
    this.position += bytes.length;
    if (variant.storing) this.#writer?.push(start, bytes);
    variant.onArrived(this);
    this.#trim();
  }

  /** Frees memory from the oldest on: what is stored beyond the tail, and what can not be stored and no reader is coming to. */
  #trim(): void {
    const variant = this.#variant;
    if (variant === undefined) return;
    for (;;) {
      const entry = this.#memory[0];
      const tail = this.ended || this.#idle ? 0 : TAIL;
      if (entry === undefined || this.#memoryBytes - entry.bytes.length < tail) return;
      const end = entry.start + entry.bytes.length;
      const stored = variant.stored.missing(entry.start, end).length === 0;
      const onItsWay = (this.#writer?.pendingBytes ?? 0) > 0;
      if (!stored && (onItsWay || variant.slowestReader(this) < end)) return;
      this.#memory.shift();
      this.#memoryBytes -= entry.bytes.length;
    }
  }
}

function unwanted(): DOMException {
  return new DOMException("Nobody wants these bytes any more", "AbortError");
}

/** True if `error` only says that the work was no longer wanted. */
export function isAbort(error: unknown): boolean {
  return (error instanceof Error && error.name === "AbortError") || isAfterbayError(error, "preempted");
}
