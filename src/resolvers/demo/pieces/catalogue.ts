import type { Piece } from "../synth/piece.ts";
import { SAMPLE_RATE } from "../synth/sound.ts";
import { fugue } from "./fugue.ts";
import { groove } from "./groove.ts";
import { phases } from "./phases.ts";
import { tides } from "./tides.ts";
import { waltz } from "./waltz.ts";
import { yaman } from "./yaman.ts";

/** Counts up whenever the synthesis that all pieces share changes their bytes. */
const SYNTHESIS_VERSION = 1;

/** The pieces of the demo source, in the order in which they are listed. */
export const PIECES: readonly Piece[] = [yaman, fugue, groove, tides, phases, waltz];

export function pieceById(id: string): Piece | undefined {
  return PIECES.find((piece) => piece.id === id);
}

/** Names a piece's exact bytes. */
export function variantOf({ id, version }: Piece): string {
  return `${id}-${version}.${SYNTHESIS_VERSION}-pcm16-${SAMPLE_RATE}`;
}
