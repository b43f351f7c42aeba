import { decibels } from "./math.ts";
import { sequence } from "./random.ts";
import { BLOCK_FRAMES, frames, type Stereo } from "./sound.ts";

/** A room. `seconds` until the tail ends at -60 dB, `level` linear against the dry sound, `predelay` in seconds. */
export interface Room {
  readonly seconds: number;
  readonly level: number;
  readonly predelay: number;
}

interface Tap {
  readonly delay: number;
  readonly gain: number;
}

/**
 * A reverb without feedback, so that a block depends on a bounded stretch before it: two sparse filters scatter each
 * sound into 64 echoes, a third spreads those over the tail. 8 + 8 + 40 taps a channel do the work of 2560.
 */
export class Reverb {
  /** How many earlier scattered blocks a tail reaches back to. */
  readonly reach: number;
  readonly #scatter: readonly [Scatter, Scatter];
  /** The scattered blocks that a tail is made of, one after the other. */
  readonly #past: Stereo;
  readonly #tail: readonly [readonly Tap[], readonly Tap[]];

  constructor(room: Room) {
    this.#scatter = [scatterTaps(11), scatterTaps(23)];
    this.#tail = [tailTaps(room, 37), tailTaps(room, 53)];
    const longest = Math.max(...this.#tail.flat().map(({ delay }) => delay));
    this.reach = Math.ceil(longest / BLOCK_FRAMES);
    this.#past = silence(this.reach + 1);
  }

  /** The scattered form of a block, from that block and the one before it. */
  scatter(block: Stereo, previous: Stereo): Stereo {
    const out = silence();
    soften(block.left, block.right, previous.left, previous.right);
    scatterSoft(out.left, this.#scatter[0]);
    soften(block.right, block.left, previous.right, previous.left);
    scatterSoft(out.right, this.#scatter[1]);
    return out;
  }

  /** Adds the tail to `block`; `scattered(n)` is the scattered form of the n-th block before it, n from 0 to `reach`. */
  addTail(block: Stereo, scattered: (back: number) => Stereo): void {
    const present = this.reach * BLOCK_FRAMES;
    for (let back = 0; back <= this.reach; back++) {
      const { left, right } = scattered(back);
      this.#past.left.set(left, present - back * BLOCK_FRAMES);
      this.#past.right.set(right, present - back * BLOCK_FRAMES);
    }
    addTaps(block.left, 0, BLOCK_FRAMES, this.#past.left, present, this.#tail[0]);
    addTaps(block.right, 0, BLOCK_FRAMES, this.#past.right, present, this.#tail[1]);
  }
}

/** Zeros. */
export function silence(blocks = 1): Stereo {
  return { left: new Float32Array(blocks * BLOCK_FRAMES), right: new Float32Array(blocks * BLOCK_FRAMES) };
}

interface Scatter {
  readonly near: readonly Tap[];
  readonly far: readonly Tap[];
}

/** The block before and the block, one after the other. */
const soft = new Float32Array(2 * BLOCK_FRAMES);
const nearby = new Float32Array(2 * BLOCK_FRAMES);
/** Far echoes reach back less than this; with the near ones and the average they stay within one block. */
const FAR_FRAMES = 3072;
const AVERAGE = 7;

/** Walls swallow treble and mix the sides: a seven-point average with a little of the other channel. */
function soften(own: Float32Array, other: Float32Array, ownBefore: Float32Array, otherBefore: Float32Array): void {
  for (let i = 0; i < BLOCK_FRAMES; i++) {
    nearby[i] = 0.75 * (ownBefore[i] ?? 0) + 0.25 * (otherBefore[i] ?? 0);
    nearby[BLOCK_FRAMES + i] = 0.75 * (own[i] ?? 0) + 0.25 * (other[i] ?? 0);
  }
  soft.fill(0, 0, AVERAGE);
  let sum = 0;
  for (let i = AVERAGE; i < 2 * BLOCK_FRAMES; i++) {
    sum += (nearby[i] ?? 0) - (nearby[i - AVERAGE] ?? 0);
    soft[i] = sum / AVERAGE;
  }
}

function scatterSoft(out: Float32Array, { near, far }: Scatter): void {
  nearby.fill(0);
  addTaps(nearby, BLOCK_FRAMES - FAR_FRAMES, 2 * BLOCK_FRAMES, soft, 0, near);
  addTaps(out, 0, BLOCK_FRAMES, nearby, BLOCK_FRAMES, far);
}

function scatterTaps(seed: number): Scatter {
  const random = sequence(seed);
  const spaced = (count: number, seconds: number): Tap[] =>
    Array.from({ length: count }, (_, i) => ({
      delay: frames((seconds * (i + random())) / count),
      gain: (random() < 0.5 ? 1 : -1) / Math.sqrt(count),
    }));
  return { near: spaced(8, 0.013), far: spaced(8, 0.068) };
}

function tailTaps({ seconds, level, predelay }: Room, seed: number): Tap[] {
  const random = sequence(seed);
  const count = 40;
  const taps = Array.from({ length: count }, (_, i) => {
    const time = predelay + ((seconds - predelay) * (i + random())) / count;
    return { delay: frames(time), gain: (random() < 0.5 ? 1 : -1) * decibels((-60 * time) / seconds) };
  });
  const energy = taps.reduce((sum, { gain }) => sum + gain * gain, 0);
  return taps.map(({ delay, gain }) => ({ delay, gain: (gain * level) / Math.sqrt(energy) }));
}

/** out[i] += gain * source[i + shift - delay] for every tap; four at a time, and their number is a multiple of four. */
function addTaps(
  out: Float32Array,
  lo: number,
  hi: number,
  source: Float32Array,
  shift: number,
  taps: readonly Tap[],
): void {
  for (let t = 0; t + 3 < taps.length; t += 4) {
    const [a, b, c, d] = [taps[t] ?? NO_TAP, taps[t + 1] ?? NO_TAP, taps[t + 2] ?? NO_TAP, taps[t + 3] ?? NO_TAP];
    addFour(
      out,
      lo,
      hi,
      source,
      [shift - a.delay, shift - b.delay, shift - c.delay, shift - d.delay],
      [a.gain, b.gain, c.gain, d.gain],
    );
  }
}

type Four = readonly [number, number, number, number];

const NO_TAP: Tap = { delay: 0, gain: 0 };

function addFour(
  out: Float32Array,
  lo: number,
  hi: number,
  source: Float32Array,
  [a, b, c, d]: Four,
  [ga, gb, gc, gd]: Four,
): void {
  for (let i = lo; i < hi; i++) {
    const early = ga * (source[i + a] ?? 0) + gb * (source[i + b] ?? 0);
    const late = gc * (source[i + c] ?? 0) + gd * (source[i + d] ?? 0);
    out[i] = (out[i] ?? 0) + early + late;
  }
}
