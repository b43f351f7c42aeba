import { organ } from "../synth/instruments.ts";
import { midiHz } from "../synth/math.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { type Chord, chords } from "./harmony.ts";
import { clock, line, type Tone } from "./notation.ts";

/**
 * Four lines in invertible counterpoint: each may lie above or below the others, so that every entry of the subject can
 * have them in another order. Degrees of the scale with beats; `7,` lies below the first degree and `b` lowers it.
 */
const LINES = {
  subject: "1:1 5:1 4:.5 2 3 5 6:1.5 5:.25 4 2:.5 7, 1:1",
  counter: "3:.5 2 3 1 7,:1 1:.5 3 1:.25 2 3 1 4 1 2:.5 7, 2 3 2",
  second: "-:1 1 2 1:.5 b7, 6,:1 4, 5, 1",
  third: "-:.5 5 3 5 5:2 3:1 2:1.5 4:.5 5:1",
};
type LineName = keyof typeof LINES;
const LINE_BEATS = 8;

const MINOR = [0, 2, 3, 5, 7, 8, 11];
const MAJOR = [0, 2, 4, 5, 7, 9, 11];

/** Soprano, alto, tenor, bass: the middle of each one's range as a MIDI key number, and its place. */
const VOICES = [
  { centre: 74, pan: 0.38 },
  { centre: 66, pan: 0.12 },
  { centre: 58, pan: -0.14 },
  { centre: 47, pan: -0.4 },
] as const;

/** An entry: which line each voice has, in a key whose tonic is a pitch class. */
interface Entry {
  readonly tonic: number;
  readonly scale: readonly number[];
  readonly lines: readonly (LineName | undefined)[];
}

/** An episode: a row of falling fifths, two beats a chord, for the voices that take part. */
interface Episode {
  readonly harmony: string;
  readonly voices: readonly number[];
}

function entry(tonic: number, scale: readonly number[], ...lines: (LineName | undefined)[]): Entry {
  return { tonic, scale, lines };
}

const FORM: readonly (Entry | Episode)[] = [
  entry(2, MINOR, undefined, "subject"),
  entry(9, MINOR, "subject", "counter"),
  { harmony: "Em A", voices: [0, 1] },
  entry(2, MINOR, "counter", "second", "subject"),
  entry(9, MINOR, "second", "third", "counter", "subject"),
  { harmony: "Am Dm Gm C", voices: [0, 1, 2, 3] },
  entry(5, MAJOR, "subject", "counter", "third", "second"),
  { harmony: "Dm G", voices: [0, 1, 2] },
  entry(0, MAJOR, "third", "subject", "second", "counter"),
  { harmony: "C F Bb Eb Adim D", voices: [0, 1, 3] },
  entry(7, MINOR, "counter", undefined, "subject", "second"),
  { harmony: "Em A", voices: [0, 1, 2, 3] },
  entry(2, MINOR, "third", "second", "counter", "subject"),
  { harmony: "Dm Gm C F Bb Edim A", voices: [0, 1, 2] },
  entry(2, MINOR, "counter", "subject"),
  entry(2, MINOR, "subject", "counter", "third", "second"),
];
/** The fifteenth part stands on a long A in the bass. */
const PEDAL_PART = 14;
const CODA = ["c5:2 bb4:1 d5 c#5:2 d5:7", "f#4:2 g4 g4 f#4:7", "a3:2 d4 e4 a3:7", "d2:13"];

/** Keys of a line of degrees, from beat `at` on, in the octave whose mean lies nearest to `centre`. */
function voiced(text: string, { tonic, scale }: Entry, at: number, centre: number): Tone[] {
  const tones: Tone[] = [];
  let beats = 1;
  let now = at;
  for (const token of text.split(" ")) {
    const [name = "", length] = token.split(":");
    if (length !== undefined) beats = Number(length);
    const degree = Number(name.replace(/[^\d]/g, ""));
    const flat = name.startsWith("b") && scale === MINOR ? 1 : 0;
    if (name !== "-") {
      tones.push({ at: now, beats, key: tonic + (scale[degree - 1] ?? 0) - flat - (name.endsWith(",") ? 12 : 0) });
    }
    now += beats;
  }
  const mean = tones.reduce((sum, { key }) => sum + key, 0) / tones.length;
  const octave = 12 * Math.round((centre - mean) / 12);
  return tones.map((tone) => ({ ...tone, key: tone.key + octave }));
}

/** Soprano and alto take turns: each turns about the third, which the other's chord makes a seventh, and falls. */
function sequenceOf(row: readonly Chord[], at: number, voice: number): Tone[] {
  const centre = VOICES[voice]?.centre ?? 60;
  const near = (pitch: number, around: number): number => pitch + 12 * Math.round((around - pitch) / 12);
  const tones: Tone[] = [];
  row.forEach(({ tones: [root = 0, third = 0, fifth = 0] }, i) => {
    const start = at + 2 * i;
    const last = tones.at(-1)?.key ?? centre;
    const add = (offset: number, beats: number, key: number): number => tones.push({ at: start + offset, beats, key });
    if (voice === 3) {
      const key = near(root, 44);
      add(0, 1, key);
      add(1, 0.5, key + 12);
      add(1.5, 0.5, key + ((third + 12 - root) % 12));
    } else if (voice === 2) {
      if (i % 2 === 0) add(0, i === row.length - 1 ? 2 : 4, near(root, i === 0 ? centre : last));
    } else if (i % 2 === voice) {
      const key = near(third, i < 2 ? centre : last);
      const turn = [
        key,
        key + ((root + 17 - third) % 12),
        key + ((fifth + 12 - third) % 12),
        key + ((root + 17 - third) % 12),
      ];
      turn.forEach((step, n) => add(n / 4, 0.25, step));
      add(1, i === row.length - 1 ? 1 : 3, key);
    } else if (i === 0) add(0, 2, near(fifth, centre));
  });
  return tones;
}

interface Sung extends Tone {
  readonly voice: number;
  readonly level: number;
}

function parts(): { tones: Sung[]; beats: number } {
  const tones: Sung[] = [];
  let at = 0;
  FORM.forEach((part, n) => {
    if ("lines" in part) {
      part.lines.forEach((name, voice) => {
        const centre = VOICES[voice]?.centre ?? 60;
        if (!name) return;
        const level = name === "subject" ? 1 : 0.8;
        tones.push(...voiced(LINES[name], part, at, centre).map((tone) => ({ ...tone, voice, level })));
      });
      if (n === PEDAL_PART) tones.push({ at: at - 2, beats: LINE_BEATS + 2, key: 45, voice: 3, level: 0.9 });
      at += LINE_BEATS;
    } else {
      const row = chords(part.harmony);
      for (const voice of part.voices)
        tones.push(...sequenceOf(row, at, voice).map((tone) => ({ ...tone, voice, level: 0.78 })));
      at += 2 * row.length;
    }
  });
  CODA.forEach((text, voice) => {
    tones.push(...line(text).map((tone) => ({ ...tone, at: tone.at + at, voice, level: 0.9 })));
  });
  return { tones, beats: at + 13 };
}

const { tones: TONES, beats: BEATS } = parts();

const seconds = clock([
  [0, 62],
  [3, 68],
  [BEATS - 21, 68],
  [BEATS - 13, 58],
  [BEATS - 7, 44],
  [BEATS, 44],
]);

function compose(): Sound[] {
  const random = sequence(1722);
  return TONES.flatMap(({ at, beats, key, voice, level }) => {
    const start = 0.4 + seconds(at) + 0.008 * random();
    const length = seconds(at + beats) - seconds(at);
    const hold = Math.max(0.06, length - (beats <= 0.5 ? 0.035 : 0.06));
    // The instrument fills up towards the end.
    const velocity = level * (0.82 + 0.18 * (at / BEATS));
    const note = { at: start, hz: midiHz(key), hold, velocity, pan: VOICES[voice]?.pan ?? 0 };
    const deep =
      voice === 3 && at > BEATS * 0.6 ? [organ({ ...note, hz: note.hz / 2, velocity: velocity * 0.36 })] : [];
    return [organ(note), ...deep];
  });
}

export const fugue: Piece = {
  id: "fugue",
  title: "Fugue in D Minor, on Four Lines",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: Math.ceil(seconds(BEATS) + 5),
  fadeIn: 0.02,
  fadeOut: 3,
  gain: 0.81,
  room: { seconds: 2.2, level: 0.5, predelay: 0.03 },
  compose,
};
