import { burst, skin, snareHead } from "../synth/drums.ts";
import { electricPiano, pluck, type StringMake, vibraphone } from "../synth/instruments.ts";
import { midiHz } from "../synth/math.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { chords, nearest, voiceLeading } from "./harmony.ts";
import { line } from "./notation.ts";

const BAR = 4;
const BEAT = 60 / 92;
/** How late the second of two sixteenths comes, in beats. */
const SWING = 0.045;

const VERSE = "Fm9 Bb13 Ebmaj9 Abmaj7 | Dbmaj9 Gm7 C7alt Fm9";
const BRIDGE = "Dbmaj9 Ebmaj9 Cm7 Fm9 | Bbm9 Eb13 Abmaj9 C7alt";

/** Where the electric piano strikes, by bar in turn: beat, length and force. */
const COMPING = [
  [
    [0, 1.4, 0.8],
    [1.5, 0.4, 0.5],
    [2.75, 1.2, 0.65],
  ],
  [
    [0.5, 0.9, 0.7],
    [1.75, 0.3, 0.5],
    [2.5, 0.3, 0.55],
    [3.5, 0.5, 0.6],
  ],
] as const;
/** Bass by bar in turn: beat, length, degree of the chord (0 root, 1 fifth, 2 octave, 3 a step below the next root), force. */
const BASS = [
  [
    [0, 0.7, 0, 1],
    [0.75, 0.2, 0, 0.6],
    [1.5, 0.4, 2, 0.75],
    [2.5, 0.9, 1, 0.85],
    [3.5, 0.25, 1, 0.6],
    [3.75, 0.25, 3, 0.8],
  ],
  [
    [0, 0.9, 0, 1],
    [1.25, 0.2, 0, 0.55],
    [1.75, 0.5, 1, 0.8],
    [2.75, 0.2, 2, 0.7],
    [3, 0.4, 0, 0.75],
    [3.5, 0.45, 3, 0.85],
  ],
] as const;

const TUNE = `-:1.5 c6:.5 bb5 ab5:1 g5:.5 | ab5:1.5 f5:.5 d5:1.5 -:.5 | -:.5 g5 bb5 d6:1.5 c6:.5 bb5 | c6:2.5 -:1.5
  | -:1 ab5:.5 f5 c6:1 ab5:.5 f5 | bb5:1.5 a5:.5 g5:1 f5 | e5:.75 g5 bb5:.5 db6:1 c6 | ab5:3 -:1`;
const ANSWER = `f5:3 ab5:1 | bb5:1.5 ab5:.5 g5:2 | eb5:1.5 g5:.5 bb5:1 g5 | ab5:3 -:1
  | db6:1.5 c6:.5 bb5:1 ab5 | c6:1.5 bb5:.5 g5:2 | -:.5 c6 eb6 c6 bb5:1 g5 | ab5:.5 g5 e5:1 -:2`;

const SECTIONS = [
  { harmony: VERSE, layers: ["keys"] },
  { harmony: VERSE, layers: ["keys", "hat", "bass"] },
  { harmony: VERSE, layers: ["keys", "hat", "drums", "bass", "tune"] },
  { harmony: BRIDGE, layers: ["keys", "hat", "drums", "bass", "answer"] },
  { harmony: VERSE, layers: ["keys", "hat", "bass", "solo"] },
  { harmony: BRIDGE, layers: ["keys", "hat", "drums", "bass", "answer", "solo"] },
  { harmony: VERSE, layers: ["keys", "hat", "drums", "bass", "tune"] },
  { harmony: VERSE, layers: ["keys", "hat", "bass"] },
] as const;
const END = SECTIONS.length * 8;

const BASS_STRING: StringMake = {
  decay: 1.6,
  position: 0.2,
  softness: 0.55,
  stiffness: 0.00005,
  damping: 0.06,
  level: 0.72,
};

/** Seconds at a beat of the piece, with the swing of its sixteenths. */
function seconds(beat: number): number {
  const sixteenth = Math.round(beat * 4);
  return (beat + (sixteenth % 2 === 0 ? 0 : SWING)) * BEAT + 0.4;
}

function compose(): Sound[] {
  const random = sequence(92);
  const sounds: Sound[] = [];
  const human = (): number => 0.005 * random();

  const keys = (harmony: string, first: number): void => {
    const row = chords(harmony);
    voiceLeading(row, 4, 61).forEach((voicing, bar) => {
      for (const [beat, length, force] of COMPING[bar % 2] ?? []) {
        voicing.forEach((key, i) => {
          const velocity = force * (0.7 + 0.14 * random());
          const at = seconds(first * BAR + bar * BAR + beat) + human() + 0.004 * i;
          sounds.push(electricPiano({ at, hz: midiHz(key), hold: length * BEAT, velocity, pan: -0.15 + 0.06 * i }));
        });
      }
    });
  };
  const bass = (harmony: string, first: number): void => {
    const row = chords(harmony);
    row.forEach((now, bar) => {
      const root = nearest(now.bass, 34);
      const next = nearest((row[bar + 1] ?? row[0] ?? now).bass, 34);
      for (const [beat, length, degree, force] of BASS[bar % 2] ?? []) {
        const key =
          [root, root + (((now.tones[2] ?? 0) - now.bass + 24) % 12), root + 12, next > root ? next - 1 : next + 1][
            degree
          ] ?? root;
        const at = seconds((first + bar) * BAR + beat) + human();
        sounds.push(
          pluck({ at, hz: midiHz(key), hold: length * BEAT * 0.92, velocity: force * 0.85, pan: 0 }, BASS_STRING),
        );
      }
    });
  };
  const hat = (first: number): void => {
    for (let sixteenth = 0; sixteenth < 8 * 16; sixteenth++) {
      const place = sixteenth % 16;
      const open = place === 14 && sixteenth % 32 > 16;
      if (place % 2 === 1 && random() < 0.45) continue;
      const velocity = (place % 4 === 2 ? 0.9 : place % 2 === 0 ? 0.6 : 0.3) * (0.85 + 0.3 * random());
      const at = seconds(first * BAR + sixteenth / 4) + human();
      sounds.push(
        burst({ at, velocity, pan: 0.3 }, { tone: 0.9, attack: 0.001, decay: open ? 0.4 : 0.09, level: 0.085 }),
      );
    }
  };
  const drums = (first: number): void => {
    for (let bar = 0; bar < 8; bar++) {
      const at = (beat: number): number => seconds((first + bar) * BAR + beat) + human();
      const kicks = bar % 2 === 0 ? [0, 1.75, 2.5] : [0, 0.75, 2.25, 2.5];
      kicks.forEach((beat, i) => {
        const stroke = { at: at(beat), velocity: i === 0 ? 1 : 0.75, pan: 0 };
        sounds.push(skin(stroke, { from: 150, to: 49, bend: 0.11, decay: 0.42, level: 0.5 }));
        sounds.push(burst(stroke, { tone: -0.4, attack: 0.0005, decay: 0.025, level: 0.1 }));
      });
      const fill = bar === 7 ? [3.25, 3.5, 3.75] : [];
      const ghosts = [1.75 + 0.5 * Math.floor(2 * random()), 3.75];
      for (const [beat, velocity] of [
        [1, 1],
        [3, 1],
        ...fill.map((b) => [b, 0.6] as const),
        ...ghosts.map((b) => [b, 0.18] as const),
      ] as const) {
        const stroke = { at: at(beat), velocity: velocity * (0.9 + 0.1 * random()), pan: -0.05 };
        sounds.push(snareHead(stroke), burst(stroke, { tone: 0.25, attack: 0.001, decay: 0.2, level: 0.2 }));
      }
    }
  };
  const tune = (text: string, first: number, level: number): void => {
    for (const { at, beats, key } of line(text)) {
      const velocity = level * (0.85 + 0.15 * random());
      const start = seconds(first * BAR + at) + human();
      sounds.push(vibraphone({ at: start, hz: midiHz(key), hold: beats * BEAT + 0.25, velocity, pan: 0.2 }));
    }
  };
  /** Chord tones in sixteenths that climb and fall, with gaps. */
  const solo = (harmony: string, first: number): void => {
    voiceLeading(chords(harmony), 4, 74).forEach((voicing, bar) => {
      const ladder = [...voicing, ...voicing.map((key) => key + 12)];
      let rung = Math.floor(4 * random());
      for (let sixteenth = 2; sixteenth < 15; sixteenth++) {
        rung += random() < 0.62 ? 1 : -2;
        const key = ladder[Math.abs(rung) % ladder.length];
        if (key === undefined || random() < 0.38) continue;
        const at = seconds((first + bar) * BAR + sixteenth / 4) + human();
        sounds.push(electricPiano({ at, hz: midiHz(key), hold: 0.3, velocity: 0.5 + 0.25 * random(), pan: 0.25 }));
      }
    });
  };

  SECTIONS.forEach(({ harmony, layers }, section) => {
    const first = section * 8;
    const play: Record<(typeof layers)[number], () => void> = {
      keys: () => keys(harmony, first),
      hat: () => hat(first),
      drums: () => drums(first),
      bass: () => bass(harmony, first),
      tune: () => tune(TUNE, first, 0.85),
      answer: () => tune(ANSWER, first, 0.7),
      solo: () => solo(harmony, first),
    };
    for (const layer of layers) play[layer]();
  });
  voiceLeading(chords("Fm9"), 5, 62)[0]?.forEach((key, i) => {
    sounds.push(
      electricPiano({
        at: seconds(END * BAR) + 0.05 * i,
        hz: midiHz(key),
        hold: 6,
        velocity: 0.55,
        pan: -0.2 + 0.1 * i,
      }),
    );
  });
  sounds.push(
    pluck({ at: seconds(END * BAR), hz: midiHz(29), hold: 5, velocity: 0.8, pan: 0 }, { ...BASS_STRING, decay: 4 }),
  );
  return sounds;
}

export const groove: Piece = {
  id: "night-ferry",
  title: "Night Ferry",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: Math.ceil(seconds(END * BAR) + 7),
  fadeIn: 0.02,
  fadeOut: 4,
  gain: 0.78,
  room: { seconds: 0.9, level: 0.18, predelay: 0.012 },
  compose,
};
