import { smooth } from "../synth/math.ts";

/** A pitch with its place in a line; `at` and `beats` in beats, `key` a MIDI key number. */
export interface Tone {
  readonly at: number;
  readonly beats: number;
  readonly key: number;
}

const STEPS: Readonly<Record<string, number>> = { c: 0, d: 2, e: 4, f: 5, g: 7, a: 9, b: 11 };

/** The pitch class (0 to 11) of a name such as `c`, `f#` or `Bb`. */
export function pitchClass(name: string): number {
  const step = STEPS[name.charAt(0).toLowerCase()];
  if (step === undefined) throw new SyntaxError(`Not a pitch: ${name}`);
  return (step + (name.split("#").length - 1) - (name.slice(1).split("b").length - 1) + 12) % 12;
}

/**
 * A line such as `d5:1 g5 b5:.5 -:1`: pitches with octave (c4 is middle C), `-` for a rest, and beats after a colon,
 * which hold until others are named. Bar lines (`|`) are for the eye.
 */
export function line(text: string, transpose = 0): Tone[] {
  const tones: Tone[] = [];
  let at = 0;
  let beats = 1;
  for (const token of text.split(/[\s|]+/).filter(Boolean)) {
    const [name = "", length] = token.split(":");
    if (length !== undefined) beats = Number(length);
    if (name !== "-") {
      const key = pitchClass(name.slice(0, -1)) + 12 * (Number(name.slice(-1)) + 1) + transpose;
      tones.push({ at, beats, key });
    }
    at += beats;
  }
  return tones;
}

/** Seconds at a beat, for a tempo that moves in lines between marks of [beat, beats a minute]. */
export function clock(marks: readonly (readonly [number, number])[]): (beat: number) => number {
  return (beat) => {
    let seconds = 0;
    for (const [i, [from, tempo]] of marks.entries()) {
      const next = marks[i + 1];
      const until = Math.min(beat, next?.[0] ?? beat);
      if (until <= from && i > 0) break;
      const slow = 60 / tempo;
      const change = next ? (60 / next[1] - slow) / (next[0] - from) : 0;
      seconds += (until - from) * (slow + (change * (until - from)) / 2);
    }
    return seconds;
  };
}

/** A swell from 1 - depth at both ends of a phrase to 1 at `peak` (0 to 1); `u` is the place in the phrase. */
export function arch(u: number, depth: number, peak = 0.6): number {
  const rise = u < peak ? smooth(u / peak) : smooth((1 - u) / (1 - peak));
  return 1 - depth + depth * rise;
}
