import type { QueueEntry, Repeat } from "./queue.ts";

/**
 * What a playback is doing. `stopped`: nothing was begun, or it was stopped, or has given up (then there is an error).
 * `loading`: no sound yet. `waiting`: the source or the server is away, and is tried again. `ended`: the queue is through.
 */
export type PlaybackStatus = "stopped" | "loading" | "playing" | "paused" | "waiting" | "ended";

/** Why something failed: a code for programs, and plain words. */
export interface PlaybackError {
  readonly code: string;
  readonly message: string;
  /** The entry that it happened to. */
  readonly entry?: number;
}

/** A playback at one moment; immutable. Times are milliseconds. */
export interface PlaybackState {
  readonly status: PlaybackStatus;
  /** The queue in play order. */
  readonly queue: readonly QueueEntry[];
  /** Of the current entry in `queue`; -1: none is. */
  readonly index: number;
  /** Where it plays, or will; where a seek leads, as soon as it is asked for. */
  readonly positionMs: number;
  /** Undefined until it is known. */
  readonly durationMs: number | undefined;
  /** Nothing is to be heard, though perhaps it loads. */
  readonly paused: boolean;
  /** It should be heard and is not yet: it loads, or waits for bytes in the middle. */
  readonly loading: boolean;
  /** 0 to 100. */
  readonly volume: number;
  readonly shuffle: boolean;
  readonly repeat: Repeat;
  /** Loud tracks are played softer, where it is known how loud they are. */
  readonly normalize: boolean;
  /** What is waited for while `waiting`, and when it is tried next (epoch ms). */
  readonly waiting: (PlaybackError & { readonly retryAt: number }) | undefined;
  /** Why it stopped by itself. */
  readonly error: PlaybackError | undefined;
}

/** What a playback tells. */
export type PlaybackEvent =
  /** Something changed; many changes at one moment are told once. */
  | { readonly type: "state"; readonly state: PlaybackState }
  /** A track could not be played, or not to its end. */
  | { readonly type: "failed"; readonly entry: QueueEntry; readonly code: string; readonly message: string };
