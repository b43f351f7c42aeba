import type { Room } from "./reverb.ts";
import type { Sound } from "./sound.ts";

/** A composition and all that its bytes depend on, but for the synthesis itself. */
export interface Piece {
  /** Of `[A-Za-z0-9._~-]`. */
  readonly id: string;
  readonly title: string;
  readonly artist: string;
  readonly album: string;
  /** Counts up whenever this piece's bytes change. */
  readonly version: number;
  readonly seconds: number;
  /** Seconds over which it rises from, and falls to, silence. */
  readonly fadeIn: number;
  readonly fadeOut: number;
  /** Linear, on the whole mix. */
  readonly gain: number;
  readonly room: Room;
  /** Every sound of the piece, in any order; called when the piece is first rendered. */
  readonly compose: () => readonly Sound[];
}
