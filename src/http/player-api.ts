import type { TrackKey } from "../data-source/data-source.ts";

/** A place in a player's queue. One track may have several, told apart by `entry`. */
export interface QueuedTrack extends TrackKey {
  readonly entry: number;
}

/** What a player is doing, but for its queue; times are milliseconds. As the API shows it. */
export interface PlayerStatus {
  readonly status: "stopped" | "loading" | "playing" | "paused" | "waiting" | "ended";
  /** Of the current entry in the queue; -1: none is. */
  readonly index: number;
  readonly positionMs: number;
  readonly durationMs?: number;
  readonly paused: boolean;
  /** It should be heard and is not yet. */
  readonly loading: boolean;
  /** 0 to 100. */
  readonly volume: number;
  readonly shuffle: boolean;
  readonly repeat: "off" | "all" | "one";
  readonly normalize: boolean;
  /** Similar tracks are added when the queue nears its end. */
  readonly auto: boolean;
  /** What is waited for, and when it is tried next (ISO 8601). */
  readonly waiting?: { readonly code: string; readonly message: string; readonly retryAt: string };
  /** Why it stopped by itself, and at which entry. */
  readonly error?: { readonly code: string; readonly message: string; readonly entry?: number };
}

/** A player in this room, as the API steers it. */
export interface PlayerApi {
  readonly status: PlayerStatus;
  /** In play order. Another array whenever it changes. */
  readonly queue: readonly QueuedTrack[];
  /**
   * Does what a verb says, with the fields of a request's body. Ids without a source belong to `defaultSource`. Rejects with
   * `not-found` for a verb or an entry that there is none of, and with `bad-request` for a body that is none.
   */
  command(verb: string, body: Readonly<Record<string, unknown>>, defaultSource: string): Promise<void>;
  /** Calls whenever something changes; the answer stops that. */
  listen(listener: () => void): () => void;
}
