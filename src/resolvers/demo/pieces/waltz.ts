import { type Note, musicBox, pluck, type StringMake } from "../synth/instruments.ts";
import { midiHz } from "../synth/math.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { chords, nearest, voiceLeading } from "./harmony.ts";
import { arch, clock, line, type Tone } from "./notation.ts";

const BAR = 3;

const A = {
  harmony: "G D/F# Em Bm | C G/B Am7 D7 | G B7/D# Em A7/C# | G/D D7 G G",
  melody: `d5:1 g5 b5 | b5:1 a5:2 | e5:1 g5 a5 | f#5:2 d5:1 | e5:1 g5 c6 | b5:2 g5:1 | a5:1 b5:.5 a5:.5 g5:1 | a5:3
    | d5:1 g5 b5 | b5:1 a5 f#5 | g5:2 e5:1 | e5:1 a5 c#6 | d6:2 b5:1 | a5:1 c6 f#5 | g5:3 | g5:2 -:1`,
  second: `-:3 | f#5:1 f#5:2 | -:3 | d5:2 b4:1 | c5:1 e5 g5 | g5:2 d5:1 | e5:1 g5:.5 e5:.5 e5:1 | f#5:3
    | b4:1 d5 g5 | f#5:1 f#5 d#5 | e5:2 b4:1 | c#5:1 e5 a5 | b5:2 g5:1 | f#5:1 a5 c5 | b4:3 | b4:2 -:1`,
};
const B = {
  harmony: "C C/E G/B G | Am D7 G G7/F | C/E Cm6/Eb G/D E7/G# | Am7 D7 G D7",
  melody: `e6:1.5 d6:.5 c6:1 | g5:2 e5:1 | d6:1.5 c6:.5 b5:1 | g5:2 d5:1 | c6:1 b5 a5 | f#5:1 g5 a5
    | b5:1 a5:.5 b5:.5 d6:1 | g5:1 f5:2 | e6:1.5 d6:.5 c6:1 | eb6:1.5 d6:.5 c6:1 | d6:1 b5 g5 | g#5:1 b5 e6
    | c6:1.5 b5:.5 a5:1 | a5:1 g5 f#5 | g5:3 | -:1 f#5 a5`,
  second: `c6:3 | -:3 | b5:3 | -:3 | e5:3 | -:3 | g5:3 | -:3 | c6:3 | c6:3 | b5:1 g5 d5 | e5:1 g#5 b5
    | e5:3 | c5:3 | b4:3 | -:3`,
};
/** The trio, in E minor: the harp sings and the box only sparkles. */
const TRIO = {
  harmony: "Em Em/D C B7 | Em/G Am B7 B7 | Em Em/D C G/B | Am D7 G B7",
  melody: `e4:2 f#4:1 | g4:2 b4:1 | a4:1.5 g4:.5 f#4:1 | f#4:3 | g4:2 a4:1 | c5:2 b4:1 | a4:1 f#4 d#4 | b3:3
    | e4:2 f#4:1 | g4:2 b4:1 | e5:1.5 d5:.5 c5:1 | b4:3 | c5:1 b4 a4 | f#4:1 g4 a4 | g4:3 | f#4:1 d#4 b3`,
};

const FORM = [
  { part: A, first: 4 },
  { part: A, first: 20, doubled: true },
  { part: B, first: 36 },
  { part: A, first: 52, doubled: true, sparkle: true },
  { part: B, first: 84, doubled: true, sparkle: true },
  { part: A, first: 100, slower: true },
];
const TRIO_BAR = 68;
const END_BAR = 116;

/** The box runs down: from bar 108 its spring gives less and less. */
const seconds = clock([
  [0, 96],
  [6, 138],
  [TRIO_BAR * BAR - 2, 138],
  [TRIO_BAR * BAR, 118],
  [84 * BAR - 3, 118],
  [84 * BAR, 142],
  [108 * BAR, 126],
  [END_BAR * BAR - 3, 58],
  [END_BAR * BAR + 6, 40],
]);

/** Seconds before the first note. */
const LEAD_IN = 0.3;

const HARP: StringMake = { decay: 2.6, position: 0.36, softness: 0.34, stiffness: 0.00004, damping: 0.25, level: 0.42 };

function compose(): Sound[] {
  const random = sequence(2024);
  const sounds: Sound[] = [];
  const loose = (beat: number): number => LEAD_IN + seconds(beat) + 0.012 * (random() - 0.3);
  const note = ({ at, beats, key }: Tone, velocity: number, pan: number, ring = 1): Note => ({
    at: loose(at),
    hz: midiHz(key),
    hold: (seconds(at + beats) - seconds(at)) * ring + 0.15,
    velocity: velocity * (0.94 + 0.12 * random()),
    pan,
  });

  const accompany = (harmony: string, first: number, velocity: number): void => {
    const row = chords(harmony);
    const voicings = voiceLeading(row, 3, 60);
    row.forEach(({ bass }, bar) => {
      const at = (first + bar) * BAR;
      const swell = velocity * arch((bar % 8) / 8, 0.25);
      sounds.push(pluck(note({ at, beats: 3, key: nearest(bass, 44) }, 0.9 * swell, -0.25), HARP));
      for (const beat of [1, 2]) {
        voicings[bar]?.forEach((key, i) => {
          const roll = at + beat + 0.02 * i;
          sounds.push(pluck(note({ at: roll, beats: 1.2, key }, (0.42 + 0.06 * i) * swell, -0.3 + 0.2 * i), HARP));
        });
      }
    });
  };

  const sing = (tones: readonly Tone[], first: number, velocity: number, pan: number): void => {
    for (const tone of tones) {
      const swell = velocity * arch((tone.at % 12) / 12, 0.3) * (tone.at % BAR === 0 ? 1.06 : 1);
      sounds.push(musicBox(note({ ...tone, at: first * BAR + tone.at }, swell, pan, 2.5)));
    }
  };

  accompany("G D7 G D7", 0, 0.55);
  for (const { part, first, doubled = false, sparkle = false, slower = false } of FORM) {
    accompany(part.harmony, first, slower ? 0.62 : 0.8);
    sing(line(part.melody), first, slower ? 0.72 : 0.82, 0.15);
    if (doubled) sing(line(part.second), first, 0.45, -0.2);
    if (sparkle)
      sing(
        line(part.melody, 12).filter(({ at }) => at % BAR === 0),
        first,
        0.26,
        0.45,
      );
  }

  accompany(TRIO.harmony, TRIO_BAR, 0.62);
  for (const tone of line(TRIO.melody)) {
    const at = TRIO_BAR * BAR + tone.at;
    sounds.push(
      pluck(note({ ...tone, at }, 1.05 * arch((tone.at % 12) / 12, 0.25), 0.1, 1.4), {
        ...HARP,
        position: 0.22,
        softness: 0.2,
      }),
    );
  }
  chords(TRIO.harmony).forEach(({ tones }, bar) => {
    if (bar % 2 === 0) return;
    [0.5, 1, 1.5, 2, 2.5].forEach((beat, i) => {
      const key = nearest(tones[i % tones.length] ?? 0, 84 + 3 * i);
      sounds.push(
        musicBox(note({ at: (TRIO_BAR + bar) * BAR + beat, beats: 1, key }, 0.22 + 0.03 * i, 0.4 - 0.2 * i, 3)),
      );
    });
  });

  const end = END_BAR * BAR;
  [43, 50, 55, 59, 62, 67].forEach((key, i) => {
    sounds.push(pluck(note({ at: end + 0.12 * i, beats: 6, key }, 0.4, -0.3 + 0.1 * i, 2), HARP));
  });
  [79, 83, 86, 91].forEach((key, i) => {
    sounds.push(musicBox(note({ at: end + 0.8 + 0.3 * i, beats: 6, key }, 0.4 - 0.06 * i, 0.3 - 0.15 * i, 2)));
  });
  return sounds;
}

export const waltz: Piece = {
  id: "waltz",
  title: "Waltz for a Small Box",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: Math.ceil(seconds(END_BAR * BAR) + 10),
  fadeIn: 0.02,
  fadeOut: 4,
  gain: 1.02,
  room: { seconds: 1.5, level: 0.35, predelay: 0.02 },
  compose,
};
