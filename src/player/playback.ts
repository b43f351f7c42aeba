import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { Burst } from "./burst.ts";
import type { DriverEvent, DriverTrack, PlayerDriver } from "./driver.ts";
import { Emitter } from "./emitter.ts";
import type { OutcomeOf, RequestOutcome } from "./outcome.ts";
import type { PlaybackError, PlaybackEvent, PlaybackState, PlaybackStatus } from "./playback-state.ts";
import { Queue, type QueueEntry, type Repeat } from "./queue.ts";
import { Seeking } from "./seeking.ts";
import { isOwnEnd, judge, type TrackEnd, type Trouble, type Verdict, wordsFor } from "./verdict.ts";

/** What is known of a track before it plays. */
export interface TrackFacts {
  readonly durationMs?: number;
  /** By how much it is louder than what is played as it is (YouTube's reference, about −14 LUFS), dB. */
  readonly loudnessDb?: number;
}

/** What a playback begins with: how another one left off. */
export interface Remembered {
  readonly queue: Queue;
  readonly positionMs: number;
  readonly volume: number;
  readonly normalize: boolean;
}

export interface PlaybackOptions {
  /** Closed with the playback. */
  readonly driver: PlayerDriver;
  /** The address of a track at the proxy. Nothing else is asked for before a track plays. */
  readonly urlFor: (track: TrackKey) => string;
  readonly outcomeOf: OutcomeOf;
  /** What is known already; it is asked while a track is being started, and must be quick. */
  readonly factsOf?: (track: TrackKey) => TrackFacts | undefined;
  readonly remembered?: Remembered | undefined;
  readonly clock?: Clock;
  /** In [0, 1): the chance of shuffle. */
  readonly random?: () => number;
}

/** One start of a track in the player. */
interface Start {
  readonly load: number;
  readonly entry: QueueEntry;
  /** What the proxy knows its requests by. */
  readonly play: string;
  readonly fromMs: number;
  /** It could be opened: what follows can be set. */
  opened: boolean;
  /** Sound has begun. */
  started: boolean;
  buffering: boolean;
}

/** What went wrong with the current track so far. */
interface Troubled {
  readonly reloads: number;
  readonly since: number;
  readonly atMs: number;
}

/** Skips in a row: the first loads at once, the last when it is quiet for this long, ms. */
const SKIPS_QUIET_MS = 300;
/** "Previous" goes to the beginning of a track that has played longer than this, ms. */
const RESTART_AFTER_MS = 3000;
/** So much of a track was heard: it plays, ms. */
const PROGRESS_MS = 1000;
/** A track that has played for so long since it was loaded again begins anew with its reloads, ms. */
const FORGIVEN_AFTER_MS = 60_000;
/** Tracks in a row that failed before anything of them was heard. */
const MAX_FAILED = 3;
/** No track is longer, ms; mpv counts seconds in floating point. */
const MAX_SEEK_MS = 1000 * 3600 * 1000;
/** Louder tracks are attenuated by this at most, dB: what claims more is wrong. */
const MAX_ATTENUATION = 24;

/**
 * The playback service: plays a queue, one track after the other, through a driver. All errors are the proxy's affair; what
 * is truly unplayable is skipped. Every command is total and returns at once; what comes of it is seen in `state`.
 */
export class Playback implements AsyncDisposable {
  readonly #driver: PlayerDriver;
  readonly #urlFor: (track: TrackKey) => string;
  readonly #outcomeOf: OutcomeOf;
  readonly #factsOf: (track: TrackKey) => TrackFacts | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #events = new Emitter<PlaybackEvent>();
  readonly #seeking: Seeking;
  readonly #skips: Burst;
  readonly #name = randomBytes(6).toString("hex");

  #queue = Queue.empty;
  #phase: Exclude<PlaybackStatus, "paused"> = "stopped";
  #paused = false;
  #volume = 100;
  #normalize = true;
  #positionMs = 0;
  #durationMs: number | undefined;
  #error: PlaybackError | undefined;
  #waiting: PlaybackState["waiting"];

  /** Counts every start, so that nothing of an earlier one is taken for the current one's. */
  #load = 0;
  #start: Start | undefined;
  /** What the driver has at hand to follow. */
  #next: Start | undefined;
  /** Where to go once sound has begun. */
  #seekOnceStartedMs: number | undefined;
  #trouble: Troubled | undefined;
  #failedInRow = 0;
  #cancelWait: () => void = () => {};
  #snapshot: PlaybackState | undefined;
  #told = true;
  #closing: Promise<void> | undefined;

  constructor({ driver, urlFor, outcomeOf, factsOf, remembered, clock, random }: PlaybackOptions) {
    this.#driver = driver;
    this.#urlFor = urlFor;
    this.#outcomeOf = outcomeOf;
    this.#factsOf = factsOf ?? (() => undefined);
    this.#clock = clock ?? systemClock;
    this.#random = random ?? Math.random;
    this.#seeking = new Seeking(this.#clock, (toMs) => driver.seek(toMs));
    this.#skips = new Burst(this.#clock, SKIPS_QUIET_MS);
    if (remembered !== undefined) {
      this.#queue = remembered.queue;
      this.#positionMs = remembered.positionMs;
      this.#volume = percent(remembered.volume);
      this.#normalize = remembered.normalize;
      this.#durationMs = this.#knownDuration();
    }
    driver.setVolume(this.#volume);
    driver.listen((event) => this.#onDriver(event));
  }

  // What is

  get state(): PlaybackState {
    this.#snapshot ??= {
      status: this.#phase === "playing" && this.#paused ? "paused" : this.#phase,
      queue: this.#queue.entries,
      index: this.#queue.position,
      positionMs: this.#positionMs,
      durationMs: this.#durationMs,
      paused: this.#paused,
      loading: this.#phase === "loading" || this.#phase === "waiting" || this.#start?.buffering === true,
      volume: this.#volume,
      shuffle: this.#queue.shuffle,
      repeat: this.#queue.repeat,
      normalize: this.#normalize,
      waiting: this.#waiting,
      error: this.#error,
    };
    return this.#snapshot;
  }

  /** For what comes next, and to write it down. */
  get queue(): Queue {
    return this.#queue;
  }

  /** Listens; the answer stops that. */
  listen(listener: (event: PlaybackEvent) => void): () => void {
    return this.#events.listen(listener);
  }

  // Transport

  /** Plays, or goes on. What waits is tried at once. */
  play(): void {
    this.#setPaused(false);
    switch (this.#phase) {
      case "stopped":
        this.#failedInRow = 0;
        this.#trouble = undefined;
        if (this.#queue.current === undefined) this.#queue = this.#queue.next();
        this.#begin(this.#positionMs);
        break;
      case "ended":
        this.#failedInRow = 0;
        this.#goTo(this.#queue.following === undefined ? this.#first() : this.#queue.next());
        break;
      case "waiting":
        this.#begin(this.#positionMs);
        break;
      case "loading":
      case "playing":
    }
    this.#changed();
  }

  pause(): void {
    this.#setPaused(true);
    this.#changed();
  }

  toggle(): void {
    const plays = !this.#paused && this.#phase !== "stopped" && this.#phase !== "ended";
    if (plays) this.pause();
    else this.play();
  }

  /** Silence; `play` begins the current track anew. */
  stop(): void {
    this.#halt("stopped");
    this.#positionMs = 0;
    this.#changed();
  }

  /** The next track, also when one is repeated; behind the last one, the end. */
  next(): void {
    if (this.#queue.following !== undefined) this.#skipTo(this.#queue.next());
    else if (this.#queue.current !== undefined) {
      this.#halt("ended");
      this.#changed();
    }
  }

  /** The beginning of this track, or, within its first 3 s, the track before. */
  previous(): void {
    const before = this.#queue.previous();
    const isYoung = this.#positionMs <= RESTART_AFTER_MS;
    if (isYoung && before.current !== this.#queue.current) this.#skipTo(before);
    else this.seek(0);
  }

  /** Plays an entry; one that is not in the queue changes nothing. */
  jump(entry: number): void {
    const jumped = this.#queue.jump(entry);
    if (jumped.current?.entry === entry) this.#skipTo(jumped);
  }

  /** To so many ms from the beginning. At or behind the end is the end. */
  seek(toMs: number): void {
    if (Number.isNaN(toMs) || this.#queue.current === undefined) return;
    const target = Math.min(Math.max(0, toMs), MAX_SEEK_MS);
    const hasStarted = this.#start?.started === true;
    // Before there is sound, the length is hearsay.
    if (hasStarted && this.#durationMs !== undefined && target >= this.#durationMs) this.#finish(false);
    else {
      this.#positionMs = target;
      if (hasStarted) this.#seeking.to(target);
      else this.#seekOnceStartedMs = target;
    }
    this.#changed();
  }

  /** So many ms on, or back. */
  seekBy(byMs: number): void {
    this.seek(this.#positionMs + byMs);
  }

  // Modes

  /** 0 to 100. */
  setVolume(volume: number): void {
    if (Number.isNaN(volume)) return;
    this.#volume = percent(volume);
    this.#driver.setVolume(this.#volume);
    this.#changed();
  }

  setShuffle(shuffle: boolean): void {
    this.#edit(this.#queue.withShuffle(shuffle, this.#random));
  }

  setRepeat(repeat: Repeat): void {
    this.#edit(this.#queue.withRepeat(repeat));
  }

  /** From the next track on. */
  setNormalize(normalize: boolean): void {
    if (normalize === this.#normalize) return;
    this.#normalize = normalize;
    this.#offer(true);
    this.#changed();
  }

  // Queue

  /** At the end; with shuffle, anywhere behind the current track. */
  add(tracks: readonly TrackKey[]): void {
    this.#edit(this.#queue.add(tracks, this.#random));
  }

  playNext(tracks: readonly TrackKey[]): void {
    this.#edit(this.#queue.playNext(tracks));
  }

  /** Before the entry at `index` in play order. */
  insert(index: number, tracks: readonly TrackKey[]): void {
    this.#edit(this.#queue.insert(index, tracks));
  }

  /** Takes entries out. Where the current one was, the one behind it goes on. */
  remove(entries: Iterable<number>): void {
    this.#edit(this.#queue.remove(entries));
  }

  /** Moves an entry to an index in play order. */
  move(entry: number, index: number): void {
    this.#edit(this.#queue.move(entry, index));
  }

  /** Empties the queue, which ends what plays. */
  clear(): void {
    this.#edit(this.#queue.clear());
  }

  /** Ends the playback and its driver. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#cancelWait();
    this.#skips.cancel();
    this.#seeking.reset();
    await this.#driver.close();
  }

  // Starting

  /** A listener's wish: goes there, unless another wish comes right behind it. */
  #skipTo(queue: Queue): void {
    this.#failedInRow = 0;
    this.#setPaused(false);
    this.#goTo(queue);
    this.#changed();
  }

  #goTo(queue: Queue): void {
    this.#queue = queue;
    this.#forget();
    this.#phase = "loading";
    // Nothing of it is fetched if it is only passed over.
    if (!this.#skips.run(() => this.#begin(this.#positionMs))) this.#driver.stop();
  }

  #first(): Queue {
    const [first] = this.#queue.entries;
    return first === undefined ? this.#queue : this.#queue.jump(first.entry);
  }

  /** Loads the current entry, in place of whatever plays or is tried. */
  #begin(atMs: number): void {
    this.#skips.cancel();
    this.#cancelWait();
    this.#seeking.reset();
    const { current } = this.#queue;
    this.#next = undefined;
    this.#start = undefined;
    this.#waiting = undefined;
    this.#error = undefined;
    this.#seekOnceStartedMs = undefined;
    if (current === undefined) {
      this.#halt("stopped");
      return;
    }
    this.#phase = "loading";
    this.#positionMs = atMs;
    this.#durationMs ??= this.#knownDuration();
    const made = this.#make(current, atMs);
    if (made === undefined) {
      this.#fail({ kind: "failed", code: "no-address", message: wordsFor("no-address") });
      return;
    }
    this.#start = made.start;
    this.#driver.pause(this.#paused);
    this.#driver.load(made.track, atMs);
    this.#changed();
  }

  #make(entry: QueueEntry, fromMs: number): { readonly start: Start; readonly track: DriverTrack } | undefined {
    this.#load += 1;
    const load = this.#load;
    const play = `${this.#name}-${load}`;
    let url: string;
    try {
      url = this.#urlFor(entry);
    } catch {
      return undefined;
    }
    const loudness = this.#normalize ? (this.#factsOf(entry)?.loudnessDb ?? 0) : 0;
    const gainDb = loudness > 0 ? -Math.min(loudness, MAX_ATTENUATION) : 0;
    // Not by `new URL`, which would take the ids `.` and `..` for directories.
    const named = `${url}${url.includes("?") ? "&" : "?"}play=${play}`;
    return {
      start: { load, entry, play, fromMs, opened: false, started: false, buffering: false },
      track: { load, url: named, ...(gainDb === 0 ? {} : { gainDb }) },
    };
  }

  /** Gives the driver what follows, if that is another one than it has. */
  #offer(anew: boolean): void {
    if (this.#start?.opened !== true) return;
    const { after } = this.#queue;
    if (!anew && after === this.#next?.entry) return;
    const made = after === undefined ? undefined : this.#make(after, 0);
    if (made === undefined && this.#next === undefined) return;
    this.#next = made?.start;
    this.#driver.setNext(made?.track);
  }

  /** The queue is another one: what plays goes on if it still is the current entry. */
  #edit(queue: Queue): void {
    const before = this.#queue.current;
    this.#queue = queue;
    if (queue.current === before) this.#offer(false);
    else {
      this.#forget();
      if (this.#phase === "stopped" || this.#phase === "ended") this.#error = undefined;
      else if (queue.current === undefined) this.#halt(queue.entries.length === 0 ? "stopped" : "ended");
      else this.#begin(0);
    }
    this.#changed();
  }

  /** Another track is current: nothing of the one before holds for it. */
  #forget(): void {
    this.#cancelWait();
    this.#seeking.reset();
    this.#start = undefined;
    this.#next = undefined;
    this.#trouble = undefined;
    this.#waiting = undefined;
    this.#error = undefined;
    this.#seekOnceStartedMs = undefined;
    this.#positionMs = 0;
    this.#durationMs = this.#knownDuration();
  }

  #halt(phase: "stopped" | "ended", error?: PlaybackError): void {
    const position = phase === "stopped" ? this.#positionMs : 0;
    this.#skips.cancel();
    this.#forget();
    this.#positionMs = position;
    this.#phase = phase;
    this.#error = error;
    this.#driver.stop();
  }

  #knownDuration(): number | undefined {
    const { current } = this.#queue;
    return current === undefined ? undefined : this.#factsOf(current)?.durationMs;
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#driver.pause(paused);
  }

  // What the driver tells

  #onDriver(event: DriverEvent): void {
    if (this.#closing !== undefined) return;
    if (event.type === "broken") this.#halt("stopped", { code: "player", message: event.message });
    else if (event.type === "restarting") {
      if (this.#start !== undefined) Object.assign(this.#start, { opened: false, started: false });
      this.#next = undefined;
      if (this.#phase === "playing") this.#phase = "loading";
    } else if (event.load === this.#start?.load) this.#onTrack(this.#start, event);
    else return;
    this.#changed();
  }

  #onTrack(start: Start, event: Exclude<DriverEvent, { type: "broken" | "restarting" }>): void {
    switch (event.type) {
      case "opened":
        start.opened = true;
        this.#offer(true);
        break;
      case "started":
        this.#onStarted(start);
        break;
      case "position":
        this.#onPosition(start, event.positionMs);
        break;
      case "duration":
        this.#durationMs = event.durationMs;
        break;
      case "settled":
        this.#seeking.settled();
        break;
      case "buffering":
        start.buffering = event.buffering;
        break;
      case "ended":
        this.#onEnded(start, event);
    }
  }

  #onStarted(start: Start): void {
    start.started = true;
    start.buffering = false;
    this.#phase = "playing";
    const target = this.#seekOnceStartedMs;
    this.#seekOnceStartedMs = undefined;
    if (target !== undefined) this.#seeking.to(target);
  }

  #onPosition(start: Start, positionMs: number): void {
    if (!this.#seeking.isThere(positionMs)) return;
    this.#positionMs = positionMs;
    if (positionMs - start.fromMs >= PROGRESS_MS) this.#failedInRow = 0;
    if (this.#trouble !== undefined && positionMs - this.#trouble.atMs >= FORGIVEN_AFTER_MS) this.#trouble = undefined;
  }

  #onEnded(start: Start, { reason, positionMs, why }: Extract<DriverEvent, { type: "ended" }>): void {
    if (reason === "silent") {
      const message = "there is nothing to play sound on: mpv cannot open an audio device";
      this.#halt("stopped", { code: "no-sound", message });
      return;
    }
    const end: TrackEnd = {
      reason,
      positionMs,
      durationMs: this.#durationMs,
      sinceSeekMs: this.#seeking.sinceMs,
      ...(why === undefined ? {} : { why }),
    };
    if (isOwnEnd(end)) {
      this.#finish(true);
      return;
    }
    // What follows must not be heard before it is known whether this one is over.
    this.#driver.stop();
    this.#next = undefined;
    start.opened = false;
    start.started = false;
    this.#phase = "loading";
    void this.#lookInto(start, end);
  }

  /** Asks the proxy what happened, and acts on it if the same start is still the current one by then. */
  async #lookInto(start: Start, end: TrackEnd): Promise<void> {
    let outcome: RequestOutcome | undefined;
    try {
      outcome = await this.#outcomeOf(start.play);
    } catch {
      // As if it knew nothing: the server is away.
    }
    if (this.#start !== start || this.#closing !== undefined) return;
    const now = this.#clock.now();
    const trouble: Trouble = {
      reloads: this.#trouble?.reloads ?? 0,
      forMs: now - (this.#trouble?.since ?? now),
    };
    const verdict = judge(end, outcome, trouble);
    if (verdict.kind === "finished") this.#finish(true);
    else if (verdict.kind === "failed") this.#fail(verdict);
    else this.#reload(verdict, now);
    this.#changed();
  }

  #reload({ afterMs, waits, code }: Extract<Verdict, { kind: "reload" }>, now: number): void {
    const at = this.#seekOnceStartedMs ?? this.#positionMs;
    this.#trouble = {
      reloads: (this.#trouble?.reloads ?? 0) + 1,
      since: this.#trouble?.since ?? now,
      atMs: at,
    };
    this.#start = undefined;
    this.#phase = waits ? "waiting" : "loading";
    if (waits) this.#waiting = { code, message: wordsFor(code), retryAt: this.#clock.wall() + afterMs };
    if (afterMs === 0) this.#begin(at);
    else this.#cancelWait = this.#clock.after(afterMs, () => this.#begin(this.#positionMs));
  }

  /** The current track is over. `played`: by itself, not by a seek behind its end. */
  #finish(played: boolean): void {
    this.#failedInRow = 0;
    const { after } = this.#queue;
    const next = this.#next;
    if (after === undefined) {
      this.#halt("ended");
      return;
    }
    this.#queue = this.#queue.advance();
    this.#forget();
    if (played && next !== undefined && next.entry === after) {
      // The driver has gone on to it by itself.
      this.#start = next;
      return;
    }
    this.#begin(0);
  }

  #fail({ code, message }: Extract<Verdict, { kind: "failed" }>): void {
    const { current, following } = this.#queue;
    if (current === undefined) return;
    this.#failedInRow += 1;
    this.#events.emit({ type: "failed", entry: current, code, message });
    const error = { code, message, entry: current.entry };
    if (this.#failedInRow >= MAX_FAILED) {
      const stopped = `stopped, since ${MAX_FAILED} tracks in a row could not be played; of the last one: ${message}`;
      this.#halt("stopped", { ...error, message: stopped });
    } else if (following === undefined) this.#halt("ended", error);
    else {
      this.#queue = this.#queue.next();
      this.#forget();
      this.#begin(0);
    }
  }

  // Telling

  #changed(): void {
    this.#snapshot = undefined;
    if (!this.#told || this.#closing !== undefined) return;
    this.#told = false;
    queueMicrotask(() => {
      this.#told = true;
      this.#events.emit({ type: "state", state: this.state });
    });
  }
}

function percent(volume: number): number {
  return Math.min(100, Math.max(0, volume));
}
