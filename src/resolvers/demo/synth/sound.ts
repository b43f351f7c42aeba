import { cosTurns, sinTurns, smooth } from "./math.ts";

/** Frames a second. */
export const SAMPLE_RATE = 44_100;

/** Frames rendered at once; every block is a pure function of the piece and the block's index. */
export const BLOCK_FRAMES = 4096;

/** Two channels of equal length. */
export interface Stereo {
  readonly left: Float32Array;
  readonly right: Float32Array;
}

/**
 * One note or stroke. It can be mixed from any of its frames on without what came before.
 * `start` (inclusive) and `end` (exclusive) are frames of the piece.
 */
export interface Sound {
  readonly start: number;
  readonly end: number;
  /** Adds this sound's part of the block that begins at frame `origin`. */
  mix(block: Stereo, origin: number): void;
}

/** How a note is placed and shaped; times in seconds, `pan` from -1 (left) to 1 (right), `gain` linear. */
export interface Placement {
  readonly at: number;
  readonly gain: number;
  readonly pan: number;
  /** Rise from silence. */
  readonly attack: number;
  /** From the onset to the begin of the release. */
  readonly hold: number;
  readonly release: number;
  /** Slow movement between the speakers, as an electric piano's. */
  readonly tremolo?: { readonly hz: number; readonly depth: number };
}

/** Seconds as a whole number of frames. */
export function frames(seconds: number): number {
  return Math.round(seconds * SAMPLE_RATE);
}

const CONTROL_FRAMES = 64;
const scratch = new Float64Array(BLOCK_FRAMES);

/** Adds a note's frames, counted from its onset, to the zeros of `out[lo..hi)`; what it leaves outside is not heard. */
export type Fill = (out: Float64Array, lo: number, hi: number, onsetFrame: number) => void;

/** A sound from a mono generator and a placement. */
export class PlacedSound implements Sound {
  readonly start: number;
  readonly end: number;
  readonly #attack: number;
  readonly #off: number;
  readonly #release: number;
  readonly #left: number;
  readonly #right: number;
  readonly #tremolo: Placement["tremolo"];
  readonly #fill: Fill;

  constructor(place: Placement, fill: Fill) {
    this.start = frames(place.at);
    this.#attack = Math.max(1, frames(place.attack));
    this.#off = Math.max(this.#attack, frames(place.hold));
    this.#release = Math.max(1, frames(place.release));
    this.end = this.start + this.#off + this.#release;
    const angle = (place.pan + 1) / 8;
    this.#left = place.gain * cosTurns(angle);
    this.#right = place.gain * sinTurns(angle);
    this.#tremolo = place.tremolo;
    this.#fill = fill;
  }

  mix(block: Stereo, origin: number): void {
    const lo = Math.max(0, this.start - origin);
    const hi = Math.min(BLOCK_FRAMES, this.end - origin);
    if (lo >= hi) return;
    scratch.fill(0, lo, hi);
    const first = origin + lo - this.start;
    this.#fill(scratch, lo, hi, first);
    this.#shape(lo, hi, origin - this.start);
    if (this.#tremolo) this.#spreadMoving(block, lo, hi, origin, this.#tremolo);
    else spread(block, lo, hi, this.#left, this.#right);
  }

  #shape(lo: number, hi: number, base: number): void {
    const attackEnd = Math.min(hi, this.#attack - base);
    for (let i = lo; i < attackEnd; i++) scratch[i] = (scratch[i] ?? 0) * smooth((base + i) / this.#attack);
    for (let i = Math.max(lo, this.#off - base); i < hi; i++) {
      scratch[i] = (scratch[i] ?? 0) * smooth(1 - (base + i - this.#off) / this.#release);
    }
  }

  #spreadMoving(
    block: Stereo,
    lo: number,
    hi: number,
    origin: number,
    { hz, depth }: { hz: number; depth: number },
  ): void {
    for (let from = lo - (lo % CONTROL_FRAMES); from < hi; from += CONTROL_FRAMES) {
      const wave = depth * sinTurns(((origin + from) * hz) / SAMPLE_RATE);
      const step = (depth * sinTurns(((origin + from + CONTROL_FRAMES) * hz) / SAMPLE_RATE) - wave) / CONTROL_FRAMES;
      const last = Math.min(hi, from + CONTROL_FRAMES);
      for (let i = Math.max(lo, from); i < last; i++) {
        const move = wave + step * (i - from);
        const value = scratch[i] ?? 0;
        block.left[i] = (block.left[i] ?? 0) + value * this.#left * (1 + move);
        block.right[i] = (block.right[i] ?? 0) + value * this.#right * (1 - move);
      }
    }
  }
}

function spread({ left, right }: Stereo, lo: number, hi: number, leftGain: number, rightGain: number): void {
  for (let i = lo; i < hi; i++) {
    const value = scratch[i] ?? 0;
    left[i] = (left[i] ?? 0) + value * leftGain;
    right[i] = (right[i] ?? 0) + value * rightGain;
  }
}
