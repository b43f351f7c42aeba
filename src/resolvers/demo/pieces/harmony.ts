import { pitchClass } from "./notation.ts";

/** A chord: pitch classes, root first, and the bass's pitch class. */
export interface Chord {
  readonly tones: readonly number[];
  readonly bass: number;
}

const QUALITIES: Readonly<Record<string, readonly number[]>> = {
  "": [0, 4, 7],
  m: [0, 3, 7],
  "6": [0, 4, 7, 9],
  m6: [0, 3, 7, 9],
  "7": [0, 4, 7, 10],
  m7: [0, 3, 7, 10],
  maj7: [0, 4, 7, 11],
  m9: [0, 3, 7, 10, 2],
  maj9: [0, 4, 7, 11, 2],
  add9: [0, 4, 7, 2],
  "9": [0, 4, 7, 10, 2],
  "13": [0, 4, 10, 2, 9],
  sus: [0, 5, 7, 2],
  "7alt": [0, 4, 10, 1, 8],
  dim: [0, 3, 6, 9],
};

/** A chord symbol such as `F#m7/E`. */
function chord(symbol: string): Chord {
  const match = /^([A-G][#b]?)([^/]*)(?:\/(.+))?$/.exec(symbol);
  const intervals = match && QUALITIES[match[2] ?? ""];
  if (!match || !intervals) throw new SyntaxError(`Not a chord: ${symbol}`);
  const root = pitchClass(match[1] ?? "");
  return { tones: intervals.map((interval) => (root + interval) % 12), bass: match[3] ? pitchClass(match[3]) : root };
}

/** Chords from symbols with spaces or bar lines between them; `%` repeats the one before. */
export function chords(text: string): Chord[] {
  const out: Chord[] = [];
  for (const symbol of text.split(/[\s|]+/).filter(Boolean)) {
    const last = out.at(-1);
    out.push(symbol === "%" && last ? last : chord(symbol));
  }
  return out;
}

/** The key of a pitch class that is nearest to `centre` (a MIDI key number). */
export function nearest(pitch: number, centre: number): number {
  return pitch + 12 * Math.round((centre - pitch) / 12);
}

/**
 * Voicings of `voices` keys around `centre` for a row of chords, each moving as little as it can from the one before.
 * Without room for every tone of a chord, its fifth and then its root are left to the bass.
 */
export function voiceLeading(row: readonly Chord[], voices: number, centre: number): number[][] {
  const out: number[][] = [];
  for (const { tones } of row) {
    const kept = [...tones];
    while (kept.length > voices) kept.splice(kept.length > 4 || kept.length === tones.length ? 2 : 0, 1);
    const before = out.at(-1);
    const candidates = inversions(kept, voices, centre);
    const cost = (keys: readonly number[]): number =>
      keys.reduce((sum, key, i) => sum + (before ? Math.abs(key - (before[i] ?? key)) : 0), 0) +
      Math.abs(mean(keys) - centre) * 0.8;
    out.push(candidates.reduce((best, keys) => (cost(keys) < cost(best) ? keys : best)));
  }
  return out;
}

function mean(keys: readonly number[]): number {
  return keys.reduce((sum, key) => sum + key, 0) / keys.length;
}

/** Close positions, each starting from another tone in another octave. */
function inversions(tones: readonly number[], voices: number, centre: number): number[][] {
  const rising = tones.toSorted((a, b) => a - b);
  return Array.from({ length: rising.length * 3 }, (_, first) =>
    Array.from({ length: voices }, (__, i) => {
      const step = first + i;
      const octave = Math.floor(step / rising.length);
      return (rising[step % rising.length] ?? 0) + 12 * (octave + Math.floor(centre / 12) - 2);
    }),
  );
}
