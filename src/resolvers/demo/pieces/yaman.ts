import { skin, tabla } from "../synth/drums.ts";
import { glide, jawari, type PitchPoint } from "../synth/glide.ts";
import { pluck, type StringMake } from "../synth/instruments.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { type Swara, sargam } from "./sargam.ts";

/** Hz; C sharp. */
const SA = 277.18;

const ALAP_BEAT = 0.92;
/** Unfolds the raga from the lower Ni upwards; Sa and Pa are passed over on the way up. */
const ALAP = [
  ",N:1.6 ~R:1.2 ~S:4.4",
  ",N:1 ,D:1 ~,N:2.2 R:1 ~S:4",
  ",N:1 R:1.4 ~G:4 R:1 ~S:3.4",
  ",D:.8 ,N:.8 R:.8 G:3 ~m:.7 ~G:2.2 R:1.2 ~,N:.8 ~R:.8 S:4",
  "G:1 m:.9 ~P:4.2 m:.7 ~G:2.4 P:.8 R:1.6 ~G:.6 ~R:.8 S:3.6",
  ",N:.5 R:.5 G:.5 m:1.4 ~D:2.2 ~P:3 m:.6 G:.6 m:.6 D:1 ~N:2.6 ~D:.8 ~P:3",
  "m:.7 D:.7 N:2 ~S':5 N:.7 ~R':1.6 ~S':3.4",
  "N:.5 R':.5 G':3 ~R':1.2 ~S':1.4 N:.6 D:.6 ~P:1.6 m:.6 G:.6 m:.6 ~P:1.4 R:1.8 ~G:.5 ~R:.7 S:4.4",
];

const JOR_BEAT = 0.46;
/** A pulse without a cycle; rests are filled by the drone strings. */
const JOR = [
  ",N:1 R G - G - m G | R - ,N - R - S -",
  ",N:1 R G m D - P - | m G m P R - S -",
  "G:1 m D N D - N - | D P m G m P - -",
  "m:1 D N - S' - N R' | S' - N D P - m G",
  "N:.5 D:.5 P:.5 m:.5 G:1 - m:.5 G:.5 R:.5 S:.5 ,N:1 - | R:1 G m D N - S' -",
  "G':.5 R':.5 S':.5 N:.5 R':.5 S':.5 N:.5 D:.5 S':.5 N:.5 D:.5 P:.5 N:.5 D:.5 P:.5 m:.5 | D:.5 P:.5 m:.5 G:.5 m:1 P R - S -",
];

const GAT_BEAT = 0.4;
const STHAYI = "G:2 R:1 G | m:1 D ~P:2 | m:1 ~G R G | ,N:1 R S:2";
const MANJHA = ",N:1 R G m | D:1 N ~D P | m:1 ~G R ,N | ,D:1 ,N R S";
const ANTARA = "m:1 m D N | S':2 N:1 S' | N:1 R' ~S' N | D:1 P m P";
const HIGH = "G':1 R' S' N | D:1 N S':2 | N:.5 S':.5 N:.5 D:.5 P:1 m | G:1 m P R";
const TAAN_1 = `,N:.5 R G m D N S' N | D N D P m G R S | ,N R G R G m G m | P m D P m G R S`;
const TAAN_2 = `G:.5 m D N R' S' N D | S' N D P N D P m | D P m G P m G R | m G R S ,N R G m`;
/** A phrase of 5 1/3 beats three times, so that the last note falls on the first beat of the next cycle. */
const TIHAI = Array.from(
  { length: 3 },
  () => "G:.6666666666666666 m D P R:1.3333333333333333 S:1.3333333333333333",
).join(" ");
const GAT = [STHAYI, STHAYI, MANJHA, STHAYI, ANTARA, HIGH, STHAYI, TAAN_1, STHAYI, TAAN_2, TIHAI];

/** Teental: four times four, the third four without the left hand. */
const THEKA = [
  "dha",
  "dhin",
  "dhin",
  "dha",
  "dha",
  "dhin",
  "dhin",
  "dha",
  "dha",
  "tin",
  "tin",
  "ta",
  "ta",
  "dhin",
  "dhin",
  "dha",
];

const ALAP_START = 7;

const sitarLevels = jawari({ harmonics: 26, decay: 8, bloom: 2.6, top: 10, tilt: 0.12 });
const droneLevels = jawari({ harmonics: 24, decay: 9, bloom: 3.4, top: 12, tilt: 0.1 });
const TARAF: StringMake = { decay: 4, position: 0.12, softness: 0.25, stiffness: 0.00002, damping: 0.8, level: 0.07 };
const CHIKARI: StringMake = {
  decay: 1.8,
  position: 0.09,
  softness: 0.06,
  stiffness: 0.00002,
  damping: 0.3,
  level: 0.16,
};

function compose(): Sound[] {
  const random = sequence(108);
  const sounds: Sound[] = [];

  const sitar = (swara: Swara, start: number, beat: number, velocity: number): void => {
    const at = start + swara.at * beat + 0.008 * random();
    const length = swara.beats * beat;
    const points: PitchPoint[] = [];
    for (const { at: reached, ratio } of swara.pitches) {
      const after = (reached - swara.at) * beat;
      const before = points.at(-1);
      if (before) {
        points.push({ at: after, hz: before.hz }, { at: after + Math.min(0.32, beat * 0.45), hz: SA * ratio });
      } else points.push({ at: 0, hz: SA * ratio });
    }
    sounds.push(
      glide(
        {
          at,
          gain: 0.13 * velocity,
          pan: 0.08,
          attack: 0.002,
          hold: length + 0.05,
          release: Math.min(0.5, 0.15 + length / 8),
        },
        { points, levels: sitarLevels, harmonics: 26, vibrato: { hz: 4.6, depth: 0.0035, delay: 1.1 } },
      ),
    );
    const last = swara.pitches.at(-1);
    if (last && length > 0.5) {
      const hz = SA * last.ratio;
      sounds.push(
        pluck({ at: at + (last.at - swara.at) * beat + 0.3, hz, hold: 3, velocity: velocity * 0.7, pan: -0.35 }, TARAF),
      );
    }
  };
  const chikari = (at: number, velocity: number): void => {
    sounds.push(pluck({ at, hz: SA * 2, hold: 0.9, velocity, pan: 0.3 }, CHIKARI));
    sounds.push(pluck({ at: at + 0.018, hz: SA * 4, hold: 0.7, velocity: velocity * 0.7, pan: 0.36 }, CHIKARI));
  };

  let now = ALAP_START;
  ALAP.forEach((text, i) => {
    const { swaras, beats } = sargam(text);
    for (const swara of swaras) sitar(swara, now, ALAP_BEAT, 0.72 + 0.03 * i + 0.1 * random());
    now += beats * ALAP_BEAT;
    chikari(now - 0.9 * ALAP_BEAT, 0.45);
    if (i > 3) chikari(now - 0.4 * ALAP_BEAT, 0.35);
    now += 0.7 * ALAP_BEAT;
  });

  JOR.forEach((text, i) => {
    const { swaras, beats } = sargam(text);
    const struck = new Set(swaras.map(({ at }) => at));
    for (const swara of swaras) sitar(swara, now, JOR_BEAT, 0.8 + 0.12 * random() + (swara.at % 4 === 0 ? 0.1 : 0));
    for (let at = 0; at < beats; at += 1) {
      if (!struck.has(at)) chikari(now + at * JOR_BEAT, 0.55);
      if (i > 2) chikari(now + (at + 0.5) * JOR_BEAT, 0.28);
    }
    now += beats * JOR_BEAT;
  });
  chikari(now, 0.6);
  now += 4 * JOR_BEAT;

  GAT.forEach((text, cycle) => {
    const { swaras } = sargam(text);
    const start = now + cycle * 16 * GAT_BEAT;
    for (const swara of swaras) sitar(swara, start, GAT_BEAT, 0.84 + 0.1 * random() + (swara.at === 0 ? 0.16 : 0));
    for (const beat of [3.5, 7.5, 9.5, 13.5, 15.5]) chikari(start + beat * GAT_BEAT, 0.3);
    if (cycle > 0) sounds.push(...theka(start, 0.75 + 0.02 * cycle, cycle > 6, random));
  });
  const end = now + GAT.length * 16 * GAT_BEAT;
  sitar({ at: 0, beats: 12, pitches: [{ at: 0, ratio: 1 }] }, end, GAT_BEAT, 1);
  sounds.push(...bol("dha", end, 0.95));
  [1, 9 / 8, 5 / 4, 45 / 32, 3 / 2, 27 / 16, 15 / 8, 2, 4].forEach((ratio, i) => {
    const at = end + 2.5 + 0.11 * i;
    sounds.push(pluck({ at, hz: SA * ratio, hold: 4, velocity: 0.8, pan: -0.5 + 0.1 * i }, { ...TARAF, level: 0.14 }));
  });
  sounds.push(...tanpura(random, end + 9));
  return sounds;
}

/** Pa, Sa, Sa and the low Sa, over and over, each into the ringing of the others. */
function tanpura(random: () => number, until: number): Sound[] {
  const strings = [
    { ratio: 3 / 4, pan: -0.55, gain: 0.05 },
    { ratio: 1.0004, pan: -0.2, gain: 0.045 },
    { ratio: 0.9996 / 2, pan: 0.25, gain: 0.05 },
    { ratio: 1 / 4, pan: 0.55, gain: 0.06 },
  ];
  const sounds: Sound[] = [];
  for (let at = 0.3, i = 0; at < until; i++) {
    const { ratio, pan, gain } = strings[i % 4] ?? { ratio: 1, pan: 0, gain: 0 };
    const hz = SA * ratio;
    sounds.push(
      glide(
        { at, gain: gain * (0.92 + 0.16 * random()), pan, attack: 0.012, hold: 4.2, release: 1.4 },
        {
          points: [
            { at: 0, hz: hz * 1.001 },
            { at: 0.4, hz },
          ],
          levels: droneLevels,
          harmonics: 24,
        },
      ),
    );
    at += (i % 4 === 3 ? 1.55 : 0.98) + 0.03 * random();
  }
  return sounds;
}

function theka(start: number, velocity: number, busy: boolean, random: () => number): Sound[] {
  return THEKA.flatMap((name, beat) => {
    const at = start + beat * GAT_BEAT + 0.006 * random();
    const accent = beat === 0 ? 1.15 : beat % 4 === 0 ? 1 : 0.85;
    const fill = (busy || beat % 4 === 3) && beat % 2 === 1 ? bol("te", at + GAT_BEAT / 2, velocity * 0.45) : [];
    return [...bol(name, at, velocity * accent * (0.92 + 0.16 * random())), ...fill];
  });
}

/** A syllable of the tabla: `dh` is both hands. */
function bol(name: string, at: number, velocity: number): Sound[] {
  const right = name.endsWith("in") ? "tin" : name === "te" ? "te" : "na";
  const sounds = [tabla({ at, velocity, pan: 0.22 }, SA, right)];
  if (name.startsWith("dh")) {
    sounds.push(skin({ at, velocity, pan: -0.25 }, { from: 74, to: 98, bend: 0.5, decay: 0.75, level: 0.24 }));
  }
  return sounds;
}

export const yaman: Piece = {
  id: "yaman",
  title: "Raga Yaman, First Lamp",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: 232,
  fadeIn: 2.5,
  fadeOut: 7,
  gain: 0.84,
  room: { seconds: 1.7, level: 0.3, predelay: 0.025 },
  compose,
};
