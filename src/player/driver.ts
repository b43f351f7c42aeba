/**
 * What plays sound: mpv today. A driver knows one track that plays and the one that follows it; the queue, what an error
 * means and when to try again are playback's.
 *
 * - Every track carries a number of the caller's, `load`, which its events carry too. Numbers are never used twice, so an
 *   event can be held against what is wanted now, and one that comes late is seen to be stale.
 * - Nothing throws and nothing waits: a call says what is wanted from now on, and what comes of it is told by events. Calls
 *   out of place (seeking while nothing plays, anything after `close`) do nothing.
 * - Times are milliseconds from the beginning of the track.
 * - A driver heals itself: if what plays dies or hangs, it is started again at the same place, and says so with
 *   `restarting`. If that is of no use, it says `broken`; the next `load` tries anew.
 */
export interface PlayerDriver extends AsyncDisposable {
  /** Plays a track from `atMs` on, in place of all that played or was to follow. */
  load(track: DriverTrack, atMs: number): void;
  /**
   * What follows without a gap when the current track has ended, in place of what was to follow; undefined: nothing. To be
   * called once the current track is `opened`, since it also follows one that fails.
   */
  setNext(track: DriverTrack | undefined): void;
  /** Holds for all tracks, until it is called again. */
  pause(paused: boolean): void;
  seek(toMs: number): void;
  /** 0 (silence) to 100 (as it is). */
  setVolume(percent: number): void;
  /** Plays nothing any more and forgets what was to follow. No `ended` is told. */
  stop(): void;
  /** Listens; the answer stops that. Listeners are called in turn, never from within a call of theirs. */
  listen(listener: (event: DriverEvent) => void): () => void;
  /** Ends what plays, and all that was started for it. */
  close(): Promise<void>;
}

export interface DriverTrack {
  readonly load: number;
  /** http or https. */
  readonly url: string;
  /** Louder or softer by so many decibels. Default 0. */
  readonly gainDb?: number;
}

export type DriverEvent =
  /** It could be opened, and will be heard. The first that is told of a track, also of one that has followed another; told again after a restart. */
  | { readonly type: "opened"; readonly load: number }
  /** Sound begins. */
  | { readonly type: "started"; readonly load: number }
  | { readonly type: "position"; readonly load: number; readonly positionMs: number }
  | { readonly type: "duration"; readonly load: number; readonly durationMs: number }
  /** Sound goes on after a seek. Of several seeks in a row, only the last may be told. */
  | { readonly type: "settled"; readonly load: number }
  /** It waits for bytes in the middle of the track, or goes on. */
  | { readonly type: "buffering"; readonly load: number; readonly buffering: boolean }
  | {
      readonly type: "ended";
      readonly load: number;
      /** `end`: no more came, whatever the reason. `failed`: it could not be opened or understood. `silent`: there is nothing to play sound on. */
      readonly reason: "end" | "failed" | "silent";
      /** Where it ended; the same in the last fraction of a second. */
      readonly positionMs: number;
      /** In plain words, without addresses. */
      readonly why?: string;
    }
  | { readonly type: "restarting" }
  /** Nothing can be played any more. The message is one line, in plain words. */
  | { readonly type: "broken"; readonly message: string };
